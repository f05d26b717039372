"""Indexing as a whole beside the bare work it cannot do without.

Compared: ``Engine.index`` on a folder without local features (a new engine and a new collection each time:
loading the model, walking, hashing, decoding in processes of their own, the network, encoding, writing, all
on every core), and the same decoder at the same reduced scale in this process on one thread with one pass of
the network on two threads after it, picture by picture, nothing else, the model loaded beforehand. In turns,
folder by folder. Above 1, indexing is quicker than the bare work one after the other. Beside them the same
run with all that is kept by default, points, fine points and sketches: how many pictures a second are left
of it.

The folders are the databases of the shared sets, and generated photographs of 12 megapixels, where decoding
dominates. The peak memory is that of ``camseek index`` on all of the latter.

Then the ways to share out two cores, each decoding, passing and encoding the same pictures: a thread for each
core that takes a picture from the disk to its descriptor, with a network of one thread (what camseek does);
the same with a network of two threads; and decoders on one or two threads before one network of two threads.
"""

import io
import os
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from common import SETS, Figure, Options, Report, Table, in_turns, peak_memory, pictures_in
from PIL import Image, ImageDraw, ImageFilter
from threadpoolctl import threadpool_limits

from camseek import Backbone, Engine, Limits, Settings, load_model
from camseek.datasets import read_ground_truth
from camseek.encoding.encoder import Encoder
from camseek.extraction.reading import PictureReader
from camseek.images import Picture, decode, open_file
from camseek.job import ordered

_MEGAPIXELS = (4000, 3000)


def measure(options: Options) -> Report:
    """Measures the shared pictures, where there are some, and the generated ones."""
    report = Report()
    if options.data is not None:
        folders: dict[str, Path] = {}
        for name in ("buildings",) if options.quick else SETS:
            truth = read_ground_truth(options.data / name / "ground_truth.json")
            folders[name] = Path(os.fsdecode(truth.database))
        _compare(report, "the shared pictures", folders, options.pick(3, 1), options.folder)
    count = options.pick(500, 10)
    large = options.folder / "large"
    folders = generate_photographs(large, count, parts=options.pick(5, 1))
    _compare(report, f"{count} photographs of 12 megapixels", folders, options.pick(2, 1), options.folder)
    peak = peak_memory(
        ["-m", "camseek", "index", str(large), "--collection", str(options.folder / "peak")], options.folder
    )
    report.figures.append(Figure("index, 12 megapixels: peak memory, GB", peak / 1e9, 1.0))
    report.tables.append(_ways(folders["part 1"], "12 megapixels", options))
    if options.data is not None:
        report.tables.append(_ways(options.data / "paintings" / "catalogue", "paintings", options))
    return report


def _compare(report: Report, what: str, folders: dict[str, Path], rounds: int, place: Path) -> None:
    model = load_model(threads=2)
    table = Table(
        f"Index beside the bare work: {what}",
        ("folder", "pictures", "bare, s", "descriptors alone, s", "ratio", "everything, s", "share"),
    )
    totals = [0.0, 0.0, 0.0]
    for name, folder in folders.items():
        paths = pictures_in(folder)
        collection = _Fresh(folder, place / "collections")
        works = [
            partial(bare, model, paths),
            partial(collection.index, without=("points",)),
            collection.index,
        ]
        seconds = in_turns(works, rounds)
        row = [statistics.median(column) for column in zip(*seconds, strict=True)]
        totals = [total + value for total, value in zip(totals, row, strict=True)]
        table.rows.append(_row(name, len(paths), row))
    table.rows.append(_row("all", sum(int(row[1]) for row in table.rows), totals))
    report.tables.append(table)
    label = f"bare decode and pass over index with descriptors alone, {what}"
    report.figures.append(Figure(label, totals[0] / totals[1], 0.85, at_least=True))
    label = f"index: pictures a second with everything over those without, {what}"
    report.figures.append(Figure(label, totals[1] / totals[2], 0.33, at_least=True))


def _row(name: str, count: int, seconds: Sequence[float]) -> tuple[str, ...]:
    bare, without, everything = (f"{value:.1f}" for value in seconds)
    ratio, share = (f"{over / under:.2f}" for over, under in pairwise(seconds))
    return name, str(count), bare, without, ratio, everything, share


