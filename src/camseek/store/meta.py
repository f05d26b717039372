"""What a collection says of itself: the rows of the table ``meta``, and the profile they make."""

import json
from typing import Any

from camseek.config import Settings
from camseek.errors import CollectionVersionError
from camseek.store.database import FORMAT_VERSION, corrupt
from camseek.store.migrations import OLDEST, settings_of
from camseek.store.records import Profile, Refit, WhiteningNote

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
_OPTIONAL = {"whitening": bytes, "whitening_note": str, "refit": str, "refit_whitening": bytes}


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


def profile_of(address: str, meta: dict[str, Any]) -> Profile:
    """The profile that the rows tell.

    Raises:
        CollectionVersionError, CorruptCollectionError: As ``check_meta``.
        SettingsError: A later camseek has settings that this one does not know.
    """
    check_meta(address, meta)
    try:
        settings = Settings.from_json(settings_of(meta["format_version"], json.loads(meta["settings"])))
        note = _note(json.loads(meta.get("whitening_note", "null")))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise corrupt(address, error) from error
    return Profile(
        model=meta["model"],
        model_checksum=meta["model_checksum"],
        settings=settings,
        dimensions=meta["dimensions"],
        whitening=meta.get("whitening"),
        whitening_note=note,
        generation=meta.get("generation", 0),
    )


def profile_rows(profile: Profile) -> dict[str, Any]:
    """The rows of a profile; ``profile_of`` reads them."""
    rows: dict[str, Any] = {
        "model": profile.model,
        "model_checksum": profile.model_checksum,
        "settings": json.dumps(profile.settings.to_json()),
        "generation": profile.generation,
    }
    return rows | whitening_rows(profile.dimensions, profile.whitening, profile.whitening_note)


def whitening_rows(dimensions: int, whitening: bytes | None, note: WhiteningNote | None) -> dict[str, Any]:
    """The rows that a fit replaces: what is None has no row."""
    rows: dict[str, Any] = {"dimensions": dimensions}
    if whitening is not None:
        rows["whitening"] = whitening
    if note is not None:
        rows["whitening_note"] = json.dumps(note.to_json())
    return rows


def refit_of(address: str, meta: dict[str, Any]) -> Refit | None:
    """The unfinished refit that the rows tell of.

    Raises:
        CorruptCollectionError: They are damaged.
    """
    if "refit" not in meta:
        return None
    try:
        data = json.loads(meta["refit"])
        dimensions = int(data["dimensions"])
        return Refit(
            asked=str(data["asked"]),
            whitening=meta.get("refit_whitening"),
            dimensions=dimensions,
            note=_note(data["note"]),
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise corrupt(address, error) from error


def refit_rows(refit: Refit) -> dict[str, Any]:
    """The rows of an unfinished refit; ``refit_of`` reads them."""
    data = {
        "asked": refit.asked,
        "dimensions": refit.dimensions,
        "note": refit.note.to_json() if refit.note is not None else None,
    }
    rows: dict[str, Any] = {"refit": json.dumps(data)}
    if refit.whitening is not None:
        rows["refit_whitening"] = refit.whitening
    return rows


def _note(data: Any) -> WhiteningNote | None:
    return None if data is None else WhiteningNote.from_json(data)
