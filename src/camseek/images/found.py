"""What is found where pictures lie."""

import hashlib
from dataclasses import dataclass, field

SECONDS, RATE = 60.0, 250_000
"""A file may take so many seconds to come, and one more for so many of its bytes."""
UNMARKED = -2
"""In the place of a number that tells a file's content from others, where a server gives none."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A picture, or a file that claims to be one.

    Attributes:
        path: Its absolute name; of a symbolic link the link's name, with the target's size and times.
        size: Bytes; -1 where a server does not say.
        mtime_ns: When its content changed last, nanoseconds; -1 where a server does not say.
        ctime_ns: When its content or its entry changed last, nanoseconds. Of what lies elsewhere a number
            made of its tag or version, another one for another content; -2 where a server gives none.
    """

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(slots=True)
class Walk:
    """What a folder holds.

    Attributes:
        files: Pictures by name or by content, sorted by the bytes of their paths.
        unknown: Path, reason and code (``unreadable``, ``not_permitted``) of each folder that could not be
            read (nothing beneath it is known), and of each file that could not be looked into.
        skipped: Path, reason and code of what is no picture for certain: ``not_a_file`` (named pipes,
            sockets, devices), ``broken_link``, ``not_a_picture`` (empty files with a picture's name).
        ignored: Number of other files. What is hidden, excluded or not included is not counted.
        idle: Patterns that nothing matched.
        whole: Whether what is in neither of these is not there: else something could not be read, and
            nobody can tell which pictures it names.
    """

    files: list[FoundFile] = field(default_factory=list[FoundFile])
    unknown: list[tuple[bytes, str, str]] = field(default_factory=list[tuple[bytes, str, str]])
    skipped: list[tuple[bytes, str, str]] = field(default_factory=list[tuple[bytes, str, str]])
    ignored: int = 0
    idle: tuple[str, ...] = ()
    whole: bool = True

    def sort(self) -> None:
        """Puts everything in the order of its paths' bytes."""
        self.files.sort(key=lambda file: file.path)
        self.unknown.sort()
        self.skipped.sort()


def mark_of(text: str) -> int:
    """A number in [0, 2^62) that tells a tag or a version from others."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2
