"""Every setting, as frozen dataclasses of explicit values."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from camseek.errors import SettingsError

EncodingName = Literal["sum", "ucrow", "crow", "gem", "cam"]
MapNormalisation = Literal["clipped", "minmax"]
RegionReading = Literal["crop", "cells"]
AveragePrecisionForm = Literal["mean", "trapezoid"]

# Which options each encoding has, and their defaults.
_OPTIONS: dict[str, dict[str, Any]] = {
    "sum": {"prior": "none"},
    "ucrow": {},
    "crow": {},
    "gem": {"power": 3.0, "prior": "none"},
    "cam": {"classes": 64, "power": 1.0, "maps": "clipped"},
}
_CHOICES = {
    "name": get_args(EncodingName),
    "prior": ("none", "centre"),
    "maps": get_args(MapNormalisation),
}
_ALIASES = {"spoc": "sum:prior=centre"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How feature maps become a descriptor; ``parse`` makes one, with the defaults of its name.

    Written ``NAME`` or ``NAME:option=value,...``:

    - ``sum[:prior=none|centre]``: sum-pooling; ``centre`` is SPoC's Gaussian prior (alias ``spoc``).
    - ``ucrow``: CroW without its weights; before whitening the same numbers as ``sum``, kept under the
      name that the papers' tables use.
    - ``crow``: cross-dimensional weighting, spatial and channel weights.
    - ``gem[:power=3,prior=none|centre]``: generalised-mean pooling, with SPoC's prior if wanted.
    - ``cam[:classes=64,power=1,maps=clipped|minmax]``: class-weighted features, offline aggregation; with
      ``power=1,maps=clipped`` the paper, above 1 class-weighted GeM.

    Attributes:
        name: The encoding.
        prior: Spatial prior of ``sum`` and ``gem``.
        power: Exponent p of the generalised mean, from 1 to 16 (``gem`` and ``cam``).
        classes: Number of most probable classes summed, N_C, 1 or more (``cam``).
        maps: Normalisation of the activation maps (``cam``): ``clipped`` sets negatives to 0 and divides
            by the maximum, ``minmax`` maps minimum and maximum to 0 and 1.
    """

    name: EncodingName
    prior: Literal["none", "centre"] = "none"
    power: float = 1.0
    classes: int = 64
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
        return int(value) if key == "classes" else float(value)
    except ValueError:
        raise SettingsError(f"{key} cannot be {value!r}", remedy="give a number") from None


DEFAULT_ENCODING = Encoding.parse("gem:prior=centre")
"""The best mean over the four measured sets: docs/decisions/0003-default-encoding.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides a descriptor, saved with the collection.

    Attributes:
        encoding: How maps become a descriptor.
        longer_side: Pictures are scaled down to this longer side, in pixels, never enlarged.
        layer: The model's layer that gives the feature maps.
    """

    encoding: Encoding = DEFAULT_ENCODING
    longer_side: int = 640
    layer: str = "head"

    def __post_init__(self) -> None:
        if not 32 <= self.longer_side <= 4096:
            raise SettingsError(
                f"longer side {self.longer_side} is outside 32 to 4096", remedy="use 32 to 4096 pixels"
            )

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; ``from_json`` reads it back."""
        return asdict(self) | {"encoding": str(self.encoding)}

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
        values: dict[str, Any] = data | {"encoding": Encoding.parse(data["encoding"])}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this machine may spend on one picture.

    Attributes:
        max_pixels: Pictures with more pixels are refused.
    """

    max_pixels: int = 200_000_000
