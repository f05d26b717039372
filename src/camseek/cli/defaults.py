"""The user's own defaults: a small TOML file, which only the command line reads."""

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camseek.address import is_server
from camseek.arguments import meant
from camseek.config import DEVICE_NAMES, PRECISIONS
from camseek.errors import SettingsError
from camseek.files import read_regular, reason_of
from camseek.places import config_file

_KEYS = ("collection", "device", "precision")
_MOST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the user's file says.

    Attributes:
        collection: An absolute folder, an address on a server, or None.
        device: What networks run on, of ``camseek.config.DEVICE_NAMES``, or None.
        precision: What a GPU computes in, of ``camseek.config.PRECISIONS``, or None.
    """

    collection: str | None = None
    device: str | None = None
    precision: str | None = None


def read_defaults() -> Defaults:
    """Reads the user's file; all defaults are empty where there is none.

    Raises:
        SettingsError: It cannot be read, is no TOML, or says something that nobody would listen to.
    """
    path = config_file()
    try:
        found = tomllib.loads(read_regular(path, _MOST_BYTES).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Defaults()
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {reason_of(error)}", remedy="make it readable, or take it away"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} is not TOML: {error}", remedy='write it like this: collection = "/where/it/lies"'
        ) from error
    for key in found:
        if key not in _KEYS:
            raise SettingsError(
                f"{path} sets {key}, which camseek does not know{meant(key, _KEYS)}",
                remedy=f"known are: {', '.join(_KEYS)}",
            )
    return Defaults(
        collection=_folder(path, found.get("collection")),
        device=_choice(path, found, "device", DEVICE_NAMES),
        precision=_choice(path, found, "precision", PRECISIONS),
    )


def _choice(path: Path, found: dict[str, Any], key: str, known: Sequence[str]) -> str | None:
    value = found.get(key)
    if value is not None and value not in known:
        raise SettingsError(f"{path}: {key} cannot be {value!r:.60}", remedy=f"use {' or '.join(known)}")
    return value


def _folder(path: Path, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and is_server(value):
        return value
    # A relative one would be another collection in each folder.
    remedy = "give an absolute folder, one that begins with ~/, or milvus://HOST:PORT/NAME"
    if not isinstance(value, str):
        raise SettingsError(f"{path}: collection is no text", remedy=remedy)
    folder = os.path.expanduser(value)
    if not os.path.isabs(folder) or "\0" in folder:
        raise SettingsError(f"{path}: the collection {value!r} is not absolute", remedy=remedy)
    return folder
