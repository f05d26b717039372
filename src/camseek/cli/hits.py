"""What a search found: as text, as a table, as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from camseek.arguments import read_region, region_text
from camseek.cli.output import note, printable, say, shown
from camseek.cli.queries import Asked
from camseek.names import is_given, path_json
from camseek.rows import CsvRows
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.results import Hit, SearchResult, Skipped
    from camseek.searching import QueryPart

    Parts = tuple[QueryPart, ...] | Skipped
    Answer = SearchResult | Skipped

_FROM_HERE = "--- from here on no better than chance ---"
_NOT_SHOWN = "--- from here on none is found to show it ---"
_NOTHING_SHOWN = "--- none is found to show it: it may not be in this collection ---"
_NO_VERDICT = "--- no verdicts: the query, or every hit, has too few points to tell by ---"
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

    def __init__(self, asked: Asked, *, boxes: bool, explain: bool, quiet: bool) -> None:
        """Takes what was asked.

        Args:
            asked: Several queries are told with their names.
            boxes: Whether boxes were asked for.
            explain: Whether what each stage said is told of each hit.
            quiet: Nothing is printed on standard output: something else is.
        """
        self._asked = asked
        self._boxes = boxes
        self._explain = explain
        self._quiet = quiet
        self._count = self._failed = 0
        self._gone: set[bytes] = set()

    def tell(self, parts: "Parts", answer: "Answer") -> None:
        """Prints one answer."""
        from camseek.indexing.leaving import is_missing
        from camseek.results import SearchResult

        self._count += 1
        if not isinstance(answer, SearchResult):
            self._failed += 1
            note(f"no query: {printable(answer.reason)}")
        else:
            # Of a hit's names those that are there come first.
            names = (hit.path_bytes for hit in answer.hits)
            self._gone.update(name for name in names if not is_given(name) and is_missing(name))
        if self._quiet:
            return
        if self._asked.several:
            if self._count > 1:
                say("")
            say(f"query {self._count}: {_name(parts, answer)}")
        if isinstance(answer, SearchResult):
            for line in _lines(answer, boxes=self._boxes, explain=self._explain):
                say(line)
            _remark(answer, several=self._asked.several)
        else:
            say(f"      cannot be used: {printable(answer.reason)}")

    def finish(self) -> None:
        """Says how many of several queries could not be used, and of which hits there are no files now."""
        if self._asked.several and self._failed:
            note(f"{self._failed:,} of {counted(self._count, 'query', 'queries')} could not be used")
        if self._gone:
            count, some = len(self._gone), shown(min(self._gone))
            note(
                f"{counted(count, 'file')} of the hits {'is' if count == 1 else 'are'} not there now: {some}"
                f"{'' if count == 1 else ', ...'}; mount the disk, or run camseek index on the folder where "
                "it is now"
            )


def _name(parts: "Parts", answer: "Answer") -> str:
    """The query's name, and its region as the user gave it or in pixels."""
    from camseek.results import SearchResult

    if isinstance(answer, SearchResult):
        named = ((shown(item.path or b""), region_text(item.region)) for item in answer.query.pictures)
        return " + ".join(" ".join(filter(None, item)) for item in named)
    return " ".join(filter(None, (shown(answer.path), _given_region(parts))))


def _given_region(parts: "Parts") -> str:
    from camseek.results import Skipped

    return "" if isinstance(parts, Skipped) else region_text(read_region(parts[0].region))


def _lines(result: "SearchResult", *, boxes: bool, explain: bool) -> list[str]:
    """A line for each name of each hit; those of a copy have = in place of the rank."""
    from camseek.results import MatchEvidence, last_shown

    verdicts = any(isinstance(item, MatchEvidence) for hit in result.hits for item in hit.evidence)
    lines = [_NO_VERDICT] if verdicts and not any(hit.verdict for hit in result.hits) else []
    last = last_shown(result.hits)
    for place, hit in enumerate(result.hits):
        # Hits come by score: from the first one that does not stand out on, none does.
        if hit.stands_out is False and (place == 0 or result.hits[place - 1].stands_out):
            lines.append(_NOTHING if place == 0 else _FROM_HERE)
        if place == last:
            lines.append(_NOT_SHOWN if place else _NOTHING_SHOWN)
        box = region_text(hit.box) or "-"
        verdict = f"{hit.verdict.word} {hit.verdict.probability:4.0%}" if hit.verdict else "-"
        middle = f"{hit.score:6.3f}  " + (f"{verdict:>14}  " if verdicts else "")
        middle += f"{box:>23}  " if boxes or verdicts else ""
        lines.append(f"{hit.rank:4d}  {middle}{shown(hit.paths_bytes[0])}")
        lines.extend(f"   =  {middle}{shown(path)}" for path in hit.paths_bytes[1:])
        if explain:
            lines.append(f"      {printable(_explained(hit))}")
    return lines


