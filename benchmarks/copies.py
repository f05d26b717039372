"""How like its copies are to a picture, and other pictures: where ``camseek duplicates`` draws its line."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import CHECKOUT, Options, Report, Table, pictures_in
from PIL import Image, ImageEnhance

from camseek import Engine, load_model
from camseek.config import NEAR_COPY

_THRESHOLDS = (0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98)


def _saved(image: Image.Image, quality: int = 95) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _cropped(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


_COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG, quality 50": lambda image: _saved(image, 50),
    "half the size": lambda image: _saved(image.reduce(2)),
    "a fifth brighter": lambda image: _saved(ImageEnhance.Brightness(image).enhance(1.2)),
    "grey": lambda image: _saved(image.convert("L")),
    "cropped by 5 %": lambda image: _saved(_cropped(image, 0.05)),
    "cropped by 20 %": lambda image: _saved(_cropped(image, 0.2)),
    "mirrored": lambda image: _saved(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}


def measure(options: Options) -> Report:
    """Measures on every set of photographs, or on the checkout's pictures where there are none."""
    folders = sorted(place for place in options.data.iterdir() if place.is_dir()) if options.data else []
    folders = folders or [CHECKOUT / "examples" / "groceries"]
    model = load_model(threads=1)
    heading = ("copy", *(folder.name for folder in folders))
    found = [_set(options, folder, model) for folder in folders]
    rows = [
        (name, *(f"{np.median(one[name]):.3f}, {np.quantile(one[name], 0.05):.3f}" for one, _ in found))
        for name in _COPIES
    ]
    kept = Table("Cosine of a copy and its original: median, and what 95 % reach", heading, rows)
    rows = [
        (
            f"{threshold:.2f}" + (" (the default)" if threshold == NEAR_COPY else ""),
            *(f"{_reach(one, threshold):.0%}, {np.mean(nearest >= threshold):.1%}" for one, nearest in found),
        )
        for threshold in _THRESHOLDS
    ]
    lines = Table(
        "Copies that are found (the first three, and cropped by 5 %), and pictures with another one so near",
        ("threshold", *heading[1:]),
        rows,
        ["Whether those others are the same picture again nobody has looked at."],
    )
    return Report([kept, lines], [])


def _reach(found: dict[str, np.ndarray], threshold: float) -> float:
    easy = ("JPEG, quality 50", "half the size", "a fifth brighter", "cropped by 5 %")
    return float(np.mean(np.concatenate([found[name] for name in easy]) >= threshold))


def _set(options: Options, folder: Path, model: object) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Cosines of copies with their originals, by kind; and of each picture with its nearest other one."""
    paths = [os.path.abspath(path) for path in pictures_in(folder)]
    paths = paths[:: max(1, len(paths) // options.pick(150, 12))][: options.pick(150, 12)]
    chosen = paths[:: max(1, len(paths) // options.pick(30, 4))][: options.pick(30, 4)]
    with Engine.open(options.folder / f"{folder.name}.camseek", model=model, create=True) as engine:  # pyright: ignore[reportArgumentType]
        engine.add(paths)
        names, vectors = engine.descriptors()
        originals = dict(zip(names, vectors, strict=True))
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -1)
        found: dict[str, np.ndarray] = {}
        for kind, change in _COPIES.items():
            files: dict[str, bytes] = {}
            for number, path in enumerate(chosen):
                with Image.open(path) as image:
                    files[f"{kind}-{number}"] = change(image.convert("RGB"))
            engine.add(files)
            names, changed = engine.descriptors()
            of = dict(zip(names, changed, strict=True))
            found[kind] = np.array(
                [of[f"camseek:{kind}-{number}"] @ originals[path] for number, path in enumerate(chosen)]
            )
            engine.remove([f"camseek:{name}" for name in files])
    return found, cosines.max(axis=1)
