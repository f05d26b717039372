"""Both first stages in a large collection: what is made first, and what a search in them takes.

``python benchmarks/large.py --pictures 200000 --folder FOLDER``

Pictures are generated. *Words*: some 500 points each, words as often as in photographs (by Zipf's law), signs
of their own; they are added as an index run adds them, saved, and the file is opened anew and searched with
1,000 points. *Descriptors*: ten of each thing, with the mean of photographs' and as many axes that matter;
the store's own writer writes them, and saves codes where they are many. The query is another picture of a
thing, and the 1,000 nearest are asked for, as a search that joins both stages does; they are compared with
what comparing all of them finds.

Memory is what the process holds of its own (anonymous pages), looked at all the time. Beside it stand the
codes, which are mapped, and all of which each search reads; of the words' file, which is mapped, too, it
reads parts. The goals are those of a million pictures, which take a while, and some 20 GB of disk.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import Figure, Table, summary
from ranking import write_synthetic

from camseek import load_model
from camseek.files import CODES_INDEX
from camseek.job import processors
from camseek.matching.codebook import embedded_codebook
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords, WordPoints, summed_signs
from camseek.numerics import F32, l2_normalise
from camseek.store import Ranking, open_collection

_POINTS = 500
_QUERY = 1000
_AT_ONCE = 256
_SEARCHES = 7
_PICTURES_OF_A_THING = 10
_WANTED = 1000


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


class Clock:
    """Times something again and again."""

    def __init__(self) -> None:
        self._wall: list[float] = []
        self._spent: list[float] = []
        self._begun = 0.0, 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(self, *exc: object) -> None:
        self._wall.append(time.perf_counter() - self._begun[0])
        self._spent.append(time.process_time() - self._begun[1])

    @property
    def wall(self) -> float:
        """The median, ms."""
        return 1000 * statistics.median(self._wall)

    @property
    def spent(self) -> float:
        """The median of what all threads took of the processors, ms: a busy machine changes it less."""
        return 1000 * statistics.median(self._spent)


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


class Descriptors:
    """Generated descriptors, each the same every time.

    Of some 4,000 photographs (those of ``../shared/data``, the default encoding) the mean has length 0.59,
    and the first 32, 128 and 512 principal axes hold 40, 63 and 89 % of the variance; of these 41, 62 and 85.
    """

    def __init__(self, dimensions: int) -> None:
        falls = 1 / (np.arange(dimensions) + 3.0)
        self._sizes = np.sqrt(falls / falls.sum()).astype(np.float32)
        self._mean = np.full(dimensions, 0.59 / np.sqrt(dimensions), np.float32)

    def block(self, start: int, count: int) -> F32:
        """Those of so many pictures, from this one on."""
        numbers = np.arange(start, start + count)
        things, place = np.unique(numbers // _PICTURES_OF_A_THING, return_inverse=True)
        common = np.stack([self._drawn(1, int(thing)) for thing in things])
        own = np.stack([self._drawn(0, int(number)) for number in numbers])
        return self._joined(common[place], own)

    def query(self, thing: int) -> F32:
        """Another picture of a thing."""
        return self._joined(self._drawn(1, thing), self._drawn(2, thing))

    def _joined(self, common: F32, own: F32) -> F32:
        """Descriptors of what things have in common, and of what each picture has of its own."""
        return l2_normalise((self._mean + 0.8 * (0.6 * common + 0.8 * own)).astype(np.float32))

    def _drawn(self, kind: int, number: int) -> F32:
        return (
            np.random.default_rng((kind, number)).standard_normal(len(self._sizes), np.float32) * self._sizes
        )


def made_words(folder: Path, count: int, memory: Memory, table: Table) -> float:
    """Makes an index of words; what it took at most, MB."""
    made, pictures = WordsIndex(embedded_codebook(), folder), Pictures()
    memory.most()
    before, started, generating = held(), time.perf_counter(), 0.0
    for first in range(0, count, _AT_ONCE):
        seeds = range(first, min(first + _AT_ONCE, count))
        begun = time.perf_counter()
        some = [pictures.picture(seed) for seed in seeds]
        generating += time.perf_counter() - begun
        made.add(list(seeds), some)
        if first // _AT_ONCE % 400 == 0:
            print(f"words of {first:,} pictures, {held():.0f} MB", file=sys.stderr, flush=True)
    building = time.perf_counter() - started - generating
    started = time.perf_counter()
    made.save(folder / "words")
    saving = time.perf_counter() - started
    most = memory.most() - before
    size = (folder / "words").stat().st_size
    table.rows.extend(
        [
            ("words: pictures a second, added", f"{count / building:,.0f}"),
            ("saving them, s", f"{saving:.1f}"),
            ("their file, GB", f"{size / 1e9:.2f}"),
            ("bytes a picture", f"{size / count:,.0f}"),
            ("most memory while it is made, MB", f"{most:.0f}"),
        ]
    )
    return most


def made_codes(folder: Path, memory: Memory, table: Table) -> float:
    """Makes the codes of descriptors anew, as where their file is lost; what it took at most, MB."""
    codes = folder / CODES_INDEX
    if not codes.exists():
        table.notes.append("So few descriptors are kept in memory as they are.")
        return 0.0
    codes.unlink()
    memory.most()
    before, started = held(), time.perf_counter()
    with open_collection(str(folder), keep_vectors=False) as collection, collection.write("benchmark"):
        pass
    most, seconds = memory.most() - before, time.perf_counter() - started
    table.rows.extend(
        [
            ("descriptors: making codes of them anew, s", f"{seconds:.1f}"),
            ("their file, MB", f"{codes.stat().st_size / 1e6:.0f}"),
            ("most memory while it is made, MB", f"{most:.0f}"),
        ]
    )
    return most


def searched(folder: Path, count: int, memory: Memory, table: Table) -> list[Figure]:
    """Searches with both first stages, as one process does."""
    memory.most()
    before = held()
    index = WordsIndex.open(folder / "words", embedded_codebook(), aside=folder)
    pictures = Pictures()
    clocks = {"words": Clock(), "descriptors": Clock()}
    with open_collection(str(folder / "collection")) as collection:
        descriptors = Descriptors(collection.vectors.dimensions)
        asked = np.stack(
            [descriptors.query(thing) for thing in range(0, count // 10, count // 10 // _SEARCHES)]
        )
        started = time.perf_counter()
        collection.vectors.nearest(asked[:1], _WANTED)
        first = time.perf_counter() - started
        rankings: list[Ranking] = []
        for seed, query in enumerate(asked[:_SEARCHES]):
            words = pictures.query(seed)
            with clocks["words"]:
                records, scores = index.scores(words, workers=processors())
            if records[scores.argmax()] != seed:
                raise SystemExit(f"picture {seed} was not found")
            del records, scores
            with clocks["descriptors"]:
                rankings += collection.vectors.nearest(query[None], _WANTED)
        most = memory.most() - before
        codes = folder / "collection" / CODES_INDEX
        mapped = codes.stat().st_size / 1e6 if codes.exists() else 0.0
        with open_collection(str(folder / "collection"), keep_vectors=False) as other:
            # So many that all are compared.
            exact = other.vectors.nearest(asked[:_SEARCHES], count)
    table.rows.extend(
        [
            ("the first search by descriptors, ms", f"{1000 * first:.0f}"),
            *(
                (f"a search by {name}, ms (of all processors, ms)", f"{clock.wall:.0f} ({clock.spent:.0f})")
                for name, clock in clocks.items()
            ),
            ("most memory of both while they are searched, MB", f"{most:.0f}"),
            ("and codes that are mapped, MB", f"{mapped:.0f}"),
            *((f"of the {k} nearest found", f"{_found(rankings, exact, k):.4f}") for k in (10, 100, _WANTED)),
        ]
    )
    return [
        Figure(
            "both first stages of a search, ms", sum(clock.wall for clock in clocks.values()), 300, "{:.0f}"
        ),
        Figure("both first stages, codes included: most memory, MB", most + mapped, 500, "{:.0f}"),
        Figure(
            "of the 100 nearest descriptors found",
            _found(rankings, exact, 100),
            0.995,
            "{:.4f}",
            at_least=True,
        ),
    ]


def _found(rankings: Sequence[Ranking], exact: Sequence[Ranking], k: int) -> float:
    """How many of the k nearest are among the first k, in the mean."""
    return statistics.mean(
        float(np.isin(right.records[:k], found.records[:k]).mean())
        for found, right in zip(rankings, exact, strict=True)
    )


def measure(folder: Path, count: int) -> tuple[Table, list[Figure]]:
    """Makes and searches both."""
    table, memory, model = Table(f"{count:,} generated pictures", ("", "")), Memory(), load_model()
    print("descriptors ...", file=sys.stderr, flush=True)
    write_synthetic(folder / "collection", model, count, Descriptors(model.channels).block)
    coding = made_codes(folder / "collection", memory, table)
    indexing = made_words(folder, count, memory, table)
    figures = searched(folder, count, memory, table)
    return table, [
        Figure("first index of words: most memory, MB", indexing, 500, "{:.0f}"),
        Figure("first codes of descriptors: most memory, MB", coding, 500, "{:.0f}"),
        *figures,
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Both first stages in a large collection.")
    parser.add_argument("--pictures", type=int, default=200_000)
    parser.add_argument("--folder", help="where the temporary folder is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="camseek-benchmark-", dir=options.folder) as folder:
        table, figures = measure(Path(folder), options.pictures)
    print(table.markdown())
    print(summary(figures).markdown())


if __name__ == "__main__":
    main()