def bare(model: Backbone, paths: Sequence[Path]) -> None:
    """Decodes pictures in this process and passes them through the network, one after the other."""
    reader = PictureReader.of(model, Settings().size, Limits())
    with threadpool_limits(1, user_api="blas"):
        for path in paths:
            with open_file(os.fsencode(path)) as file:
                picture = decode(file, resize=reader.resize, multiple=reader.multiple)
            model.run(picture.pixels)


def _reading(model: Backbone) -> Callable[[Path], Picture]:
    """What reads pictures as an index run does."""
    reader = PictureReader.of(model, Settings().size, Limits())

    def read(path: Path) -> Picture:
        with open_file(os.fsencode(path)) as file:
            return reader.read(file)

    return read


def _ways(folder: Path, what: str, options: Options) -> Table:
    """Compares the ways to share out two cores."""
    paths = pictures_in(folder)[: options.pick(40, 4)]
    one, two = load_model(threads=1), load_model(threads=2)
    read = _reading(one)
    encoder = Encoder(Settings().encoding, one.classifier_weights, one.classifier_bias)

    def together(model: Backbone) -> None:
        def work(path: Path) -> object:
            return encoder.describe(model.run(read(path).pixels))

        deque(ordered(work, paths, workers=2), maxlen=0)

    def apart(decoders: int) -> None:
        with threadpool_limits(1, user_api="blas"):
            for picture in ordered(read, paths, workers=decoders):
                encoder.describe(two.run(picture.pixels))

    ways: dict[str, Callable[[], object]] = {
        "two threads, each with a network of one": lambda: together(one),
        "two threads, a network of two": lambda: together(two),
        "one decoder, then a network of two": lambda: apart(1),
        "two decoders, then a network of two": lambda: apart(2),
        "bare: one after the other, no encoding": lambda: bare(two, paths),
    }
    rounds = in_turns(list(ways.values()), options.pick(9, 1))
    table = Table(
        f"Ways to share out two cores: {len(paths)} pictures, {what}", ("way", "median, s", "ratio")
    )
    for place, name in enumerate(ways):
        ratio = statistics.median(row[-1] / row[place] for row in rounds)
        table.rows.append((name, f"{statistics.median(row[place] for row in rounds):.2f}", f"{ratio:.2f}"))
    table.notes.append("Ratio: the bare work over it, the median of the rounds.")
    return table


class _Fresh:
    """Indexes a folder into a new collection at every call."""

    def __init__(self, folder: Path, place: Path) -> None:
        self._folder = folder
        self._place = place
        self._made = 0

    def index(self, *, without: tuple[str, ...] = ()) -> None:
        self._made += 1
        address = self._place / f"{self._folder.name}{self._made}"
        while address.exists():
            address = address.with_name(f"{address.name}_")
        with Engine.open(address, create=True, without=without) as engine:
            report = engine.index(self._folder)
        if report.skipped:
            raise RuntimeError(f"{self._folder}: pictures were skipped: {report.skipped}")


def generate_photographs(folder: Path, count: int, *, parts: int = 1) -> dict[str, Path]:
    """Writes JPEGs of 12 megapixels and some 3 to 4 MB into a number of subfolders.

    A few scenes are drawn and compressed; the others are the same bytes with another comment, so that no two
    files have the same content, at the speed of the disk.

    Returns:
        The subfolders by their names.
    """
    scenes = [_scene(number) for number in range(min(count, 8))]
    folders: dict[str, Path] = {}
    for part in range(parts):
        name = f"part {part + 1}"
        folders[name] = folder / name
        folders[name].mkdir(parents=True)
    for number in range(count):
        comment = f"photograph {number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        scene = scenes[number % len(scenes)]
        path = folder / f"part {number % parts + 1}" / f"{number:05d}.jpg"
        path.write_bytes(scene[:2] + segment + scene[2:])
    return folders


def _scene(seed: int) -> bytes:
    """Shapes, text and a sensor's noise, as a camera would save them."""
    generator = np.random.default_rng(seed)
    width, height = _MEGAPIXELS
    small = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(_MEGAPIXELS, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(200):
        x, y, size = (int(generator.integers(limit)) for limit in (width, height, 800))
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        draw.ellipse((x, y, x + size, y + size // 2), fill=colour)
        draw.text((y, x), f"camera {seed} {size}", fill=colour, font_size=size // 8 + 10)
    image = image.filter(ImageFilter.GaussianBlur(1.5))
    noise = generator.normal(0, 7, (height, width, 1)).astype(np.int16)
    pixels = np.clip(np.asarray(image, np.int16) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()
