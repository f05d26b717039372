"""What a search found: as text, as a table, as JSON."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from camseek.cli.output import note, printable, say, shown
from camseek.cli.queries import Asked
from camseek.cli.tables import safe_cell
from camseek.names import name_text, path_json
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.results import Hit, SearchResult, Skipped
    from camseek.searching import QueryPart

    Parts = tuple[QueryPart, ...] | Skipped
    Answer = SearchResult | Skipped

_FROM_HERE = "--- from here on no better than chance ---"
_NOTHING = "--- nothing stands out: it may not be in this collection ---"


def without_views(answer: "Answer") -> "Answer":
    """The answer without pictures: those of many queries would fill the memory."""
    from camseek.results import SearchResult

    return replace(answer, query_views=(), views=()) if isinstance(answer, SearchResult) else answer


def failed(answers: "Sequence[Answer]") -> int:
    """How many queries could not be used."""
    from camseek.results import Skipped

    return sum(isinstance(answer, Skipped) for answer in answers)


class Printer:
    """Prints answers as they come, for people."""

    def __init__(self, asked: Asked, *, boxes: bool, quiet: bool) -> None:
        """Takes what was asked.

        Args:
            asked: Several queries are told with their names.
            boxes: Whether boxes were asked for.
            quiet: Nothing is printed on standard output: something else is.
        """
        self._asked = asked
        self._boxes = boxes
        self._quiet = quiet
        self._count = self._failed = 0

    def tell(self, parts: "Parts", answer: "Answer") -> None:
        """Prints one answer."""
        from camseek.results import SearchResult

        self._count += 1
        if not isinstance(answer, SearchResult):
            self._failed += 1
            note(f"no query: {printable(answer.reason)}")
        if self._quiet:
            return
        if self._asked.several:
            if self._count > 1:
                say("")
            say(f"query {self._count}: {_name(parts, answer)}")
        if isinstance(answer, SearchResult):
            for line in _lines(answer, boxes=self._boxes):
                say(line)
            _remark(answer, several=self._asked.several)
        else:
            say(f"      cannot be used: {printable(answer.reason)}")

    def finish(self) -> None:
        """Says how many of several queries could not be used."""
        if self._asked.several and self._failed:
            note(f"{self._failed:,} of {counted(self._count, 'query', 'queries')} could not be used")


def _name(parts: "Parts", answer: "Answer") -> str:
    """The query's name, and its region as the user gave it or in pixels."""
    from camseek.results import SearchResult

    if isinstance(answer, SearchResult):
        items = [(item.path, item.region) for item in answer.query.pictures]
        named = [
            " ".join(filter(None, [shown(path or b""), ",".join(map(str, region)) if region else ""]))
            for path, region in items
        ]
        return " + ".join(named)
    region = _given_region(parts)
    return shown(answer.path) + (f" {region}" if region else "")


def _given_region(parts: "Parts") -> str:
    from camseek.results import Skipped

    if isinstance(parts, Skipped) or parts[0].region is None:
        return ""
    region = parts[0].region
    return ",".join(map(str, region)) if isinstance(region, tuple) else str(region)


def _lines(result: "SearchResult", *, boxes: bool) -> list[str]:
    """A line for each name of each hit; those of a copy have = in place of the rank."""
    lines: list[str] = []
    for place, hit in enumerate(result.hits):
        # Hits come by score: from the first one that does not stand out on, none does.
        if hit.stands_out is False and (place == 0 or result.hits[place - 1].stands_out):
            lines.append(_NOTHING if place == 0 else _FROM_HERE)
        box = ",".join(map(str, hit.box)) if hit.box else "-"
        middle = f"{hit.score:6.3f}  " + (f"{box:>23}  " if boxes else "")
        lines.append(f"{hit.rank:4d}  {middle}{shown(hit.paths_bytes[0])}")
        lines.extend(f"   =  {middle}{shown(path)}" for path in hit.paths_bytes[1:])
        if hit.verdict:
            lines.append(f"      {printable(str(hit.verdict))}")
    return lines


