"""Every setting, as frozen dataclasses of explicit values."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from camseek.errors import SettingsError

EncodingName = Literal["sum", "ucrow", "crow", "gem", "rmac", "cam"]
MapNormalisation = Literal["clipped", "minmax", "flipped"]
RegionReading = Literal["crop", "cells"]
Aggregation = Literal["offline", "online", "predefined"]
ResizeKind = Literal["longer", "smaller", "squeezed"]
AveragePrecisionForm = Literal["mean", "trapezoid"]

# Which options each encoding has, and their defaults.
_OPTIONS: dict[str, dict[str, Any]] = {
    "sum": {"prior": "none", "weights": "none"},
    "ucrow": {},
    "crow": {},
    "gem": {"power": 3.0, "prior": "none"},
    "rmac": {"scales": 3},
    "cam": {"classes": 64, "power": 1.0, "maps": "clipped"},
}
_CHOICES = {
    "name": get_args(EncodingName),
    "prior": ("none", "centre"),
    "weights": ("none", "channel"),
    "maps": get_args(MapNormalisation),
}
_ALIASES = {"spoc": "sum:prior=centre"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How feature maps become a descriptor; ``parse`` makes one, with the defaults of its name.

    Written ``NAME`` or ``NAME:option=value,...``:

    - ``sum[:prior=none|centre,weights=none|channel]``: sum-pooling; ``centre`` is SPoC's Gaussian prior
      (alias ``spoc``), ``channel`` CroW's channel weights (the paper's "raw + CroW").
    - ``ucrow``: CroW without its weights; before whitening the same numbers as ``sum``, kept under the
      name that the papers' tables use.
    - ``crow``: cross-dimensional weighting, spatial and channel weights.
    - ``gem[:power=3,prior=none|centre]``: generalised-mean pooling, with SPoC's prior if wanted.
    - ``rmac[:scales=3]``: regional maxima, each whitened, summed (Tolias et al. 2016).
    - ``cam[:classes=64,power=1,maps=clipped|minmax|flipped]``: class-weighted features; with
      ``power=1,maps=clipped`` the paper (Jimenez et al. 2017), above 1 class-weighted GeM.

    Attributes:
        name: The encoding.
        prior: Spatial prior of ``sum`` and ``gem``.
        weights: Whether ``sum`` has CroW's channel weights.
        power: Exponent p of the generalised mean, from 1 to 16 (``gem`` and ``cam``).
        classes: Number of most probable classes summed, N_C, 1 or more (``cam``).
        scales: Scales of the grid of regions, from 1 to 6 (``rmac``).
        maps: Normalisation of the activation maps (``cam``): ``clipped`` sets negatives to 0 and divides
            by the maximum, ``minmax`` maps minimum and maximum to 0 and 1, ``flipped`` is the paper's
            research code, whose maps that are nowhere positive change their sign.
    """

    name: EncodingName
    prior: Literal["none", "centre"] = "none"
    weights: Literal["none", "channel"] = "none"
    power: float = 1.0
    classes: int = 64
    scales: int = 3
    maps: MapNormalisation = "clipped"

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise SettingsError(
                    f"{key} cannot be {getattr(self, key)!r}", remedy=f"use {' or '.join(choices)}"
                )
        if not 1.0 <= self.power <= 16.0:
            raise SettingsError(f"power {self.power} is outside 1 to 16", remedy="use a power from 1 to 16")
        if self.classes < 1:
            raise SettingsError(f"classes {self.classes} is below 1", remedy="sum at least one class")
        if not 1 <= self.scales <= 6:
            raise SettingsError(f"scales {self.scales} is outside 1 to 6", remedy="use 1 to 6 scales")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``NAME`` or ``NAME:option=value,...``.

        Raises:
            SettingsError: Unknown name or option, or a value that cannot be.
        """
        name, _, rest = _ALIASES.get(text.strip(), text.strip()).partition(":")
        if name not in _OPTIONS:
            known = ", ".join([*_OPTIONS, *_ALIASES])
            raise SettingsError(f"there is no encoding {name!r}", remedy=f"use one of: {known}")
        values: dict[str, Any] = dict(_OPTIONS[name])
        for item in filter(None, rest.split(",")):
            key, _, value = item.partition("=")
            if key not in values:
                options = ", ".join(values) or "none"
                raise SettingsError(
                    f"encoding {name} has no option {key!r}", remedy=f"its options: {options}"
                )
            values[key] = _parse_value(key, value)
        return cls(name=name, **values)  # pyright: ignore[reportArgumentType]  # checked against _OPTIONS

    def __str__(self) -> str:
        """The canonical form: options at their defaults are left out."""
        given = [
            # A whole power without its ".0", any other to its last digit: parse gives the same again.
            f"{key}={int(value) if isinstance(value, float) and value.is_integer() else value!s}"
            for key, default in _OPTIONS[self.name].items()
            if (value := getattr(self, key)) != default
        ]
        return f"{self.name}:{','.join(given)}" if given else self.name


def _parse_value(key: str, value: str) -> str | int | float:
    if key in _CHOICES:
        return value
    try:
        return float(value) if key == "power" else int(value)
    except ValueError:
        raise SettingsError(f"{key} cannot be {value!r}", remedy="give a number") from None


DEFAULT_ENCODING = Encoding.parse("gem:prior=centre")
"""The best mean over the four measured sets: docs/decisions/0003-default-encoding.md."""


@dataclass(frozen=True, slots=True)
class Resize:
    """The size at which pictures are read; ``parse`` makes one of ``640``, ``smaller:720`` or ``1024x720``.

    Attributes:
        kind: ``longer``: down to this longer side, aspect kept, never enlarged. ``smaller``: to this smaller
            side, enlarged too (the paper's 720), but where the longer one would pass four times of it.
            ``squeezed``: to exactly this size, the longer number along the picture's longer side, whatever
            its aspect (the paper's research code: 1024 x 720 or 720 x 1024).
        longer: Pixels of the longer side; for ``smaller`` the most it may be.
        smaller: Pixels of the smaller side; for ``longer`` the same number.
    """

    kind: ResizeKind
    longer: int
    smaller: int

    def __post_init__(self) -> None:
        if not 1 <= self.smaller <= self.longer:
            raise ValueError(f"a size of {self.longer} x {self.smaller}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``640``, ``smaller:720`` or ``1024x720``.

        Raises:
            SettingsError: It is none of these.
        """
        found = re.fullmatch(r"(?:(smaller|longer):)?(\d{1,5})(?:x(\d{1,5}))?", text.strip())
        if not found or (found[1] and found[3]):
            raise SettingsError(
                f"there is no size {text!r}",
                remedy="use 640 (longer side), smaller:720, or 1024x720 (squeezed)",
            )
        first = int(found[2])
        if not all(int(number) for number in found.groups()[1:] if number):
            raise SettingsError(f"size {text} has no pixels", remedy="use 32 to 4096 pixels")
        if found[3]:
            second = int(found[3])
            return cls("squeezed", max(first, second), min(first, second))
        if found[1] == "smaller":
            return cls("smaller", _LONGEST * first, first)
        return cls("longer", first, first)

    def __str__(self) -> str:
        """The form that ``parse`` reads."""
        match self.kind:
            case "longer":
                return str(self.longer)
            case "smaller":
                return f"smaller:{self.smaller}"
            case "squeezed":
                return f"{self.longer}x{self.smaller}"

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """The size that a picture gets.

        Args:
            width: Of the upright picture, pixels, 1 or more.
            height: Likewise.

        Returns:
            Width and height, each 1 or more.
        """
        if self.kind == "squeezed":
            return (self.longer, self.smaller) if width >= height else (self.smaller, self.longer)
        share = self._scale(max(width, height), min(width, height))
        return max(round(width * share), 1), max(round(height * share), 1)

    def share(self, width: int, height: int) -> float:
        """How far a picture may be scaled down, above 0 to 1, and still cover what ``fit`` gives."""
        return min(1.0, self._scale(max(width, height), min(width, height)))

    def _scale(self, long: int, short: int) -> float:
        match self.kind:
            case "longer":
                return min(1.0, self.longer / long)
            case "smaller":
                return min(self.longer / long, self.smaller / short)
            case "squeezed":
                return max(self.longer / long, self.smaller / short)


# A panorama's longer side is bounded, or its smaller side alone would let it take any amount of memory.
_LONGEST = 4
DEFAULT_SIZE = Resize("longer", 640, 640)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides a descriptor, saved with the collection.

    Attributes:
        encoding: How maps become a descriptor.
        size: The size at which pictures are read.
        layer: The model's layer that gives the feature maps.
        predefined: Class ids that every picture is described with, in place of its own most probable ones
            (paper section 4.3; ``cam`` only): the first ``encoding.classes`` of them. Empty: its own.
    """

    encoding: Encoding = DEFAULT_ENCODING
    size: Resize = DEFAULT_SIZE
    layer: str = "head"
    predefined: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 32 <= self.size.smaller <= 4096 or self.size.longer > _LONGEST * 4096:
            raise SettingsError(f"size {self.size} is outside 32 to 4096", remedy="use 32 to 4096 pixels")
        if self.predefined and self.encoding.name != "cam":
            raise SettingsError(
                f"predefined classes do not go with the encoding {self.encoding}",
                remedy="use --encoding cam with them",
            )
        if len(set(self.predefined)) != len(self.predefined) or min(self.predefined, default=0) < 0:
            raise SettingsError(
                "a predefined class stands twice or is negative", remedy="name each class once"
            )

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; ``from_json`` reads it back."""
        return {
            "encoding": str(self.encoding),
            "size": str(self.size),
            "layer": self.layer,
            "predefined": list(self.predefined),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what ``to_json`` wrote.

        Raises:
            SettingsError: A key is unknown or missing.
        """
        known = {field.name for field in fields(cls)}
        if set(data) != known:
            odd = ", ".join(sorted(set(data) ^ known))
            raise SettingsError(f"settings with unknown or missing keys: {odd}", remedy="upgrade camseek")
        values: dict[str, Any] = data | {
            "encoding": Encoding.parse(data["encoding"]),
            "size": Resize.parse(data["size"]),
            "predefined": tuple(data["predefined"]),
        }
        return cls(**values)


RERANK_CLASSES = 6
"""N_re: classes of the query that candidates' regions are described with (METHOD, re-ranking)."""
HEAT_CLASSES = 2
"""Classes of the query whose maps make the heat map that regions are proposed from (ibid.)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a search does after, or in place of, comparing stored descriptors.

    Attributes:
        aggregation: Which classes are summed (METHOD, "Which classes are summed"). ``offline``: what the
            collection's descriptors hold. ``online``: the query's own most probable classes, for the query
            and for each picture of the shortlist. ``predefined``: those of ``predefined``, likewise.
        classes: N_C for ``online`` and ``predefined``; None for the encoding's (64).
        predefined: Class ids of ``predefined``, most wanted first.
        attend: Class ids that the user wants attended to: ``online`` with these in place of the query's.
        shortlist: How many pictures are described anew where the stored descriptors do not serve.
        expand: Top results whose descriptors are summed into a new query; 0 for no expansion.
        expand_with_query: The query's own descriptor is in that sum (CroW's form).
        rerank: R, how many of the first are compared region by region; 0 for none.
    """

    aggregation: Aggregation = "offline"
    classes: int | None = None
    predefined: tuple[int, ...] = ()
    attend: tuple[int, ...] = ()
    shortlist: int = 100
    expand: int = 0
    expand_with_query: bool = False
    rerank: int = 0

    def __post_init__(self) -> None:
        if self.aggregation not in get_args(Aggregation):
            raise SettingsError(
                f"there is no aggregation {self.aggregation!r}", remedy="use offline, online or predefined"
            )
        if (self.classes is not None and self.classes < 1) or self.shortlist < 1:
            raise SettingsError("classes and shortlist are 1 or more", remedy="use 1 or more")
        if self.expand < 0 or self.rerank < 0:
            raise SettingsError("expand and rerank are 0 or more", remedy="use 0 for none")
        if self.expand_with_query and not self.expand:
            raise SettingsError(
                "the query joins an expansion that there is none of",
                remedy="say how many results with --expand",
            )
        if self.aggregation == "predefined" and not self.predefined:
            raise SettingsError(
                "predefined aggregation without a list of classes", remedy="give one with --class-list"
            )
        if self.predefined and self.aggregation != "predefined":
            raise SettingsError(
                "a list of classes goes with predefined aggregation", remedy="use --aggregation predefined"
            )
        if self.attend and self.aggregation != "online":
            raise SettingsError(
                "classes to attend to are a kind of online aggregation", remedy="use --aggregation online"
            )
        if self.attend and self.classes is not None:
            raise SettingsError(
                "the classes to attend to are all summed", remedy="leave out the number of classes"
            )
        if self.classes is not None and self.aggregation == "offline":
            raise SettingsError(
                "the number of classes of offline aggregation is the collection's",
                remedy="use --aggregation online, or index with --encoding cam:classes=N",
            )

    @property
    def looks(self) -> bool:
        """Whether pictures may be looked at again."""
        return self.aggregation != "offline" or self.rerank > 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"predefined": list(self.predefined), "attend": list(self.attend)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this machine may spend on one picture.

    Attributes:
        max_pixels: Pictures with more pixels are refused.
    """

    max_pixels: int = 200_000_000
