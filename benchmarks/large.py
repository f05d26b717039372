"""The index of visual words of a large collection: how it is first made, and what a search in it takes.

``python benchmarks/large.py --pictures 200000 --folder FOLDER``

Pictures are generated: some 500 points each, words as often as in photographs (by Zipf's law), signs of their
own. They are added as an index run adds them, saved, and the file is opened anew and searched with 1,000
points. Memory is what the process holds of its own (anonymous pages), looked at all the time: mapped files
are the system's to keep or drop. The goals are those of a million pictures, which take a while, and some
20 GB of disk.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from common import Figure, Table, summary

from camseek.job import processors
from camseek.matching.codebook import embedded_codebook
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords, WordPoints, summed_signs

_POINTS = 500
_QUERY = 1000
_AT_ONCE = 256
_SEARCHES = 7


class Pictures:
    """Generated pictures, each the same every time."""

    def __init__(self) -> None:
        self._book = embedded_codebook()
        ranks = np.arange(1, len(self._book.words) + 1)
        self._until = np.cumsum(1 / (ranks + 100.0))
        self._until /= self._until[-1]

    def picture(self, seed: int, points: int = _POINTS) -> WordPoints:
        """One with so many points."""
        rng = np.random.default_rng(seed)
        words = np.searchsorted(self._until, rng.random(points)).astype(np.uint16)
        signs = rng.integers(0, 1 << 64, points, dtype=np.uint64)
        nothing = np.zeros(points, np.float32)
        return WordPoints(
            np.zeros((points, 2), np.float32), nothing + 1, nothing, words, signs, self._book.tag
        )

    def query(self, seed: int) -> QueryWords:
        """One of a thousand points, half of them a picture's."""
        known, other = self.picture(seed), self.picture(-seed - 1 + (1 << 40), _QUERY - _POINTS)
        words = np.concatenate([known.words, other.words])
        signs = np.concatenate([known.signs, other.signs])
        terms, joint = summed_signs(words, signs)
        nothing = np.zeros(_QUERY, np.float32)
        places = np.zeros((_QUERY, 2), np.float32)
        return QueryWords(
            places, nothing + 1, nothing, words[:, None], signs[:, None], terms, joint, self._book.tag
        )


class Memory:
    """Looks at what is held, all the time."""

    def __init__(self) -> None:
        self._most = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self._most = max(self._most, held())
            time.sleep(0.01)  # often enough to see a merge, and too seldom to slow one

    def most(self) -> float:
        """The most since it was asked last, MB."""
        most, self._most = max(self._most, held()), 0.0
        return most


def held() -> float:
    """Megabytes of anonymous memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    raise SystemExit("this system does not say what memory a process has of its own")


def measure(folder: Path, count: int) -> tuple[Table, list[Figure]]:
    """Makes, saves, opens and searches an index."""
    made, pictures = WordsIndex(embedded_codebook(), folder), Pictures()
    before, started, generating = held(), time.perf_counter(), 0.0
    memory = Memory()
    for first in range(0, count, _AT_ONCE):
        seeds = range(first, min(first + _AT_ONCE, count))
        begun = time.perf_counter()
        some = [pictures.picture(seed) for seed in seeds]
        generating += time.perf_counter() - begun
        made.add(list(seeds), some)
        if first // _AT_ONCE % 400 == 0:
            print(f"{first:,} pictures, {held():.0f} MB", file=sys.stderr, flush=True)
    building = time.perf_counter() - started - generating
    started = time.perf_counter()
    made.save(folder / "words")
    saving = time.perf_counter() - started
    most = memory.most()
    del made
    index = WordsIndex.open(folder / "words", embedded_codebook(), aside=folder)
    seconds: list[float] = []
    for seed in range(_SEARCHES):
        query = pictures.query(seed)
        started = time.perf_counter()
        records, scores = index.scores(query, workers=processors())
        seconds.append(time.perf_counter() - started)
        if records[scores.argmax()] != seed:
            raise SystemExit(f"picture {seed} was not found")
    searching = memory.most()
    table = Table(f"An index of words of {count:,} generated pictures", ("", ""))
    size = (folder / "words").stat().st_size
    table.rows.extend(
        [
            ("pictures a second, added", f"{count / building:,.0f}"),
            ("saving, s", f"{saving:.1f}"),
            ("the file, GB", f"{size / 1e9:.2f}"),
            ("bytes a picture", f"{size / count:,.0f}"),
            ("most memory while it is made, MB", f"{most - before:.0f}"),
            ("most memory while it is searched, MB", f"{searching - before:.0f}"),
            ("a search, ms", f"{1000 * statistics.median(seconds):.0f}"),
        ]
    )
    return table, [
        Figure("first index of words: most memory, MB", most - before, 500, "{:.0f}"),
        Figure("words of a search: most memory, MB", searching - before, 500, "{:.0f}"),
        Figure("words of a search, ms", 1000 * statistics.median(seconds), 300, "{:.0f}"),
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="The index of words of a large collection.")
    parser.add_argument("--pictures", type=int, default=200_000)
    parser.add_argument("--folder", help="where the temporary folder is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="camseek-benchmark-", dir=options.folder) as folder:
        table, figures = measure(Path(folder), options.pictures)
    print(table.markdown())
    print(summary(figures).markdown())


if __name__ == "__main__":
    main()
