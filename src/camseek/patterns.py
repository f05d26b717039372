"""Patterns: which files and folders of a root count, in the language of ``.gitignore``."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from camseek.errors import SettingsError
from camseek.names import composed

LEFT_OUT = "@eaDir"
"""Thumbnails that Synology's disks keep beside the pictures."""

# Of one root; characters of one; stars between two slashes, and ** in all.
_MOST, _LONGEST, _MOST_STARS = 1000, 4096, 4
_STARS = re.compile(r"\*+")

_REMEDY = "patterns are those of .gitignore: *.tif, /raw, old/, sub/**/*.png"


@dataclass(frozen=True, slots=True)
class Patterns:
    """What is taken of a root, and what is left out.

    Each pattern is one line of a ``.gitignore`` file that lies in the root: one without a slash stands for
    names at any depth, one with a slash (but for a last one) begins at the root; ``*`` and ``?`` match no
    slash, ``**`` matches any folders; a last slash means folders alone; what matches a folder stands for all
    beneath; ``!`` takes back what earlier patterns matched: the last that matches counts. Capital letters are
    no small ones, on every system; accents may be composed or not.

    Attributes:
        include: If there are any, only files that match are taken.
        exclude: Files and folders that match are left out, included or not.

    Raises:
        SettingsError: One cannot be read.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        patterns = (*self.include, *self.exclude)
        if len(patterns) > _MOST:
            raise SettingsError(f"{len(patterns)} patterns are more than {_MOST}", remedy="give fewer")
        for pattern in patterns:
            _require_simple(pattern)
            _compiled((pattern,))

    @classmethod
    def of(cls, root: bytes, include: Sequence[str], exclude: Sequence[str]) -> "Patterns":
        """Patterns as people give them.

        Besides those of ``.gitignore``: absolute paths in the root, and ``./x``, which is ``/x``. ``#``
        begins no comment, and spaces at the end belong to the name.

        Args:
            root: The folder's absolute path.
            include: Patterns of the files to take; all where there are none.
            exclude: Patterns of files and folders to leave out.

        Raises:
            SettingsError: One is empty, climbs out with ``..``, or cannot be read.
        """
        places = [composed(os.fsdecode(place).rstrip("/")) for place in (root, os.path.realpath(root))]
        given = ([_anchored(pattern, places) for pattern in patterns] for patterns in (include, exclude))
        return cls(*map(tuple, given))

    def without(self, others: "Patterns") -> "Patterns":
        """Those that are not among others."""
        return Patterns(
            tuple(item for item in self.include if item not in others.include),
            tuple(item for item in self.exclude if item not in others.exclude),
        )

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def __str__(self) -> str:
        """As options: ``--include *.jpg --exclude raw/``."""
        options = [("--include", item) for item in self.include] + [
            ("--exclude", item) for item in self.exclude
        ]
        return " ".join(f"{option} {item}" for option, item in options) or "none"

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"include": list(self.include), "exclude": list(self.exclude)}


class Selection:
    """Which entries of one root count, asked entry by entry; remembers which patterns matched any.

    Paths are relative to the root. Hidden entries (a dot before the name) and ``@eaDir`` are left out, unless
    an ``include`` pattern spells the dot or ``@eaDir``.
    """

    def __init__(self, patterns: Patterns, *, hidden: bool = False) -> None:
        """Takes patterns.

        Args:
            patterns: They.
            hidden: Hidden entries and ``@eaDir`` count like all others.
        """
        self._patterns, self._hidden = patterns, hidden
        self._include, self._exclude = _compiled(patterns.include), _compiled(patterns.exclude)
        # Those that have matched nothing yet.
        self._idle = {text: _compiled((text,)).patterns[0] for text in (*patterns.include, *patterns.exclude)}
        parts = (part for pattern in patterns.include for part in pattern.split("/"))
        spelt = [part for part in parts if part.startswith((".", LEFT_OUT))]
        self._spelt = _compiled(tuple(spelt)) if spelt else None

    @property
    def idle(self) -> tuple[str, ...]:
        """The patterns that nothing matched so far that was asked for."""
        return tuple(self._idle)

    def enters(self, path: str) -> bool:
        """Whether what lies in a folder may count; its own folder does."""
        return not self._left_out(path) and not self._matches(path + "/")

    def takes(self, path: str) -> bool:
        """Whether a file counts; its folder does."""
        if self._left_out(path) or self._matches(path):
            return False
        return not self._patterns.include or bool(self._include.match_file(composed(path)))

    def would_take(self, path: bytes) -> bool:
        """Whether a file counts, and every folder above it."""
        text = os.fsdecode(path)
        parts = text.split("/")
        return all(self.enters("/".join(parts[:end])) for end in range(1, len(parts))) and self.takes(text)

    def _matches(self, path: str) -> bool:
        """Whether it is excluded."""
        text = composed(path)
        for pattern, compiled in [*self._idle.items()]:
            if compiled.match_file(text):
                del self._idle[pattern]
        return bool(self._patterns.exclude) and bool(self._exclude.match_file(text))

    def _left_out(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        if self._hidden or (not name.startswith(".") and name != LEFT_OUT):
            return False
        return self._spelt is None or not self._spelt.match_file(composed(name))


def _require_simple(pattern: str) -> None:
    """Refuses what takes a name's length to a high power to match: a collection's maker may have given it.

    Raises:
        SettingsError: It is long, or has many stars.
    """
    parts = pattern.split("/")
    stars = max(*(len(_STARS.findall(part)) for part in parts), parts.count("**"))
    if len(pattern) > _LONGEST or stars > _MOST_STARS:
        raise SettingsError(
            f"the pattern {pattern[:80]!r} is longer than {_LONGEST} characters, or has more than "
            f"{_MOST_STARS} stars between two slashes or folders **",
            remedy="give simpler patterns, several instead of one",
        )


def _compiled(patterns: tuple[str, ...]) -> Any:
    """What matches paths.

    Raises:
        SettingsError: One cannot be read.
    """
    # Here, as most runs have no patterns.
    from pathspec import GitIgnoreSpec

    try:
        compiled = GitIgnoreSpec.from_lines(patterns)
    except (ValueError, re.error) as error:
        shown = ", ".join(patterns)
        raise SettingsError(f"the pattern {shown!r} cannot be read: {error}", remedy=_REMEDY) from error
    return compiled


def _anchored(pattern: str, places: Sequence[str]) -> str:
    """A pattern of people's as ``.gitignore`` has it.

    Args:
        pattern: What was given.
        places: Names of the root.

    Raises:
        SettingsError: It names nothing.
    """
    taken_back, text = pattern.startswith("!"), composed(pattern.removeprefix("!"))
    for place in places:
        if text == place or text.startswith(place + "/"):
            text = text[len(place) :]
            break
    if text.startswith("./"):
        text = text[1:]
    text = re.sub("/(?:[.]?/)+", "/", text)
    if not text.strip("/") or text == "." or ".." in text.split("/"):
        raise SettingsError(f"the pattern {pattern!r} names nothing in the folder", remedy=_REMEDY)
    if text.startswith("#"):
        text = "\\" + text
    bare = text.rstrip(" ")
    if bare != text and not bare.endswith("\\"):
        text = bare + "\\ " * (len(text) - len(bare))
    return "!" * taken_back + text
