"""Every setting, as frozen dataclasses of explicit values.

Whatever cannot be is refused where it is made, with ``SettingsError``: wrong types too, as settings come from
command lines, files and forms as well as from programs.
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from math import inf
from numbers import Real
from typing import Any, Literal, Self, cast, get_args, overload

from camseek.arguments import meant, several, whole_number
from camseek.errors import SettingsError

EncodingName = Literal["sum", "ucrow", "crow", "gem", "rmac", "cam"]
MapNormalisation = Literal["clipped", "minmax", "flipped"]
RegionReading = Literal["crop", "cells"]
ResizeKind = Literal["longer", "smaller", "squeezed"]
DeviceName = Literal["cpu", "cuda", "auto"]
Precision = Literal["float32", "float16"]
DEVICE_NAMES: tuple[DeviceName, ...] = get_args(DeviceName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PARTS = ("points", "fine", "sketch")
"""What a collection may keep of each picture beside its descriptor: its local features as visual words
(``points``), the fine points of the second step of verification (``fine``), and the quantised last maps,
whose cells are compared with a query's (``sketch``; of models with axes for it)."""
_NEEDS = {"fine": "points", "sketch": "points"}
AveragePrecisionForm = Literal["mean", "trapezoid"]

# Which options each encoding has, and their defaults. Parser and constructor both read this alone.
_OPTIONS: dict[str, dict[str, Any]] = {
    "sum": {"prior": "none", "weights": "none"},
    "ucrow": {},
    "crow": {},
    "gem": {"power": 3.0, "prior": "none"},
    "rmac": {"scales": 3},
    "cam": {"classes": 64, "power": 1.0, "maps": "clipped"},
}
# Encodings whose descriptor is the sum of several vectors of a picture.
_SEVERAL = frozenset({"rmac", "cam"})
_ALIASES: dict[str, tuple[str, dict[str, Any]]] = {"spoc": ("sum", {"prior": "centre"})}
NEAR_COPY = 0.94
"""The cosine from which on two pictures count as copies: chosen on the pictures of benchmarks/README.md."""
ENCODING_NAMES = (*_OPTIONS, *_ALIASES)
"""Every name that ``Encoding.parse`` knows."""
# What an encoding without an option holds in its place: nothing else, or equal encodings would differ.
_NEUTRAL: dict[str, Any] = {
    "prior": "none",
    "weights": "none",
    "power": 1.0,
    "classes": 64,
    "scales": 3,
    "maps": "clipped",
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "prior": ("none", "centre"),
    "weights": ("none", "channel"),
    "maps": get_args(MapNormalisation),
}
_RANGES: dict[str, tuple[int, int | None]] = {"power": (1, 16), "classes": (1, None), "scales": (1, 6)}


