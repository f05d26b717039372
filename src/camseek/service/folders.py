"""Folders of the machine that may be added to a collection: under those alone that its owner allowed."""

import os
from collections.abc import Sequence
from pathlib import Path

from camseek.service.problems import ApiError

# Of a folder's folders so many are told.
_TOLD = 2000


class Folders:
    """Allowed folders and those in them, by names that begin with the allowed one's own."""

    def __init__(self, allowed: Sequence[Path]) -> None:
        """Takes the allowed folders."""
        self._roots: dict[str, Path] = {}
        for place in allowed:
            base = place.name or "/"
            name, number = base, 1
            while name in self._roots:
                number += 1
                name = f"{base} ({number})"
            self._roots[name] = place

    def __bool__(self) -> bool:
        return bool(self._roots)

    def place(self, name: str) -> Path:
        """Where a folder lies.

        Raises:
            ApiError: It is none of those, or leads out of them.
        """
        nothing = ApiError(404, "no_folder", "there is no such folder, or it may not be added")
        first, *inner = name.split("/")
        root = self._roots.get(first)
        if root is None or "\0" in name or any(not part or part.startswith(".") for part in inner):
            raise nothing
        found = root.joinpath(*inner)
        try:
            # A link must not lead to what nobody allowed.
            inside = found.resolve(strict=True).is_relative_to(root.resolve(strict=True))
        except (OSError, RuntimeError, ValueError) as error:
            raise nothing from error
        if not inside or not found.is_dir():
            raise nothing
        return found

    def within(self, name: str) -> list[str]:
        """The names of the folders in one, sorted; of the allowed ones where it is empty.

        Raises:
            ApiError: As ``place``; it cannot be read.
        """
        if not name:
            return sorted(self._roots)
        try:
            with os.scandir(self.place(name)) as entries:
                found = [item.name for item in entries if not item.name.startswith(".") and item.is_dir()]
        except OSError as error:
            raise ApiError(403, "not_readable", "this folder cannot be looked into") from error
        return [f"{name}/{item}" for item in sorted(filter(_told, found), key=str.casefold)[:_TOLD]]


def _told(name: str) -> bool:
    """Whether a name can be written in a request: what is no UTF-8 cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
