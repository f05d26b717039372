"""Small data sets in the official forms: the same files, names and lists, with generated pictures.

Each function fills a folder and returns it. Every landmark (or object) is a drawing of its own, shown again
and again on other walls, so that a search can find it. Sets of Oxford's kind are made once a test that asks
for them: 26 pictures of 160 x 128 pixels.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

OXFORD_LANDMARKS = ("all_souls", "bodleian", "radcliffe_camera")
PARIS_LANDMARKS = ("defense", "louvre", "triomphe")
SIZE = (160, 128)
# Where the thing is in a picture: its top left corner, and its size.
PLACES = ((20, 16), (60, 30), (40, 8), (70, 40), (10, 36), (50, 20), (30, 30))
THING = (84, 76)


def thing(seed: int, size: tuple[int, int] = THING) -> Image.Image:
    """A drawing of its own: shapes of some colours."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(generator.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for number in range(6):
        x, y = (int(generator.integers(0, side)) for side in size)
        width, height = (int(length) for length in generator.integers(15, 50, 2))
        shape = draw.ellipse if number % 2 else draw.rectangle
        shape((x, y, x + width, y + height), fill=tuple(generator.integers(0, 256, 3).tolist()))
    return image


def scene(seed: int, inside: int | None = None, place: int = 0, shown: float = 1.0) -> Image.Image:
    """A wall with a thing on it, of which a share can be seen."""
    wall = thing(10_000 + seed, SIZE)
    if inside is not None:
        part = thing(inside)
        part = part.crop((0, 0, part.width, max(1, round(part.height * shown))))
        wall.paste(part, PLACES[place % len(PLACES)])
    return wall


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=92)


def box_of(place: int) -> tuple[float, float, float, float]:
    """Where the thing is, in the fractions of a pixel that the official files have."""
    x, y = PLACES[place % len(PLACES)]
    return x + 0.4, y + 0.4, x + THING[0] - 0.6, y + THING[1] - 0.3


def _buildings(folder: Path, truth: str, prefix: str, names: dict[str, dict[str, list[str]]]) -> None:
    """The text files: three queries a landmark, each a picture of good."""
    gt = folder / truth
    gt.mkdir(parents=True, exist_ok=True)
    for landmark, lists in names.items():
        for number in range(3):
            box = " ".join(str(side) for side in box_of(number))
            query = f"{prefix}{lists['good'][number]} {box}\n"
            (gt / f"{landmark}_{number + 1}_query.txt").write_text(query)
            for kind, listed in lists.items():
                text = "".join(f"{name}\n" for name in listed)
                (gt / f"{landmark}_{number + 1}_{kind}.txt").write_text(text)


def oxford(folder: Path) -> Path:
    """Oxford5k: 3 landmarks of 3 queries; a landmark has 4 good pictures, 2 ok, 1 junk; 5 others."""
    names: dict[str, dict[str, list[str]]] = {}
    for seed, landmark in enumerate(OXFORD_LANDMARKS):
        lists: dict[str, list[str]] = {"good": [], "ok": [], "junk": []}
        for number in range(7):
            kind, shown = ("good", 1.0) if number < 4 else ("ok", 0.6) if number < 6 else ("junk", 0.15)
            name = f"{landmark}_{number:06}"
            save(scene(seed * 10 + number, seed, number, shown), folder / "jpg" / f"{name}.jpg")
            lists[kind].append(name)
        names[landmark] = lists
    for number in range(5):
        save(scene(500 + number), folder / "jpg" / f"oxford_{number:06}.jpg")
    _buildings(folder, "gt_files_170407", "oxc1_", names)
    return folder


def paris(folder: Path, *, flat: bool = False) -> Path:
    """Paris6k, in the folders of its archive, with two of the pictures that are known to be no pictures."""
    names: dict[str, dict[str, list[str]]] = {}
    for seed, landmark in enumerate(PARIS_LANDMARKS, 20):
        place = folder / "paris" if flat else folder / "paris" / landmark
        lists: dict[str, list[str]] = {"good": [], "ok": [], "junk": []}
        for number in range(5):
            kind = "good" if number < 3 else "ok" if number < 4 else "junk"
            name = f"paris_{landmark}_{number:06}"
            save(scene(seed * 10 + number, seed, number), place / f"{name}.jpg")
            lists[kind].append(name)
        names[landmark] = lists
    for name in ("paris_louvre_000136", "paris_triomphe_000662"):
        place = folder / "paris" if flat else folder / "paris" / name.split("_")[1]
        (place / f"{name}.jpg").write_text("<html>302 Found</html>")
    _buildings(folder, "gt_files_120310", "", names)
    return folder