@dataclass(frozen=True, slots=True, init=False)
class Encoding:
    """How feature maps become a descriptor.

    Written ``NAME`` or ``NAME:option=value,...``, which ``parse`` reads; the constructor takes the same
    names and options, and both fill in the defaults of the name:

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
        name: The encoding; an alias is resolved.
        prior: Spatial prior of ``sum`` and ``gem``; none for all others.
        weights: Whether ``sum`` has CroW's channel weights; none for all others.
        power: Exponent p of the generalised mean, from 1 to 16 (``gem`` and ``cam``); 1 for all others.
        classes: Number of most probable classes summed, N_C, 1 or more (``cam``); 64 for all others.
        scales: Scales of the grid of regions, from 1 to 6 (``rmac``); 3 for all others.
        maps: Normalisation of the activation maps (``cam``): ``clipped`` sets negatives to 0 and divides
            by the maximum, ``minmax`` maps minimum and maximum to 0 and 1, ``flipped`` is the paper's
            research code, whose maps that are nowhere positive change their sign; clipped for all others.
    """

    name: EncodingName
    prior: Literal["none", "centre"]
    weights: Literal["none", "channel"]
    power: float
    classes: int
    scales: int
    maps: MapNormalisation

    def __init__(
        self,
        *,
        name: EncodingName | Literal["spoc"],
        prior: Literal["none", "centre"] | None = None,
        weights: Literal["none", "channel"] | None = None,
        power: float | None = None,
        classes: int | None = None,
        scales: int | None = None,
        maps: MapNormalisation | None = None,
    ) -> None:
        """Makes an encoding; what is left out, or None, has the default of its name.

        Raises:
            SettingsError: Unknown name; an option that it does not have, unless at the value that stands
                for none (see Attributes); or a value that cannot be.
        """
        given = {
            "prior": prior,
            "weights": weights,
            "power": power,
            "classes": classes,
            "scales": scales,
            "maps": maps,
        }
        base, options = _options(name)
        object.__setattr__(self, "name", base)
        for key, neutral in _NEUTRAL.items():
            value = given[key]
            if value is None:
                value = options.get(key, neutral)
            elif key not in options and not (isinstance(value, str | Real) and value == neutral):
                raise _no_option(name, key)
            object.__setattr__(self, key, _checked(key, value))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``NAME`` or ``NAME:option=value,...``.

        Raises:
            SettingsError: Unknown name or option, or a value that cannot be.
        """
        name, _, rest = text.strip().partition(":")
        options = _options(name)[1]
        values: dict[str, Any] = {}
        for item in filter(None, rest.split(",")):
            key, _, value = item.partition("=")
            if key not in options:
                raise _no_option(name, key)
            values[key] = value if key in _CHOICES else _number(key, value)
        return cls(name=cast(EncodingName, name), **values)

    @classmethod
    def of(cls, value: "Encoding | str") -> "Encoding":
        """An encoding, or the text of one.

        Raises:
            SettingsError: It is neither, or the text cannot be.
        """
        if isinstance(value, Encoding):
            return value
        if isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # forms and files
            return cls.parse(value)
        raise SettingsError(
            f"the encoding cannot be {value!r}", remedy="give an Encoding, or text such as gem"
        )

    @property
    def one_vector(self) -> bool:
        """Whether a picture has one pooled vector, where others sum several, each whitened."""
        return self.name not in _SEVERAL

    def class_weighted(self) -> "Encoding":
        """The class-weighted encoding beside this one: itself for ``cam``, else the paper's.

        The power of ``gem`` goes with it.
        """
        if self.name == "cam":
            return self
        return Encoding(name="cam", power=self.power if self.name == "gem" else None)

    def with_classes(self, count: int) -> Self:
        """The same encoding with another number of classes summed, N_C; itself where it sums none.

        Raises:
            SettingsError: The count is no whole number of 1 or more.
        """
        _checked("classes", count)
        return replace(self, classes=count) if "classes" in _OPTIONS[self.name] else self

    def __str__(self) -> str:
        """The canonical form: options at their defaults are left out."""
        given = [
            # A whole power without its ".0", any other to its last digit: parse gives the same again.
            f"{key}={int(value) if isinstance(value, float) and value.is_integer() else value!s}"
            for key, default in _OPTIONS[self.name].items()
            if (value := getattr(self, key)) != default
        ]
        return f"{self.name}:{','.join(given)}" if given else self.name


def _options(name: object) -> tuple[str, dict[str, Any]]:
    """The encoding that a name or an alias means, and its options with their defaults."""
    if not isinstance(name, str) or (name not in _OPTIONS and name not in _ALIASES):
        raise SettingsError(
            f"there is no encoding {name!r}{meant(str(name), ENCODING_NAMES)}",
            remedy=f"use one of: {', '.join(ENCODING_NAMES)}",
        )
    base, changed = _ALIASES.get(name, (name, {}))
    return base, _OPTIONS[base] | changed


def _no_option(name: str, key: str) -> SettingsError:
    options = _options(name)[1]
    return SettingsError(
        f"encoding {name} has no option {key!r}{meant(key, options)}",
        remedy=f"its options: {', '.join(options) or 'none'}",
    )


def _number(key: str, text: str) -> int | float:
    try:
        return float(text) if key == "power" else int(text)
    except ValueError:
        raise SettingsError(f"{key} cannot be {text!r}", remedy="give a number") from None


def _checked(key: str, value: object) -> str | int | float:
    """An option's value in the type that is kept."""
    if key in _CHOICES:
        if not isinstance(value, str) or value not in _CHOICES[key]:
            raise SettingsError(
                f"{key} cannot be {value!r}{meant(str(value), _CHOICES[key])}",
                remedy=f"use {' or '.join(_CHOICES[key])}",
            )
        return str(value)
    number = _real(key, value) if key == "power" else _whole(key, value)
    low, high = _RANGES[key]
    if high is None and number < low:
        raise SettingsError(f"{key} {number} is below {low}", remedy=f"use {low} or more")
    # Not number < low: NaN is no number in the range, and compares with none.
    if high is not None and not low <= number <= high:
        raise SettingsError(f"{key} {number} is outside {low} to {high}", remedy=f"use {low} to {high}")
    return number


