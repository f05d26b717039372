"""The codebook: what turns descriptors into visual words and signs."""

import hashlib
import struct
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt64

from camseek.matching.features import LocalFeatures
from camseek.matching.words import BITS, U64, QueryWords, WordPoints
from camseek.numerics import BOOL, F32, I64, principal_directions

ASSIGNMENTS = 3
"""How many words each point of a query has."""

_HEAD = struct.Struct("<20sII")  # magic, numbers of a descriptor, words; mean, projection, words: float16
_MAGIC = b"camseek codebook 1\n\0"
_MOST_WORDS = 65536
_ROWS = 4096  # descriptors compared with all words at a time
_POWERS = np.uint64(1) << np.arange(BITS, dtype=np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """A projection of descriptors to 64 numbers, and visual words among them.

    Attributes:
        mean: float32 (K,), of the descriptors it was fitted on.
        projection: float32 (K, 64): ``(descriptor - mean) @ projection`` is compared with the words.
        words: float32 (W, 64).
        checksum: SHA-256 of ``to_bytes``, hexadecimal.
        tag: Its first 32 bits, which travel with the words of pictures.

    All numbers are exact in half precision, so that ``to_bytes`` loses nothing.

    Raises:
        ValueError: The shapes do not fit together, there are no words or more than 65,536, or a number is not
            finite or none of half precision.
    """

    mean: Float32[F32, " K"]
    projection: Float32[F32, "K 64"]
    words: Float32[F32, "W 64"]
    checksum: str = field(init=False, repr=False)
    tag: int = field(init=False, repr=False)
    _halves: Float32[F32, " W"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shapes = self.mean.shape, self.projection.shape, self.words.shape
        count = len(self.words) if self.words.ndim == 2 else 0
        if shapes != ((len(self.mean),), (len(self.mean), BITS), (count, BITS)):
            raise ValueError(f"mean, projection and words of {shapes} do not fit together")
        if not 1 <= count <= _MOST_WORDS:
            raise ValueError(f"a codebook has 1 to {_MOST_WORDS} words, not {count}")
        if not all(_is_half(part) for part in (self.mean, self.projection, self.words)):
            raise ValueError("a codebook's numbers must be finite and of half precision")
        checksum = hashlib.sha256(self.to_bytes()).hexdigest()
        object.__setattr__(self, "checksum", checksum)
        object.__setattr__(self, "tag", int(checksum[:8], 16))
        object.__setattr__(self, "_halves", np.vecdot(self.words, self.words) / np.float32(2))

    def to_bytes(self) -> bytes:
        """Head, mean, projection and words, little-endian; ``from_bytes`` reads it back."""
        parts = (self.mean, self.projection, self.words)
        head = _HEAD.pack(_MAGIC, len(self.mean), len(self.words))
        return head + b"".join(part.astype("<f2").tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Codebook":
        """Reads what ``to_bytes`` wrote.

        Raises:
            ValueError: It did not write this.
        """
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise ValueError("this is no codebook")
        _, numbers, words = _HEAD.unpack_from(data)
        if len(data) != _HEAD.size + 2 * (numbers + (numbers + words) * BITS):
            raise ValueError(f"a codebook of {words} words is not {len(data)} bytes")
        values = np.frombuffer(data, "<f2", offset=_HEAD.size).astype(np.float32)
        mean, rest = values[:numbers], values[numbers:].reshape(-1, BITS)
        return cls(mean, rest[:numbers], rest[numbers:])

    def require(self, picture: WordPoints) -> None:
        """Makes sure that a picture's words are of this codebook.

        Raises:
            ValueError: They are of another, or none of it.
        """
        if picture.codebook != self.tag:
            raise ValueError("the words are of another codebook")
        if len(picture) and int(picture.words.max()) >= len(self.words):
            raise ValueError("there are words that the codebook has not")

    def picture_words(self, features: LocalFeatures) -> WordPoints:
        """The points of a picture as words: each its nearest one.

        Raises:
            ValueError: The descriptors have another length than the codebook's.
        """
        words, residuals = self._assigned(features, 1)
        signs = packed_signs(residuals[:, 0])
        parts = features.points, features.scales, features.angles
        return WordPoints(*parts, words[:, 0].astype(np.uint16), signs, self.tag)

    def query_words(self, features: LocalFeatures, assignments: int = ASSIGNMENTS) -> QueryWords:
        """The points of a query as words: each with its nearest ones, as many as there are at most.

        Raises:
            ValueError: The descriptors have another length than the codebook's.
        """
        words, residuals = self._assigned(features, min(assignments, len(self.words)))
        terms, sums = summed(words.ravel(), residuals.reshape(-1, BITS))
        return QueryWords(
            features.points,
            features.scales,
            features.angles,
            words.astype(np.uint16),
            packed_signs(residuals),
            terms.astype(np.uint16),
            packed_signs(sums),
            self.tag,
        )

    def _assigned(
        self, features: LocalFeatures, assignments: int
    ) -> tuple[Int64[I64, "N A"], Float32[F32, "N A 64"]]:
        """Each point's nearest words, nearest first, and its residuals to them."""
        if features.descriptors.shape[1] != len(self.mean):
            raise ValueError(
                f"descriptors of {features.descriptors.shape[1]} do not fit a codebook of {len(self.mean)}"
            )
        projected = _projected(features.descriptors, self.mean, self.projection)
        words = nearest_words(projected, self.words, self._halves, assignments)
        return words, projected[:, None] - self.words[words]


def _projected(
    descriptors: Float32[F32, "N K"], mean: Float32[F32, " K"], projection: Float32[F32, "K 64"]
) -> Float32[F32, "N 64"]:
    centred: F32 = descriptors - mean
    return centred @ projection


def _is_half(values: F32) -> bool:
    """Whether numbers are finite and exact in half precision."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(values).all() and (values.astype(np.float16) == values).all())


@cache
def embedded_codebook() -> Codebook:
    """The codebook that ships: 4,096 words, fitted on photographs of the Grocery Store Dataset."""
    place = resources.files("camseek.matching") / "data" / "codebook.bin"
    return Codebook.from_bytes(place.read_bytes())


def packed_signs(vectors: Float32[F32, "*shape 64"]) -> UInt64[U64, "*shape"]:
    """Which components are 0 or more: component i as bit i."""
    return ((vectors >= 0) * _POWERS).sum(axis=-1, dtype=np.uint64)


def summed(
    words: Int64[I64, " N"], vectors: Float32[F32, "N D"]
) -> tuple[Int64[I64, " M"], Float32[F32, "M D"]]:
    """The sum of the vectors of each word, in double precision on the way; the words rising, each once."""
    order = np.argsort(words, kind="stable")
    present, starts = np.unique(words[order], return_index=True)
    if not len(present):
        return present, vectors[:0]
    sums = np.add.reduceat(vectors[order].astype(np.float64), starts, axis=0)
    return present, sums.astype(np.float32)


def nearest_words(
    vectors: Float32[F32, "N D"],
    words: Float32[F32, "W D"],
    halves: Float32[F32, " W"],
    count: int,
) -> Int64[I64, "N A"]:
    """The nearest words of each vector, by Euclidean distance, nearest first; of equally near ones the first.

    Args:
        vectors: float32 (N, D).
        words: float32 (W, D).
        halves: float32 (W,), half of each word's squared norm.
        count: A, from 1 to W.

    Returns:
        int64 (N, A).
    """
    found = np.empty((len(vectors), count), np.int64)
    for start in range(0, len(vectors), _ROWS):
        # |v - w|² = |v|² - 2 (v·w - |w|² / 2): the nearest word has the largest bracket.
        nearness = vectors[start : start + _ROWS] @ words.T
        nearness -= halves
        for place in range(count):
            best = nearness.argmax(axis=1)
            found[start : start + _ROWS, place] = best
            if place + 1 < count:
                np.put_along_axis(nearness, best[:, None], -np.inf, axis=1)
    return found


def fit_codebook(
    descriptors: Float32[F32, "N K"], *, words: int, seed: int = 0, rounds: int = 15
) -> Codebook:
    """Fits a codebook: PCA to 64 numbers, then k-means (Lloyd's algorithm).

    Equal descriptors in equal order give an equal codebook, but for the last bits of another machine's sums.

    Args:
        descriptors: float32 (N, K), K of 64 or more, finite.
        words: W, from 1 to N and at most 65,536.
        seed: Of the choice of the first words among the descriptors.
        rounds: Of k-means.

    Raises:
        ValueError: There are too few descriptors, or they have too few numbers, or one is not finite.
    """
    count, numbers = descriptors.shape
    if numbers < BITS or count <= BITS or not 1 <= words <= min(count, _MOST_WORDS):
        raise ValueError(f"{count} descriptors of {numbers} numbers give no codebook of {words} words")
    if not np.isfinite(descriptors).all():
        raise ValueError("descriptors must be finite")
    mean = descriptors.mean(axis=0, dtype=np.float64)
    _, directions = principal_directions(descriptors, mean)
    # What is projected here is what will be: with the rounded numbers.
    half_mean, projection = _half(mean), _half(directions[:, :BITS])
    projected = _projected(descriptors, half_mean, projection)
    return Codebook(half_mean, projection, _half(_clustered(projected, words, seed, rounds)))


def _half(values: np.ndarray) -> F32:
    """In half precision, held in single."""
    return values.astype(np.float16).astype(np.float32)


def _clustered(vectors: Float32[F32, "N D"], count: int, seed: int, rounds: int) -> Float32[F32, "W D"]:
    """The centres of k-means. One that loses all its vectors goes to that farthest from its own centre."""
    centres = vectors[np.sort(np.random.default_rng(seed).choice(len(vectors), count, replace=False))]
    for _ in range(rounds):
        halves = np.vecdot(centres, centres) / np.float32(2)
        nearest = nearest_words(vectors, centres, halves, 1)[:, 0]
        present, sums = summed(nearest, vectors)
        members = np.bincount(nearest, minlength=count)
        lost: BOOL = members == 0
        far = _farthest(vectors, centres[nearest], lost)
        centres[present] = sums / members[present, None].astype(np.float32)
        centres[lost] = far
    return centres


def _farthest(
    vectors: Float32[F32, "N D"], own: Float32[F32, "N D"], lost: Bool[BOOL, " W"]
) -> Float32[F32, "L D"]:
    """The vectors farthest from their own centres, as many as centres are lost."""
    distance = np.square(vectors - own).sum(axis=1)
    order = np.argsort(-distance, kind="stable")
    return vectors[order[: int(lost.sum())]]
