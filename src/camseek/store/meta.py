"""What a collection says of itself: the rows of the table ``meta``, and the profile they make."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from camseek.config import PARTS, Settings
from camseek.encoding.whitening import Whitening
from camseek.errors import CollectionVersionError, SettingsError
from camseek.store.database import FORMAT_VERSION, corrupt
from camseek.store.migrations import OLDEST, settings_of
from camseek.store.records import TRACES, Profile, Refit, WhiteningNote

# Every collection has the first; the others only where there is something to say.
_REQUIRED = {
    "format_version": int,
    "created": str,
    "model": str,
    "model_checksum": str,
    "settings": str,
    "dimensions": int,
    "generation": int,
}
_OPTIONAL = {
    "keeps": str,
    "whitening": bytes,
    "whitening_note": str,
    "refit": str,
    "refit_whitening": bytes,
    "words_index": str,
    "descriptor_codes": str,
}

# What anybody may have written is not built, compared or shown beyond these: bytes of all, characters of a
# text and of a name, rows, and what a number may be.
MOST_BYTES, _MOST_TEXT, _MOST_NAME = 1 << 27, 1 << 20, 200
MOST_ROWS = 100
_RANGES = {"dimensions": (1, 1 << 16), "generation": (0, 1 << 40)}
_CHECKSUM = re.compile("[0-9a-f]{64}")


def check_meta(address: str, meta: dict[str, Any]) -> None:
    """Makes sure that the rows are there and have their types.

    Raises:
        CollectionVersionError: A later camseek made the collection.
        CorruptCollectionError: One is missing or has another type.
    """
    version = meta.get("format_version")
    if isinstance(version, int) and not OLDEST <= version <= FORMAT_VERSION:
        raise CollectionVersionError(
            f"{address} has format {version}; this camseek knows formats {OLDEST} to {FORMAT_VERSION}",
            remedy="upgrade camseek" if version > FORMAT_VERSION else "index the pictures anew",
        )
    for key, kind in (_REQUIRED | _OPTIONAL).items():
        missing = key not in meta and (key in _OPTIONAL or (key == "generation" and version == 1))
        if not missing and not isinstance(meta.get(key), kind):
            raise corrupt(address, ValueError(f"its {key} is missing or no {kind.__name__}"))
    for key in ("created", "model", "model_checksum", "settings"):
        _require_text(address, key, meta[key], _MOST_TEXT if key == "settings" else _MOST_NAME)
    if not _CHECKSUM.fullmatch(meta["model_checksum"]):
        raise corrupt(address, ValueError("its model_checksum is no SHA-256"))
    if not _is_time(meta["created"]):
        raise corrupt(address, ValueError("its created is no time"))
    for key, (low, high) in _RANGES.items():
        if not low <= meta.get(key, low) <= high:
            raise corrupt(address, ValueError(f"its {key} is outside {low} to {high}"))


def profile_of(address: str, meta: dict[str, Any]) -> Profile:
    """The profile that the rows tell.

    Raises:
        CollectionVersionError, CorruptCollectionError: As ``check_meta``.
        SettingsError: A later camseek has settings, or keeps parts, that this one does not know.
    """
    check_meta(address, meta)
    try:
        settings = Settings.from_json(settings_of(meta["format_version"], _settings(meta["settings"])))
        note = _note(_json(meta.get("whitening_note", "null")))
        _require_fit(meta.get("whitening"), meta["dimensions"], note)
        keeps = tuple(str(part) for part in list(_json(meta.get("keeps", "[]"))))
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise corrupt(address, _short(error)) from error
    if later := sorted(set(keeps) - set(PARTS)):
        raise SettingsError(
            f"a later camseek made {address}; it keeps what is unknown here: {', '.join(later):.200}",
            remedy="upgrade camseek",
        )
    return Profile(
        model=meta["model"],
        model_checksum=meta["model_checksum"],
        settings=settings,
        dimensions=meta["dimensions"],
        whitening=meta.get("whitening"),
        whitening_note=note,
        generation=meta.get("generation", 0),
        keeps=keeps,
    )


def profile_rows(profile: Profile) -> dict[str, Any]:
    """The rows of a profile; ``profile_of`` reads them."""
    rows: dict[str, Any] = {
        "model": profile.model,
        "model_checksum": profile.model_checksum,
        "settings": json.dumps(profile.settings.to_json()),
        "generation": profile.generation,
    }
    rows |= keeps_rows(profile.keeps)
    return rows | whitening_rows(profile.dimensions, profile.whitening, profile.whitening_note)


def keeps_rows(keeps: tuple[str, ...]) -> dict[str, Any]:
    """The row that says what is kept of each picture; none where nothing is."""
    return {"keeps": json.dumps(keeps)} if keeps else {}


def whitening_rows(dimensions: int, whitening: bytes | None, note: WhiteningNote | None) -> dict[str, Any]:
    """The rows that a fit replaces: what is None has no row."""
    rows: dict[str, Any] = {"dimensions": dimensions}
    if whitening is not None:
        rows["whitening"] = whitening
    if note is not None:
        rows["whitening_note"] = json.dumps(note.to_json())
    return rows


@dataclass(frozen=True, slots=True)
class Slot:
    """What the rows tell of the representation beside.

    Attributes:
        refit: What it is.
        kept: Whether it was in use before; otherwise it is in the making.
        side: Which rows of ``refit_traces`` are its own, 0 or 1.
    """

    refit: Refit
    kept: bool = False
    side: int = 0


PROFILE_KEYS = (
    "model",
    "model_checksum",
    "settings",
    "generation",
    "keeps",
    "dimensions",
    "whitening",
    "whitening_note",
)
"""The rows of a profile."""
# Which of these are no part of the one row of what is beside: they have their own, or are of no account.
_ELSEWHERE = {"whitening", "whitening_note", "generation"}


def slot_of(address: str, meta: dict[str, Any]) -> Slot | None:
    """The representation beside that the rows tell of.

    Raises:
        CorruptCollectionError: They are damaged.
    """
    if "refit" not in meta:
        return None
    try:
        data: dict[str, Any] = dict(_json(meta["refit"]))
        asked, note = data.pop("asked"), data.pop("note")
        kinds: list[Any] = list(data.pop("kinds", []))
        kept, side = data.pop("kept", False), data.pop("side", 0)
        if not isinstance(asked, str) or type(data["dimensions"]) is not int or type(kept) is not bool:
            raise ValueError("its refit asks for what cannot be")
        if not set(kinds) <= set(TRACES.values()) or side not in (0, 1):
            raise ValueError("its refit is of traces that nobody makes")
        # Earlier formats changed the whitening alone: the rest is what it is.
        rows = {key: value for key, value in meta.items() if key not in _ELSEWHERE} | data
        rows |= {"whitening_note": json.dumps(note), "generation": 0}
        if "refit_whitening" in meta:
            rows["whitening"] = meta["refit_whitening"]
        profile = profile_of(address, rows)
        return Slot(Refit(asked=asked, profile=profile, kinds=tuple(kinds)), kept, int(side))
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise corrupt(address, _short(error)) from error


def slot_rows(slot: Slot) -> dict[str, Any]:
    """The rows of the representation beside; ``slot_of`` reads them."""
    profile = slot.refit.profile
    note = profile.whitening_note
    data = {key: value for key, value in profile_rows(profile).items() if key not in _ELSEWHERE} | {
        "asked": slot.refit.asked,
        "kinds": slot.refit.kinds,
        "kept": slot.kept,
        "side": slot.side,
        "note": note.to_json() if note is not None else None,
        "keeps": json.dumps(profile.keeps),
    }
    rows: dict[str, Any] = {"refit": json.dumps(data)}
    if profile.whitening is not None:
        rows["refit_whitening"] = profile.whitening
    return rows


def _note(data: Any) -> WhiteningNote | None:
    return None if data is None else WhiteningNote.from_json(data)


def _require_text(address: str, key: str, text: str, most: int) -> None:
    if not text or len(text) > most or "\0" in text:
        raise corrupt(address, ValueError(f"its {key} is empty, too long, or holds a zero byte"))


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _json(text: str) -> Any:
    """What a text in JSON says.

    Raises:
        ValueError: It is none, too long or too deep, or says what JSON has no number for.
    """
    if len(text) > _MOST_TEXT:
        raise ValueError("a text is too long")
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("a text in JSON is too deep") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _settings(text: str) -> Any:
    """Settings whose texts are short: what cannot be is told with its text."""
    data = _json(text)
    if any(isinstance(value, str) and len(value) > _MOST_NAME for value in dict(data).values()):
        raise ValueError("a setting is too long")
    return data


def _require_fit(whitening: bytes | None, dimensions: int, note: WhiteningNote | None) -> None:
    """Makes sure that a whitening is one, gives descriptors of this length, and is the one of the note.

    Raises:
        ValueError: It is not.
    """
    if whitening is None:
        if note is not None:
            raise ValueError("a note tells of a whitening that is not there")
        return
    channels, gives, checksum = _told_of(whitening)
    if gives != dimensions:
        raise ValueError(f"its whitening gives {gives} dimensions, its descriptors have {dimensions}")
    if note is not None and (note.channels, note.dimensions, note.checksum) != (channels, gives, checksum):
        raise ValueError("its whitening is not the one that its note tells of")


@lru_cache(maxsize=2)
def _told_of(whitening: bytes) -> tuple[int, int, str]:
    """The lengths of vectors before and after a whitening, and its checksum."""
    made = Whitening.from_bytes(whitening)
    return *made.projection.shape, made.checksum


def _short(error: Exception) -> Exception:
    """An error whose words are few, whatever it quotes."""
    return ValueError(f"what it says of itself cannot be: {error!s:.200}")
