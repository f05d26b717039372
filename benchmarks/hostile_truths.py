"""Tries readers of ground truths on mutated files: ``python benchmarks/hostile_truths.py [--count N]``.

Sound files (pickles of all protocols with lists and with arrays, MAT-files plain and compressed, JSON) are
mutated: bytes, lengths, pieces of each other, opcodes. Each must be read or refused by an error of camseek's
within its time and memory. The files come from their numbers, so that one can be made again: ``--first``.
It runs in processes with limits of their own; it ends with 1 where a file broke them.
"""

import argparse
import io
import json
import pickle
import resource
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from scipy.io import savemat  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from camseek.datasets.matlab import read_matlab
from camseek.datasets.reading import RefusalError, parse_json
from camseek.datasets.unpickling import read_pickle
from camseek.errors import GroundTruthError

# More than a file may take: the readers refuse long before.
MEMORY = 200_000_000
SECONDS = 5.0
BATCH = 2_000

_EXTREMES = [b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0" * 4, b"\0\0\0\x80", b"\1\0\0\0", b"\xff" * 8]
_OPCODES = b"().0123FINTSUVXabcdeghijlopqrstu\x80\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x90\x93\x94\x95\x96"


def main() -> int:
    """Runs batches of files in processes with limits."""
    parser = argparse.ArgumentParser(description="Tries the readers of ground truths on mutated files.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        return _batch(range(given.first, given.first + given.count))
    ended: Counter[str] = Counter()
    slowest, broken, began = 0.0, 0, time.monotonic()
    first, last = given.first, given.first + given.count
    while first < last:
        told = _told(first, min(BATCH, last - first))
        for number, seconds, what in told:
            ended[what] += 1
            slowest = max(slowest, seconds)
            if what == "broken":
                broken += 1
                print(f"file {number} ended its process or took {seconds:.1f} s", file=sys.stderr)
        first = told[-1][0] + 1
    print(f"{given.count:,} mutated ground truths in {time.monotonic() - began:.0f} s: ", end="")
    print(", ".join(f"{count:,} {what}" for what, count in ended.most_common()), end="; ")
    print(f"the slowest took {slowest:.2f} s, within {MEMORY / 1e6:.0f} MB beyond the program's own")
    return 1 if broken else 0


def _told(first: int, count: int) -> list[tuple[int, float, str]]:
    """What a process says of its files; one that ends before all are read was broken by the next."""
    command = [sys.executable, __file__, "--here", "--first", str(first), "--count", str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    told = [
        (int(number), float(seconds), " ".join(what))
        for number, seconds, *what in map(str.split, done.stdout.splitlines())
    ]
    if len(told) < count:
        told.append((first + len(told), 0.0, "broken"))
    return told


def _batch(numbers: range) -> int:
    """Reads files and prints what came of each."""
    seeds = _seeds()
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for number in numbers:
        form, content = mutated(seeds, number)
        began = time.process_time()
        what = _read(form, content)
        seconds = time.process_time() - began
        print(number, f"{seconds:.4f}", what if seconds < SECONDS else "broken", flush=True)
    return 0


def _read(form: str, content: bytes) -> str:
    """What comes of a file; anything but camseek's own errors ends the process."""
    try:
        match form:
            case "pickle":
                read_pickle(content, b"/gnd.pkl")
            case "mat":
                read_matlab(content, b"/gnd.mat")
            case _:
                parse_json(content)
    except (GroundTruthError, RefusalError) as error:
        kind = error.kind if isinstance(error, RefusalError) else type(error)
        return kind.code.removeprefix("ground_truth_").replace("_", " ")
    return "read"


def mutated(seeds: list[tuple[str, bytes]], number: int) -> tuple[str, bytes]:
    """The file of a number."""
    random = np.random.default_rng(number)
    form, sound = seeds[number % len(seeds)]
    content = bytearray(sound)
    packed = form == "mat" and number % 3 == 0
    for _ in range(int(random.integers(1, 6))):
        _mutate(content, seeds, random)
    if packed:  # damage that a compressed variable hides
        data = zlib.compress(bytes(content[128:]))
        content[128:] = b"\x0f\0\0\0" + len(data).to_bytes(4, "little") + data
    return form, bytes(content)


def _mutate(content: bytearray, seeds: list[tuple[str, bytes]], random: np.random.Generator) -> None:
    size = len(content)
    place = int(random.integers(0, size + 1))
    length = int(random.integers(1, 40))
    other = seeds[int(random.integers(0, len(seeds)))][1]
    start = int(random.integers(0, len(other)))

    def flip() -> None:
        content[place : place + 1] = bytes([int(random.integers(0, 256))])

    def extreme() -> None:
        value = _EXTREMES[int(random.integers(0, len(_EXTREMES)))]
        content[place : place + len(value)] = value

    def delete() -> None:
        del content[place : place + length]

    def repeat() -> None:
        content[place:place] = content[place : place + length] * int(random.integers(1, 2000))

    def splice() -> None:
        content[place:place] = other[start : start + 10 * length]

    def opcodes() -> None:
        content[place:place] = bytes(random.choice(list(_OPCODES), length).tolist())

    def cut() -> None:
        if random.integers(0, 10) == 0:
            del content[place:]

    doings: list[Callable[[], None]] = [flip, flip, extreme, delete, repeat, splice, opcodes, cut]
    doings[int(random.integers(0, len(doings)))]()


def _seeds() -> list[tuple[str, bytes]]:
    """Sound files."""
    names = [f"all_souls_{number:06}" for number in range(40)]
    entry: dict[str, Any] = {"bbx": [1.5, 2.0, 30.25, 44.0], "easy": [1, 2, 3], "hard": [500, 7], "junk": []}
    truth = {"imlist": names, "qimlist": names[:6], "gnd": [entry] * 6}
    arrays = {
        "imlist": np.array(names),
        "qimlist": np.array(names[:6], object),
        "gnd": [{key: np.array(value) for key, value in entry.items()} for _ in range(6)],
    }
    cells = {
        "imlist": np.array([names], object),
        "qimlist": np.array([names[:6]], object),
        "gnd": np.array(
            [[tuple(np.array([value], np.float64) for value in entry.values())] * 6],
            [(key, object) for key in entry],
        ),
    }
    made = [("pickle", pickle.dumps(value, protocol)) for value in (truth, arrays) for protocol in range(6)]
    made.append(("json", json.dumps(truth).encode()))
    for packed in (False, True):
        file = io.BytesIO()
        cast("Any", savemat)(file, cells, do_compression=packed)
        made += [("mat", file.getvalue())] * 3
    return made


if __name__ == "__main__":
    sys.exit(main())
