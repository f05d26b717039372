"""Many queries in one run beside the bare work they cannot do without.

``camseek search QUERY ... --csv FILE`` on a collection of the shared paintings, in a process of its own: the
seconds that a number of queries take, less those of one alone (starting, loading the model, opening the
collection). By descriptors alone, and as searches are by default: by descriptors and words, 100 pictures
verified. Beside them a process that decodes the same pictures and passes them through the network, on as many
threads, likewise. In turns.
"""

import os
import statistics
from functools import partial
from pathlib import Path

from common import Figure, Options, Report, Table, in_turns, pictures_in, python, spread

from camseek import Engine

_BARE = """
import os, sys
from camseek import Limits, Settings, load_model
from camseek.extraction.extractor import Extractor
from camseek.job import ordered
extractor = Extractor.of(load_model(threads=1), Settings().size, Limits())
for _ in ordered(lambda path: extractor.extract(path), sys.argv[1:], workers=len(os.sched_getaffinity(0))):
    pass
"""


def measure(options: Options) -> Report:
    """Measures on the shared sets; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    folder = options.data / "paintings"
    collection = options.folder / "collection"
    with Engine.open(collection, create=True) as engine:
        engine.index(folder / "catalogue")
    queries = [os.fspath(path) for path in pictures_in(folder / "queries")[: options.pick(60, 4)]]
    search = partial(_search, collection, options.folder)
    ways = {
        "bare decode and passes": partial(_bare, options.folder),
        "camseek search, descriptors alone": partial(search, ["--first", "descriptors"]),
        "camseek search, verified": partial(search, []),
    }
    works = [partial(way, some) for way in ways.values() for some in (queries, queries[:1])]
    rounds = in_turns(works, options.pick(5, 1))
    title = f"{len(queries)} queries in one run, {len(pictures_in(folder / 'catalogue'))} pictures"
    table = Table(title, ("work", "queries a second", "middle half", "ratio"))
    rates = [
        [(len(queries) - 1) / (row[2 * place] - row[2 * place + 1]) for row in rounds]
        for place in range(len(ways))
    ]
    for name, own in zip(ways, rates, strict=True):
        ratio = statistics.median(mine / bare for mine, bare in zip(own, rates[0], strict=True))
        table.rows.append((name, f"{statistics.median(own):.1f}", spread(own, "{:.1f}"), f"{ratio:.2f}"))
        if own is not rates[0]:
            label = f"{name}: queries a second"
            goal = 7 if "alone" in name else 2
            report.figures.append(Figure(label, statistics.median(own), goal, "{:.1f}", at_least=True))
    report.tables.append(table)
    return report


def _bare(place: Path, queries: list[str]) -> None:
    python(["-c", _BARE, *queries], place)


def _search(collection: Path, place: Path, options: list[str], queries: list[str]) -> None:
    table = os.fspath(place / "hits.csv")
    where = ["--collection", os.fspath(collection), "--csv", table, "--force"]
    python(["-m", "camseek", "search", *queries, *options, *where], place)