def _remark(result: "SearchResult", *, several: bool) -> None:
    """What is to say besides, on standard error."""
    if not result.searched:
        note("nothing to find: the collection holds no other pictures")
    for hit in result.hits:
        if hit.box_reason:
            note(f"      no box in {shown(hit.path_bytes)}: {printable(hit.box_reason)}")
        if hit.kept:
            note(f"      {shown(hit.path_bytes)} could not be looked at again: {printable(hit.kept)}")
    if several:
        return
    for stage in result.stages[1:]:
        classes = f", {counted(len(stage.classes), 'class', 'classes')}" if stage.classes else ""
        kept = f", {stage.details['kept']} of them could not be read" if stage.details.get("kept") else ""
        note(f"{stage.name}: {counted(stage.pictures, 'picture')}{classes}{kept}")
    seen = ", ".join(f"{item.name} {item.probability:.0%}" for item in result.query.classes[:3])
    saw = f"; the network saw {seen}" if seen else ""
    note(f"{counted(result.searched, 'picture')} searched in {result.seconds:.2f} s{saw}")


# -- JSON ---------------------------------------------------------------------------------------------------


def to_json(asked: Asked, answers: "Sequence[Answer]") -> dict[str, Any]:
    """One query as its result; several under ``queries``, those that failed with an ``error``."""
    if not asked.several:
        [result] = answers
        return result.to_json()
    told = [_told(parts, answer) for parts, answer in zip(asked.queries, answers, strict=True)]
    return {"queries": told, "failed": failed(answers)}


def _told(parts: "Parts", answer: "Answer") -> dict[str, Any]:
    from camseek.results import SearchResult

    if isinstance(answer, SearchResult):
        return answer.to_json()
    asked = {**path_json(answer.path), "region": _given_region(parts) or None}
    return {"query": {"pictures": [asked]}, "error": {"code": answer.code, "message": answer.reason}}


# -- a table ------------------------------------------------------------------------------------------------

_QUERY = ("query", "region")
_PLACE = ("x1", "y1", "x2", "y2")
_HIT = ("rank", "score", "scored_by", "path", "other_paths", "width", "height", *_PLACE, "same", "stands_out")


def csv_text(asked: Asked, answers: "Sequence[Answer]") -> str:
    """A line for each hit; a query without one has a line of its own, with the reason where it failed.

    Names are written as in the text output, so that every one is whole; those of copies stand in one cell, a
    line each. No cell is a formula.
    """
    from camseek.results import SearchResult

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_QUERY, *_HIT, "error"])
    for parts, answer in zip(asked.queries, answers, strict=True):
        found = isinstance(answer, SearchResult)
        query = [safe_cell(text) for text in _query_cells(parts, answer)]
        rows = [_hit_cells(hit) for hit in answer.hits] if found else []
        reason = "" if found else safe_cell(printable(answer.reason))
        for row in rows or [[""] * len(_HIT)]:
            writer.writerow([*query, *row, reason])
    return file.getvalue()


def _query_cells(parts: "Parts", answer: "Answer") -> tuple[str, str]:
    from camseek.results import SearchResult

    if not isinstance(answer, SearchResult):
        return name_text(answer.path), _given_region(parts)
    items = answer.query.pictures
    regions = [",".join(map(str, item.region)) if item.region else "" for item in items]
    names = "\n".join(name_text(item.path or b"") for item in items)
    return names, "\n".join(regions) if any(regions) else ""


def _hit_cells(hit: "Hit") -> list[Any]:
    row = hit.to_row()
    names = [name_text(path) for path in hit.paths_bytes]
    row |= {
        "path": safe_cell(names[0]),
        "other_paths": safe_cell("\n".join(names[1:])),
        "score": f"{hit.score:.6f}",
    }
    return ["" if row[key] is None else row[key] for key in _HIT]