def revisited(landmarks: tuple[str, ...], *, arrays: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """The dictionary of a revisited set, and for each picture the arguments of its scene.

    A landmark has 2 queries, 2 easy pictures, 2 hard ones and 1 junk. To the first query of the last
    landmark the easy ones are junk: it has no positives in the setup easy.
    """
    scenes: dict[str, Any] = {}
    images, queries, gnd = list[str](), list[str](), list[dict[str, Any]]()
    for seed, landmark in enumerate(landmarks, 40):
        for number in range(5):
            name = f"{landmark}_{number:06}"
            shown = 1.0 if number < 2 else 0.6 if number < 4 else 0.15
            scenes[name] = (seed * 10 + number, seed, number, shown)
            images.append(name)
        first = len(images) - 5
        for number in (5, 6):
            name = f"{landmark}_{number:06}"
            scenes[name] = (seed * 10 + number, seed, number)
            queries.append(name)
            easy, hard, junk = [first, first + 1], [first + 2, first + 3], [first + 4]
            if landmark == landmarks[-1] and number == 5:
                easy, junk = [], [*easy, *junk]
            gnd.append({"bbx": list(box_of(number)), "easy": easy, "hard": hard, "junk": junk})
    for number in range(4):
        name = f"other_{number:06}"
        scenes[name] = (700 + number,)
        images.append(name)
    if arrays:
        gnd = [{key: np.array(value) for key, value in entry.items()} for entry in gnd]
    return {"imlist": images, "qimlist": queries, "gnd": gnd}, scenes


def roxford(folder: Path, *, protocol: int = 2) -> Path:
    """ROxford5k: 3 landmarks of 2 queries, 19 pictures in the database; a real pickle."""
    content, scenes = revisited(OXFORD_LANDMARKS)
    for name, arguments in scenes.items():
        save(scene(*arguments), folder / "jpg" / f"{name}.jpg")
    (folder / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content, protocol))
    return folder


def rparis(folder: Path) -> Path:
    """RParis6k, with its indices in NumPy arrays and its pictures in the folders of Paris6k's archive."""
    content, scenes = revisited(tuple(f"paris_{name}" for name in PARIS_LANDMARKS), arrays=True)
    for name, arguments in scenes.items():
        save(scene(*arguments), folder / "jpg" / name.split("_")[1] / f"{name}.jpg")
    (folder / "gnd_rparis6k.pkl").write_bytes(pickle.dumps(content, 4))
    return folder


def flickr(folder: Path) -> Path:
    """The distractors of Oxford105k, beside what is there: 4 pictures under 2 words."""
    for number in range(4):
        word = ("sunset", "dog")[number % 2]
        save(scene(800 + number), folder / "oxc1_100k" / word / f"{word}_{number:06}.jpg")
    return folder


def million(folder: Path) -> Path:
    """The distractors R1M, beside what is there: 3 pictures and their list."""
    listed: list[str] = []
    for number in range(3):
        listed.append(f"{number % 2}/{number:04}.jpg")
        save(scene(900 + number), folder / "revisitop1m" / "jpg" / listed[-1])
    (folder / "revisitop1m" / "revisitop1m.txt").write_text("".join(f"{name}\n" for name in listed))
    return folder


def holidays(folder: Path) -> Path:
    """Holidays: 4 groups of 2, 3, 4 and 2 pictures, the first of each its query."""
    for group, count in enumerate((2, 3, 4, 2)):
        for number in range(count):
            name = f"{100_000 + group * 100 + number}.jpg"
            save(scene(group * 10 + number, group, number), folder / "jpg" / name)
    return folder


def ukbench(folder: Path) -> Path:
    """UKBench: 3 groups of four."""
    for number in range(12):
        image = scene(number, 60 + number // 4, number % 4)
        save(image, folder / "full" / f"ukbench{number:05}.jpg")
    return folder


def instre(folder: Path) -> Path:
    """INSTRE: 2 classes of S1, one of S2 and one of M; of each one query and three pictures; a MAT-file."""
    from scipy.io import savemat

    images, queries, gnd = list[str](), list[str](), list[tuple[Any, Any]]()
    for seed, part in enumerate(
        ("INSTRE-S1/01a_book", "INSTRE-S1/01b_cup", "INSTRE-S2/02_toy", "INSTRE-M/01")
    ):
        names = [f"{part}/{number:03}.jpg" for number in range(4)]
        for number, name in enumerate(names):
            save(scene(seed * 10 + number, 80 + seed, number), folder / name)
            x1, y1, x2, y2 = map(round, box_of(number))
            line = f"{x1} {y1} {x2 - x1} {y2 - y1}\n"
            lines = line * (2 if "INSTRE-M" in part else 1)
            (folder / name).with_suffix(".txt").write_text(lines)
        queries.append(names[0])
        first = len(images)
        images += names[1:]
        # Positions count from 1, as in MATLAB.
        gnd.append((np.array([[first + 1, first + 2, first + 3]], np.uint16), np.array([box_of(0)]).round()))
    content = {
        "imlist": np.array([images], object),
        "qimlist": np.array([queries], object),
        "gnd": np.array([gnd], dtype=[("ok", object), ("bbx", object)]),
    }
    savemat(folder / "gnd_instre.mat", content, do_compression=True)
    return folder
