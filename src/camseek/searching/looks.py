"""What stages want to know of a picture that is seen again."""

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from camseek.backbones import Backbone
from camseek.encoding.encoder import Choices, Encoder
from camseek.extraction.attention import Attention, no_box
from camseek.extraction.attention import look as look_for
from camseek.extraction.extractor import Extraction
from camseek.numerics import F32, is_usable
from camseek.results import Box, View

UNSEEN = -1.0
"""The score of a picture in which nothing is seen of what is compared: behind everything that was seen."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that cannot be seen again, and why."""

    reason: str


@runtime_checkable
class Look(Protocol):
    """One question about a picture, with all that its answer depends on; threads ask it at once.

    An evaluation asks it for many queries of many protocols about the same pictures, and keeps every answer:
    small ones, please.
    """

    @property
    def key(self) -> Hashable:
        """Equal keys, the same answer, which is not asked for again.

        What the answer depends on must be part of it, the query too (``digest`` of its descriptor, say), or
        all queries of an evaluation are given the first one's answers.
        """
        ...

    def see(self, seen: Extraction) -> Any:
        """The answer for one whole picture."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A picture described anew.

    Attributes:
        score: Cosine with the query in [-1, 1]; ``UNSEEN`` where it shows nothing of the classes.
        descriptor: (D,), zero where it shows nothing; None where nobody needs it.
    """

    score: float
    descriptor: Float32[F32, " D"] | None


@dataclass(frozen=True, slots=True, eq=False)
class DescribeLook:
    """Describes a picture with some classes and compares it with a query (paper section 3.2).

    Attributes:
        encoder: Class-weighted.
        classes: The classes to sum.
        query: (D,), unit: the query's descriptor made with these.
        keep: Whether a later stage needs the picture's descriptor.
    """

    encoder: Encoder
    classes: tuple[int, ...]
    query: Float32[F32, " D"]
    keep: bool

    @property
    def descriptor_key(self) -> Hashable:
        """What decides the picture's descriptor."""
        return self.encoder.key, self.classes

    @property
    def key(self) -> Hashable:
        """What decides the descriptor, and the query."""
        return "describe", self.descriptor_key, digest(self.query), self.keep

    def see(self, seen: Extraction) -> Described:
        """Describes one picture."""
        return self.compare(self.encoder.describe_each(seen.activations, Choices.of([self.classes]))[0])

    def compare(self, descriptor: Float32[F32, " D"]) -> Described:
        """Compares a picture's descriptor."""
        return Described(cosine(self.query, descriptor), descriptor if self.keep else None)


@dataclass(frozen=True, slots=True, eq=False)
class BoxLook:
    """Boxes what some classes light up.

    Attributes:
        model: The network.
        wanted: The classes.
    """

    model: Backbone
    wanted: Attention

    @property
    def key(self) -> Hashable:
        """The same question within one search."""
        return "box", id(self)

    def see(self, seen: Extraction) -> tuple[Box | None, str | None]:
        """The box, or why there is none."""
        box = look_for(self.model, seen, self.wanted)[1]
        return box, None if box else no_box(self.wanted)


@dataclass(frozen=True, slots=True, eq=False)
class ViewLook:
    """Shows a picture with the heat map of some classes; attributes as ``BoxLook``."""

    model: Backbone
    wanted: Attention

    @property
    def key(self) -> Hashable:
        """The same question within one search."""
        return "view", id(self)

    def see(self, seen: Extraction) -> View:
        """The picture and its heat map."""
        return look_for(self.model, seen, self.wanted)[0]


class LookSet:
    """Several questions about each of some pictures; threads may share one.

    Descriptions that share an encoder pool each class once.
    """

    def __init__(self, looks: Iterable[Look]) -> None:
        """Puts questions together; equal ones are asked once."""
        self.looks: Mapping[Hashable, Look] = {look.key: look for look in looks}
        self._alone = [item for item in self.looks.items() if not isinstance(item[1], DescribeLook)]
        same: dict[Hashable, list[tuple[Hashable, DescribeLook]]] = {}
        for key, look in self.looks.items():
            if isinstance(look, DescribeLook):
                same.setdefault(look.encoder.key, []).append((key, look))
        self._together = [_Together.of(items) for items in same.values()]

    def see(self, seen: Extraction) -> dict[Hashable, Any]:
        """The answers for one picture, by the looks' keys."""
        found = {key: look.see(seen) for key, look in self._alone}
        for same in self._together:
            found |= same.see(seen)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Together:
    """Descriptions with one encoder: its choices of classes, and which of them each look wants."""

    encoder: Encoder
    choices: Choices
    items: Sequence[tuple[Hashable, DescribeLook, int]]

    @classmethod
    def of(cls, items: Sequence[tuple[Hashable, DescribeLook]]) -> "_Together":
        places: dict[tuple[int, ...], int] = {}
        for _, look in items:
            places.setdefault(look.classes, len(places))
        chosen = [(key, look, places[look.classes]) for key, look in items]
        return cls(items[0][1].encoder, Choices.of(list(places)), chosen)

    def see(self, seen: Extraction) -> dict[Hashable, Described]:
        vectors = self.encoder.describe_each(seen.activations, self.choices)
        return {key: look.compare(vectors[place]) for key, look, place in self.items}


def cosine(query: Float32[F32, " D"], descriptor: Float32[F32, " D"]) -> float:
    """Cosine of unit vectors, summed in double precision; ``UNSEEN`` where one of them says nothing."""
    if not is_usable(descriptor):
        return UNSEEN
    wide = query.astype(np.float64)
    return float((descriptor * wide).sum().clip(-1, 1))


def digest(vector: Float32[F32, " D"]) -> bytes:
    """What tells a vector from others."""
    return hashlib.sha256(vector.tobytes()).digest()