def _real(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SettingsError(f"{key} cannot be {value!r}", remedy="give a number")
    try:
        return float(value)
    except OverflowError:
        return inf


def _whole(key: str, value: object) -> int:
    """A whole number, NumPy's among them, as Python's; True is none."""
    try:
        return whole_number(value, key)
    except TypeError:
        raise SettingsError(f"{key} cannot be {value!r}", remedy="give a whole number") from None


DEFAULT_ENCODING = Encoding.parse("gem:prior=centre")
"""The best mean over the four measured sets: docs/decisions/0003-default-encoding.md."""

# A panorama's longer side is bounded, or its smaller side alone would let it take any amount of memory.
_LONGEST = 4


def parts_without(without: Iterable[str]) -> tuple[str, ...]:
    """What a collection keeps of each picture if some of it, and what is of no use without that, is left out.

    Raises:
        SettingsError: There is no such part.
        TypeError: It is a text: one part's name.
    """
    left = list(several(without, "parts"))
    for part in left:
        if part not in PARTS:
            raise SettingsError(
                f"there is no part {part!r} to leave out{meant(str(part), PARTS)}",
                remedy=f"use {' or '.join(PARTS)}",
            )
    return tuple(part for part in PARTS if part not in left and _NEEDS.get(part) not in left)


@dataclass(frozen=True, slots=True)
class Resize:
    """The size at which pictures are read; ``parse`` makes one of ``640``, ``smaller:720`` or ``1024x720``.

    Attributes:
        kind: ``longer``: down to this longer side, aspect kept, never enlarged. ``smaller``: to this smaller
            side, enlarged too (the paper's 720), but where the longer one would pass four times of it.
            ``squeezed``: to exactly this size, the longer number along the picture's longer side, whatever
            its aspect (the paper's research code: 1024 x 720 or 720 x 1024).
        longer: Pixels of the longer side; for ``smaller`` the most it may be, four times ``smaller``.
        smaller: Pixels of the smaller side, 1 or more; for ``longer`` the same number.

    Raises:
        SettingsError: The kind is none of these, or the numbers do not fit it: its text could not say them.
    """

    kind: ResizeKind
    longer: int
    smaller: int

    def __post_init__(self) -> None:
        if self.kind not in get_args(ResizeKind):
            kinds = " or ".join(get_args(ResizeKind))
            raise SettingsError(f"there is no kind of size {self.kind!r}", remedy=f"use {kinds}")
        for key in ("longer", "smaller"):
            object.__setattr__(self, key, _whole(f"the {key} side", getattr(self, key)))
        wanted = {"longer": self.smaller, "smaller": _LONGEST * self.smaller}.get(self.kind, self.longer)
        if self.longer != wanted or not 1 <= self.smaller <= self.longer:
            raise SettingsError(
                f"a size of {self.longer} x {self.smaller} cannot be of the kind {self.kind}",
                remedy="use Resize.parse with 640 (longer side), smaller:720, or 1024x720 (squeezed)",
            )

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

    @classmethod
    def of(cls, value: "Resize | str | int") -> "Resize":
        """A size, the text of one, or the pixels of the longer side.

        Raises:
            SettingsError: It is none of these.
        """
        if isinstance(value, Resize):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        return cls.parse(str(_whole("the size", value)))

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


DEFAULT_SIZE = Resize("longer", 640, 640)


LEAST_SIDE = 16
"""Pixels that each side of a picture, and of a region, must have: of the original, and of a region of a whole
picture's maps also as the network sees it (half a cell). Queries scaled down further find little more than
chance does (docs/pictures.md, measured by benchmarks/least_sizes.py)."""


# What each setting is in JSON.
_JSON: dict[str, type] = {"encoding": str, "size": str, "layer": str, "predefined": list}


@dataclass(frozen=True, slots=True, init=False)
class Settings:
    """What decides a descriptor, saved with the collection.

    Attributes:
        encoding: How maps become a descriptor.
        size: The size at which pictures are read; the smaller side of 32 to 4096 pixels.
        layer: The model's layer that gives the feature maps.
        predefined: Class ids that every picture is described with, in place of its own most probable ones
            (paper section 4.3; ``cam`` only): the first ``encoding.classes`` of them. Empty: its own.
    """

    encoding: Encoding
    size: Resize
    layer: str
    predefined: tuple[int, ...]

    def __init__(
        self,
        *,
        encoding: Encoding | str = DEFAULT_ENCODING,
        size: Resize | str | int = DEFAULT_SIZE,
        layer: str = "head",
        predefined: Sequence[int] = (),
    ) -> None:
        """Makes settings; texts are parsed (``Settings(encoding="gem", size=640)``).

        Raises:
            SettingsError: A value cannot be, or two do not go together.
        """
        object.__setattr__(self, "encoding", Encoding.of(encoding))
        object.__setattr__(self, "size", Resize.of(size))
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "predefined", _class_ids(predefined))
        self._check()

    def _check(self) -> None:
        if not 32 <= self.size.smaller <= 4096 or self.size.longer > _LONGEST * 4096:
            raise SettingsError(f"size {self.size} is outside 32 to 4096", remedy="use 32 to 4096 pixels")
        if not isinstance(self.layer, str) or not self.layer:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingsError(
                f"the layer cannot be {self.layer!r}", remedy="give a layer's name, such as head"
            )
        if self.predefined and self.encoding.name != "cam":
            raise SettingsError(
                f"predefined classes do not go with the encoding {self.encoding}",
                remedy="use --encoding cam with them",
            )
        if len(set(self.predefined)) != len(self.predefined) or min(self.predefined, default=0) < 0:
            raise SettingsError(
                "a predefined class stands twice or is negative", remedy="name each class once"
            )

    @overload
    @classmethod
    def of(cls, value: None) -> None: ...
    @overload
    @classmethod
    def of(cls, value: "Settings | Encoding | str | Mapping[str, Any]") -> "Settings": ...
    @classmethod
    def of(cls, value: "Settings | Encoding | str | Mapping[str, Any] | None") -> "Settings | None":
        """Settings as a caller may give them: ``"gem"``, ``{"encoding": "gem", "size": 640}``.

        Args:
            value: Settings; an encoding or the text of one; the fields by name, those left out at their
                defaults; or None, which stays None.

        Raises:
            SettingsError: A value cannot be, or there is no such setting.
            TypeError: It is of another type.
        """
        if value is None or isinstance(value, Settings):
            return value
        if isinstance(value, Encoding | str):
            return cls(encoding=value)
        if isinstance(value, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            known = [field.name for field in fields(cls)]
            if odd := [str(key) for key in value if key not in known]:
                raise SettingsError(
                    f"there is no setting {', '.join(odd)}{meant(odd[0], known)}",
                    remedy=f"use {', '.join(known)}",
                )
            return cls(**value)
        raise TypeError(
            f"settings cannot be {_told(value)}: give Settings, an encoding's text such as 'gem', or a "
            "mapping such as {'encoding': 'gem', 'size': 640}"
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
        """Reads what ``to_json`` wrote, an earlier one's too: what is missing has its default.

        Raises:
            SettingsError: A key is unknown, as a later camseek writes it, or a value cannot be.
            TypeError: It is no dictionary, or a value of another type than ``to_json`` writes.
        """
        if not isinstance(data, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # damaged files
            raise TypeError(f"settings cannot be {_told(data)}")
        if odd := sorted(set(data) - set(_JSON)):
            raise SettingsError(
                f"a later camseek made these settings; they have keys unknown here: {', '.join(odd)}",
                remedy="upgrade camseek",
            )
        for key, value in data.items():
            if not isinstance(value, _JSON[key]):
                raise TypeError(f"the setting {key} cannot be {_told(value)}")
        return cls(**data)


def _class_ids(ids: object) -> tuple[int, ...]:
    # Of a set, which comes first is chance; text and bytes would give letters and bytes.
    if not isinstance(ids, Iterable) or isinstance(ids, str | bytes | bytearray | Mapping | Set):
        told = _told(cast(object, ids))
        raise SettingsError(f"predefined classes cannot be {told}", remedy="give a list of class ids")
    return tuple(_whole("a predefined class", item) for item in cast(Iterable[object], ids))


def _told(value: object) -> str:
    """A value with its type, short enough for a message."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


@dataclass(frozen=True, slots=True)
class Device:
    """What networks run on. No part of a collection: what one machine made, any other searches.

    Attributes:
        name: ``cpu``; ``cuda``, an NVIDIA GPU; or ``auto``, one if there is one that can be used.
        precision: ``float32``, or ``float16`` on a GPU: descriptors are then a little others.

    Raises:
        SettingsError: There is no such device or precision, or the processor is to compute in float16.
    """

    name: DeviceName = "cpu"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for given, known in ((self.name, DEVICE_NAMES), (self.precision, PRECISIONS)):
            if given not in known:
                raise SettingsError(
                    f"networks cannot run on {given!r:.60}{meant(str(given), known)}",
                    remedy=f"use {' or '.join(known)}",
                )
        if (self.name, self.precision) == ("cpu", "float16"):
            raise SettingsError(
                "the processor computes in float32", remedy="leave the precision out, or use the device cuda"
            )

    @classmethod
    def of(cls, given: "Device | str | None") -> "Device":
        """A device as people give it; None for the processor.

        Raises:
            SettingsError: There is none of the name.
        """
        return given if isinstance(given, Device) else cls() if given is None else cls(cast("Any", given))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this machine may spend on one picture.

    Attributes:
        max_pixels: Pictures with more pixels are refused; 1 or more. Their memory is limited by the same
            number: decoding one may take 1.7 GB, or 8.5 bytes for each of these pixels, if that is more.
        max_seconds: Processor time that decoding a picture may take, seconds, above 0; elapsed time on
            systems that do not count it (Windows). Pictures that take more are refused.

    Raises:
        SettingsError: ``max_pixels`` is no whole number of 1 or more, ``max_seconds`` no number above 0.
    """

    max_pixels: int = 200_000_000
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        seconds = _real("max_seconds", self.max_seconds)
        if not seconds > 0:
            raise SettingsError(f"max_seconds {seconds:g} is not above 0", remedy="give seconds, such as 60")
        object.__setattr__(self, "max_seconds", seconds)
        pixels = _whole("max_pixels", self.max_pixels)
        if pixels < 1:
            raise SettingsError(f"max_pixels {pixels} is below 1", remedy="allow at least one pixel")
        object.__setattr__(self, "max_pixels", pixels)

    @property
    def key(self) -> str:
        """What tells these limits from others, on one line."""
        return f"{self.max_pixels}/{self.max_seconds:g}"
