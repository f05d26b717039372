"""Plain text in columns."""

from collections.abc import Sequence


def interval(ends: tuple[float, float], sign: str = "") -> str:
    """Two ends of an interval."""
    return f"{ends[0]:{sign}.3f} to {ends[1]:{sign}.3f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
