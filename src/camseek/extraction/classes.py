"""Classes by name, and the classes that pictures show most."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Int64

from camseek.arguments import near
from camseek.backbones import Backbone
from camseek.backbones.wordnet import wordnet_names
from camseek.encoding.aggregation import most_frequent, most_probable
from camseek.errors import SettingsError
from camseek.extraction.extractor import Extraction
from camseek.job import Job
from camseek.numerics import I64
from camseek.results import Skipped

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class, and how many pictures have it among their most probable ones."""

    id: int
    name: str
    pictures: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"id": self.id, "name": self.name, "pictures": self.pictures}


@dataclass(frozen=True, slots=True)
class ClassTally:
    """The classes that pictures show most.

    Attributes:
        pictures: How many were read.
        per_picture: How many of each picture's most probable classes counted.
        classes: The most frequent first.
        skipped: Pictures that could not be used.
    """

    pictures: int
    per_picture: int
    classes: tuple[ClassCount, ...]
    skipped: tuple[Skipped, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "pictures": self.pictures,
            "per_picture": self.per_picture,
            "classes": [item.to_json() for item in self.classes],
            "skipped": [item.to_json() for item in self.skipped],
        }


def require_class_ids(model: Backbone, ids: Iterable[int]) -> None:
    """Makes sure that a model has the classes of some numbers.

    Raises:
        SettingsError: It has fewer.
    """
    known, highest = len(model.class_names), max(ids, default=-1)
    if highest >= known:
        raise SettingsError(
            f"there is no class {highest} among the {known} of the model {model.card.name}",
            remedy="name classes as camseek explain prints them",
        )


def resolve_classes(model: Backbone, wanted: Sequence[str]) -> tuple[int, ...]:
    """Finds classes by number or by name, whatever the case; each once, in the order given.

    Names are the model's own, and for ImageNet's classes WordNet's too, which papers use (``bell cote``).

    Raises:
        SettingsError: There is no such class, or several of the name.
    """
    model.require_classifier("naming classes")
    return tuple(dict.fromkeys(_resolve(model, text.strip()) for text in wanted))


def _resolve(model: Backbone, text: str) -> int:
    count = len(model.class_names)
    if re.fullmatch(r"[0-9]{1,9}", text):
        if int(text) < count:
            return int(text)
        raise SettingsError(f"there is no class {text}", remedy=f"classes go from 0 to {count - 1}")
    wanted = text.casefold()
    # The model's own name is the first that counts: it is what camseek prints.
    kinds = (_own_names(model), wordnet_names(model.class_names))
    for names in kinds:
        found = [number for number, known in enumerate(names) if wanted in known]
        if len(found) == 1:
            return found[0]
        if found:
            told = ", ".join(f"{number} ({model.class_names[number]})" for number in found)
            raise SettingsError(
                f"{len(found)} classes are called {text!r}", remedy=f"give the number of one: {told}"
            )
    like = [
        name
        for name, *others in zip(model.class_names, *kinds, strict=True)
        if any(wanted in other for known in others for other in known)
    ][:5]
    others = sorted(other for known in kinds[1] for other in known)
    like = like or near(text, [*model.class_names, *others])
    raise SettingsError(
        f"there is no class {text!r}",
        remedy=f"did you mean {' or '.join(like)}?" if like else "camseek explain prints a picture's classes",
    )


def _own_names(model: Backbone) -> list[frozenset[str]]:
    """The names that a model gives its classes: of ``cardboard box / carton`` either of both will do."""
    return [frozenset((name, *name.split(" / "))) for name in map(str.casefold, model.class_names)]


def parse_class_list(text: str) -> list[tuple[str, str | None]]:
    """The classes of a list, most wanted first: one a line, its number or its name.

    ``camseek classes --list`` writes number, tab and name. A line that begins with ``#`` is a note.

    Returns:
        For each line its number or name, and the name beside a number, if there is one.
    """
    lines = (line.strip() for line in text.splitlines())
    kept = [line.partition("\t") for line in lines if line and not line.startswith("#")]
    return [(first.strip(), name.strip() or None) for first, _, name in kept]


def resolve_list(model: Backbone, listed: Sequence[tuple[str, str | None]]) -> tuple[int, ...]:
    """Finds the classes of a list.

    Raises:
        SettingsError: There is no such class, or it has another name in this model.
    """
    found = resolve_classes(model, [first for first, _ in listed])
    for first, name in listed:
        number = _resolve(model, first)
        known = model.class_names[number]
        others = _own_names(model)[number] | wordnet_names(model.class_names)[number]
        if name is not None and name.casefold() not in {known.casefold(), *others}:
            raise SettingsError(
                f"class {first} is {known!r} in the model {model.card.name}, not {name!r}",
                remedy="make the list with this model: camseek classes --list",
            )
    return found


def tally(
    model: Backbone,
    see: Callable[[Item], Extraction | Skipped],
    pictures: Sequence[Item],
    *,
    per_picture: int,
    job: Job,
) -> ClassTally:
    """Counts the classes that pictures show (Jimenez et al. 2017, section 4.3).

    Args:
        model: A classifier.
        see: Takes a picture or a region of one through it, one thread a pass, or says why it cannot be;
            called in threads.
        pictures: The pictures.
        per_picture: N_C: how many of each picture's most probable classes count, 1 or more.
        job: Threads and progress.

    Raises:
        SettingsError: The model has no classifier.
    """
    model.require_classifier("counting classes")
    job.progress.start(len(pictures))
    rows: list[Int64[I64, " C"]] = []
    skipped: list[Skipped] = []
    for item in job.map(partial(_classes_of, see, per_picture), pictures):
        job.progress.step()
        if isinstance(item, Skipped):
            skipped.append(item)
        else:
            rows.append(item)
    if not rows:
        return ClassTally(0, per_picture, (), tuple(skipped))
    ids, counts = most_frequent(np.array(rows))
    classes = [
        ClassCount(int(number), model.class_names[int(number)], int(count))
        for number, count in zip(ids, counts, strict=True)
    ]
    return ClassTally(len(rows), per_picture, tuple(classes), tuple(skipped))


def _classes_of(
    see: Callable[[Item], Extraction | Skipped], per_picture: int, picture: Item
) -> Int64[I64, " C"] | Skipped:
    seen = see(picture)
    if isinstance(seen, Skipped):
        return seen
    return most_probable(seen.inside.scores, per_picture)[0]
