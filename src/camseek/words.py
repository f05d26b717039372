"""Counted things in words, and how a program says that it was interrupted."""

INTERRUPTED = 130
"""The exit code of a program that was: a shell's, 128 and the signal's number."""
NOTHING_WRITTEN = "nothing was written"


def counted(number: int, noun: str, several: str | None = None) -> str:
    """``1 picture``, ``0 pictures``, ``12,400 pictures``.

    Args:
        number: How many.
        noun: What one of them is.
        several: What more of them are; None for the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