def _explained(hit: "Hit") -> str:
    """What each stage said of a hit, and how the thing lies in it."""
    from camseek.results import MatchEvidence

    said = [
        _agreement(item.points, item.fine)
        if isinstance(item, MatchEvidence)
        else f"{item.stage} {'-' if item.score is None else f'{item.score:.3f}'}"
        for item in hit.evidence
    ]
    return "; ".join([", ".join(said), *map(str, hit.outlines)])


def _agreement(points: int, fine: int | None) -> str:
    """What verification counted: the words' points, and fine ones where these were looked at."""
    return f"{points} points agree" + (f", {fine} fine points agree" if fine is not None else "")


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


def to_json(asked: Asked, answers: "Sequence[Answer]", *, points: bool) -> dict[str, Any]:
    """One query as its result; several under ``queries``, those that failed with an ``error``.

    Args:
        asked: The queries.
        answers: What was found for each.
        points: With the outlines' matching points.
    """
    told = [_told(parts, answer, points) for parts, answer in zip(asked.queries, answers, strict=True)]
    if not asked.several:
        [result] = told
        return result
    return {"queries": told, "failed": failed(answers)}


def _told(parts: "Parts", answer: "Answer", points: bool) -> dict[str, Any]:
    from camseek.results import SearchResult

    if isinstance(answer, SearchResult):
        return answer.to_json(points=points)
    asked = {**path_json(answer.path), "region": _given_region(parts) or None}
    return {"query": {"pictures": [asked]}, "error": {"code": answer.code, "message": answer.reason}}


# -- a table ------------------------------------------------------------------------------------------------

_HIT = (
    *("rank", "score", "scored_by", "path", "copies", "width", "height"),
    *("x1", "y1", "x2", "y2", "verdict", "probability", "stands_out"),
)
_COLUMNS = ("query", "region", *_HIT, "error", "query_bytes", "path_bytes")


def write_table(file: IO[bytes], asked: Asked, answers: "Sequence[Answer]", *, mark: bool = True) -> None:
    """A row for each name of each hit; a query without one has a row, with the reason where it failed.

    Args:
        file: Where the table goes.
        asked: The queries.
        answers: What was found for each.
        mark: As ``CsvRows`` has it.
    """
    table = CsvRows(file, _COLUMNS, mark=mark)
    for parts, answer in zip(asked.queries, answers, strict=True):
        query = _query_cells(parts, answer)
        for row in _hit_rows(answer):
            table.write((query | row).get(column) for column in _COLUMNS)


def _query_cells(parts: "Parts", answer: "Answer") -> dict[str, Any]:
    """The query's cells; of several pictures that are one query, names and regions stand a line each."""
    from camseek.results import SearchResult

    if isinstance(answer, SearchResult):
        names = [item.path or b"" for item in answer.query.pictures]
        regions = [region_text(item.region) for item in answer.query.pictures]
    else:
        names, regions = [answer.path], [_given_region(parts)]
    told = [path_json(name) for name in names]
    exact = [item.get("path_bytes", "") for item in told]
    return {
        "query": "\n".join(item["path"] for item in told),
        "region": "\n".join(regions) if any(regions) else None,
        "query_bytes": "\n".join(exact) if any(exact) else None,
    }


def _hit_rows(answer: "Answer") -> "Iterator[dict[str, Any]]":
    from camseek.results import SearchResult

    if not isinstance(answer, SearchResult):
        yield {"error": printable(answer.reason)}
    elif not answer.hits:
        yield {}
    else:
        for hit in answer.hits:
            for path in hit.paths_bytes:
                yield hit.to_row() | {"score": f"{hit.score:.6f}", **path_json(path)}
