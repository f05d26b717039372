"""Damaged pictures by the hundred thousand: ``python benchmarks/mutations.py [--wild N] [--others N]``.

Small pictures in every format are changed at random (bits, bytes, numbers of their headers, pieces left out,
said twice or taken from another one) and read as the program reads them: ``camseek.images.read_picture``, the
same processes, the same limits. Printed is what became of them, a row for each format:

- refused: an error that says why, out of the decoder or before it,
- decoded: pixels came out all the same,
- killed: the decoder crashed, in its process,
- over memory, over time: it was ended because it took more than a picture may,
- the most that one of the processes held, and the longest that one picture took.

Anything else (an exception that is no ``PictureError``, a run that ends) ends the command with a traceback.
Which file a number stands for depends on the seed and the format alone, so that a run can be split up
(``--start``) and a single file made again (``--keep`` writes those that were killed or ended).
"""

import argparse
import io
import random
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from common import CHECKOUT, Table
from PIL import Image

from camseek.config import Resize
from camseek.errors import DecoderCrashedError, PictureError, TooLargeError, TooSlowError
from camseek.images import read_picture
from camseek.job import ordered

WILD = ("HEIF", "AVIF", "JPEG2000")
"""Formats whose decoders are young, or read containers of boxes within boxes."""

OTHERS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_SIZE = Resize.parse("640")


def seeds(format: str) -> list[bytes]:
    """Small sound pictures of a format."""
    if format == "HEIF":
        folder = CHECKOUT / "tests" / "images" / "data"
        names = (*(f"orientation{number}" for number in range(1, 9)), "alpha", "deep", "two")
        return [(folder / f"{name}.heic").read_bytes() for name in names]
    scene = Image.merge("RGB", [Image.effect_noise((96, 64), sigma) for sigma in (20, 60, 90)])
    alpha = scene.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(scene.size))
    ways: dict[str, list[tuple[Image.Image, dict[str, object]]]] = {
        "AVIF": [(scene, {"quality": 60}), (alpha, {"quality": 90, "subsampling": "4:4:4"})],
        "JPEG2000": [(scene, {}), (scene, {"irreversible": True, "tile_size": (32, 32)}), (alpha, {})],
        "JPEG": [(scene, {}), (scene, {"progressive": True}), (scene.convert("CMYK"), {})],
        "PNG": [(scene, {}), (alpha, {}), (scene.quantize(16), {}), (scene.convert("I;16"), {})],
        "GIF": [(scene.quantize(16), {}), (scene.quantize(8), {"save_all": True, "append_images": [scene]})],
        "WEBP": [
            (scene, {}),
            (alpha, {"lossless": True}),
            (scene, {"save_all": True, "append_images": [alpha]}),
        ],
        "TIFF": [
            (scene, {}),
            (scene, {"compression": "tiff_lzw"}),
            (scene, {"compression": "jpeg"}),
            (scene, {"compression": "tiff_adobe_deflate"}),
            (scene.convert("1"), {"compression": "group4"}),
            (scene.convert("F"), {}),
        ],
        "BMP": [(scene, {}), (scene.quantize(16), {}), (scene.convert("1"), {})],
    }
    found: list[bytes] = []
    for image, options in ways[format]:
        file = io.BytesIO()
        image.save(file, format, **options)
        found.append(file.getvalue())
    return found


def mutated(pictures: list[bytes], chance: random.Random) -> bytes:
    """One of the pictures with one to eight faults."""
    content = bytearray(chance.choice(pictures))
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        if len(content) < 8:
            break
        # Headers decide most, and lie in front.
        end = min(len(content), chance.choice((64, 512, len(content))))
        at = chance.randrange(end)
        length = chance.randrange(1, min(64, len(content)))
        match chance.randrange(7):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                content[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, chance.randrange(256)))
            case 2 | 3:
                size = chance.choice((2, 4, 8))
                number = chance.choice((*_EXTREMES, chance.randrange(1 << 32))) % (1 << 8 * size)
                content[at : at + size] = number.to_bytes(size, chance.choice(("big", "little")))
            case 4:
                del content[at : at + length]
            case 5:
                content[at:at] = content[at : at + length] * chance.choice((1, 2, 100))
            case _:
                other = chance.choice(pictures)
                start = chance.randrange(len(other))
                content[at : at + length] = other[start : start + length]
    return bytes(content)


@dataclass(slots=True)
class Tally:
    """What became of the files of a format; threads may share it."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    memory: int = 0
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: str, seconds: float) -> None:
        """Counts one file."""
        memory = _most_held()
        with self.lock:
            self.outcomes[outcome] += 1
            self.memory = max(self.memory, memory)
            self.seconds = max(self.seconds, seconds)


def _most_held() -> int:
    """The most that one of this process's own has held so far, bytes (Linux; 0 elsewhere)."""
    most = 0
    for listed in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for child in listed.read_text().split():
                with suppress(OSError):
                    status = Path(f"/proc/{child}/status").read_text()
                    held = next(
                        (line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0"
                    )
                    most = max(most, int(held.split()[1]) << 10)
    return most


def outcome_of(content: bytes) -> str:
    """Reads one file."""
    try:
        read_picture(io.BytesIO(content), resize=_SIZE)
    except DecoderCrashedError:
        return "killed"
    except TooSlowError:
        return "over time"
    except TooLargeError as error:
        return "over memory" if error.message.startswith("decoding it takes") else "refused"
    except PictureError:
        return "refused"
    return "decoded"


def run(format: str, numbers: range, seed: int, workers: int, keep: Path | None) -> Tally:
    """Makes and reads the files of some numbers."""
    pictures, tally = seeds(format), Tally()

    def one(number: int) -> None:
        content = mutated(pictures, random.Random(f"{seed}/{format}/{number}"))
        started = time.perf_counter()
        outcome = outcome_of(content)
        tally.add(outcome, time.perf_counter() - started)
        if keep is not None and outcome in ("killed", "over time", "over memory"):
            (keep / f"{format}-{seed}-{number}-{outcome.replace(' ', '-')}").write_bytes(content)

    for done, _ in enumerate(ordered(one, numbers, workers=workers), 1):
        if done % 1000 == 0:
            print(f"{format}: {done} of {len(numbers)}, {dict(tally.outcomes)}", file=sys.stderr, flush=True)
    return tally


def main() -> None:
    """Runs all formats and prints the table."""
    parser = argparse.ArgumentParser(description="Reads damaged pictures; prints Markdown.")
    parser.add_argument("--wild", type=int, default=200_000, help="HEIC, AVIF and JPEG 2000 files in all")
    parser.add_argument("--others", type=int, default=10_000, help="files of the other formats in all")
    parser.add_argument("--only", nargs="+", choices=(*WILD, *OTHERS), default=(*WILD, *OTHERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first file of each format")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for files that were killed or ended")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    outcomes = ("refused", "decoded", "killed", "over memory", "over time")
    table = Table(
        f"Damaged pictures, seed {given.seed}, from number {given.start} on",
        ("format", "files", *outcomes, "most memory, MB", "longest, s"),
    )
    for format in given.only:
        count = given.wild // len(WILD) if format in WILD else given.others // len(OTHERS)
        numbers = range(given.start, given.start + count)
        tally = run(format, numbers, given.seed, given.workers, given.keep)
        table.rows.append(
            (
                format,
                f"{len(numbers):,}",
                *(f"{tally.outcomes[name]:,}" for name in outcomes),
                f"{tally.memory / 1e6:.0f}",
                f"{tally.seconds:.1f}",
            )
        )
    print(table.markdown())


if __name__ == "__main__":
    main()
