"""What stages want to know of a picture that is seen again."""

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from camseek.backbones import Backbone
from camseek.encoding.encoder import Choices, Encoder
from camseek.extraction.attention import Attention, no_box
from camseek.extraction.attention import look as look_for
from camseek.extraction.extractor import Extraction
from camseek.numerics import BOOL, F32, F64, I64
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


@runtime_checkable
class PartLook(Look, Protocol):
    """A question whose answer is part of another one's, which need not be asked twice."""

    @property
    def whole(self) -> Look:
        """The question that answers this one too; itself where none does."""
        ...

    def part(self, answer: Any) -> Any:
        """This answer, given the other one."""
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

    Descriptions by class vectors of one kind pool each class once, whatever whitens and sums them then.
    """

    def __init__(self, looks: Iterable[Look]) -> None:
        """Puts questions together; equal ones are asked once."""
        self.looks: Mapping[Hashable, Look] = {look.key: look for look in looks}
        alone = {key: look for key, look in self.looks.items() if not isinstance(look, DescribeLook)}
        self._parts = [
            (key, look, look.whole.key)
            for key, look in alone.items()
            if isinstance(look, PartLook) and look.whole.key != key and look.whole.key in alone
        ]
        answered = {key for key, _, _ in self._parts}
        self._alone = [(key, look) for key, look in alone.items() if key not in answered]
        same: dict[Hashable, list[tuple[Hashable, DescribeLook]]] = {}
        for key, look in self.looks.items():
            if isinstance(look, DescribeLook):
                same.setdefault(look.encoder.unwhitened().key, []).append((key, look))
        self._together = [_Together.of(items) for items in same.values()]

    def see(self, seen: Extraction) -> dict[Hashable, Any]:
        """The answers for one picture, by the looks' keys."""
        found = {key: look.see(seen) for key, look in self._alone}
        found |= {key: look.part(found[whole]) for key, look, whole in self._parts}
        for same in self._together:
            found |= same.see(seen)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Together:
    """Descriptions with class vectors of one kind: their classes, and what is made of these."""

    encoder: Encoder
    choices: Choices
    sums: Sequence["_Sums"]

    @classmethod
    def of(cls, items: Sequence[tuple[Hashable, DescribeLook]]) -> "_Together":
        places: dict[tuple[int, ...], int] = {}
        groups: dict[Hashable, list[tuple[Hashable, DescribeLook]]] = {}
        for key, look in items:
            places.setdefault(look.classes, len(places))
            groups.setdefault(look.encoder.key, []).append((key, look))
        choices = Choices.of(list(places))
        sums = [_Sums.of(group, [places[look.classes] for _, look in group]) for group in groups.values()]
        return cls(items[0][1].encoder, choices, sums)

    def see(self, seen: Extraction) -> dict[Hashable, Described]:
        vectors = self.encoder.parts(seen.activations, classes=self.choices.union)[0]
        found: dict[Hashable, Described] = {}
        for item in self.sums:
            found |= item.compare(self.choices.add_up(item.encoder.whiten(vectors)))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Descriptions with one whitening: for each its key, the query, and the place of its choice."""

    encoder: Encoder
    keys: Sequence[Hashable]
    keep: Sequence[bool]
    places: Int64[I64, " I"]
    queries: Float64[F64, "I D"]

    @classmethod
    def of(cls, items: Sequence[tuple[Hashable, DescribeLook]], places: Sequence[int]) -> "_Sums":
        looks = [look for _, look in items]
        queries = np.stack([look.query for look in looks]).astype(np.float64)
        keep = [look.keep for look in looks]
        return cls(looks[0].encoder, [key for key, _ in items], keep, np.array(places, np.int64), queries)

    def compare(self, descriptors: Float32[F32, "Q D"]) -> dict[Hashable, Described]:
        own = descriptors[self.places]
        scores: list[float] = cosines(self.queries, own).tolist()
        return {
            key: Described(score, vector if keep else None)
            for key, score, vector, keep in zip(self.keys, scores, own, self.keep, strict=True)
        }


def cosine(query: Float32[F32, " D"], descriptor: Float32[F32, " D"]) -> float:
    """Cosine of unit vectors, summed in double precision; ``UNSEEN`` where one of them says nothing."""
    return float(cosines(query[None].astype(np.float64), descriptor[None])[0])


def cosines(queries: Float64[F64, "N D"], descriptors: Float32[F32, "N D"]) -> Float64[F64, " N"]:
    """The same of each query, given in double precision, with the descriptor beside it."""
    finite, seen_at_all = np.isfinite(descriptors).all(axis=1), np.any(descriptors, axis=1)
    usable: Bool[BOOL, " N"] = np.logical_and(finite, seen_at_all)
    seen: F32 = np.where(usable[:, None], descriptors, np.float32(0))
    scores: F64 = np.einsum("nd,nd->n", queries, seen)
    return np.where(usable, scores.clip(-1, 1), UNSEEN)


def digest(vector: Float32[F32, " D"]) -> bytes:
    """What tells a vector from others."""
    return hashlib.sha256(vector.tobytes()).digest()
