"""Whitening for an evaluation, fitted on pictures that are held out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from camseek.backbones import Backbone, processors
from camseek.config import Encoding, Limits, Settings
from camseek.datasets import GroundTruth
from camseek.engine.encoder import Encoder
from camseek.engine.indexing import Progress, Quiet
from camseek.engine.measuring.database import read_rows
from camseek.engine.reading import PictureReader
from camseek.engine.sampling import DEFAULT_SAMPLE_CLASSES, collect_samples
from camseek.engine.sources import find_pictures
from camseek.errors import SettingsError
from camseek.names import path_text
from camseek.whitening import Whitening, fit_whitening

DEFAULT_DIMENSIONS = 512
"""D of the paper (section 4.1)."""
THE_SAME = "the evaluated pictures themselves"
"""What is said of a whitening that no picture was held out for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Pictures to fit a whitening on.

    Attributes:
        paths: Their files.
        name: What they are, for people.
    """

    paths: tuple[bytes, ...]
    name: str


def held_out(pictures: bytes | GroundTruth, evaluated: GroundTruth) -> HeldOut:
    """The pictures of a folder, or of another ground truth's database.

    Args:
        pictures: The folder or the ground truth.
        evaluated: What is measured: where its pictures are among those, the name says so.

    Raises:
        SourceError: There is no such folder, or no picture in it.
    """
    if isinstance(pictures, GroundTruth):
        rows = read_rows(replace(pictures, distractors=()), pictures.queries, None)
        paths, place = rows.expected, path_text(pictures.database)
    else:
        paths, place = [file.path for file in find_pictures(pictures).files], path_text(pictures)
    own = set(read_rows(evaluated, evaluated.queries, None).paths)
    shared = len(own.intersection(paths))
    if shared:
        place = f"{place}: {THE_SAME if shared == len(paths) else f'{shared} are {THE_SAME}'}"
    return HeldOut(paths=tuple(paths), name=place)


def fit_held_out(
    model: Backbone,
    pictures: HeldOut,
    settings: Settings,
    *,
    dimensions: int | None = None,
    sample_classes: int = DEFAULT_SAMPLE_CLASSES,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Whitening, str]:
    """Fits the whitening of one encoding.

    Args:
        model: The network, loaded with the settings' layer.
        pictures: From ``held_out``.
        settings: Encoding, and the size of the pictures.
        dimensions: D; None for 512, or as many as there can be.
        sample_classes: N_pca (``cam`` only).
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Told of each picture.

    Returns:
        It, and what it was fitted on, for people.

    Raises:
        SettingsError: The pictures give too few vectors.
    """
    encoder = Encoder(settings.encoding, model.classifier_weights, model.classifier_bias)
    vectors, skipped = collect_samples(
        model.with_threads(1),
        pictures.paths,
        encoder,
        reader=PictureReader.of(model, settings.size, limits or Limits()),
        top=sample_classes,
        workers=workers or processors(),
        progress=progress or Quiet(),
    )
    most = min(model.channels, len(vectors) - 1)
    wanted = dimensions or min(DEFAULT_DIMENSIONS, most)
    if most < 1 or wanted > most:
        raise SettingsError(
            f"{len(vectors)} vectors of {model.channels} channels give at most {max(most, 0)} dimensions",
            remedy="fit the whitening on more pictures, or ask for fewer --dimensions",
        )
    classes = f", N_pca {sample_classes}" if settings.encoding.name == "cam" else ""
    count = len(pictures.paths) - len(skipped)
    note = f"{len(vectors)} vectors of {count} pictures of {pictures.name}{classes}, {wanted} dimensions"
    return fit_whitening(vectors, dimensions=wanted), note


def fit_each(
    model: Backbone,
    pictures: HeldOut,
    settings: Settings,
    encodings: Sequence[Encoding],
    *,
    dimensions: int | None,
    sample_classes: int,
    limits: Limits,
    progress: Progress,
) -> list[tuple[Whitening, str]]:
    """A whitening for each encoding; those that differ in their number of classes share one."""
    fitted: dict[Encoding, tuple[Whitening, str]] = {}
    for encoding in encodings:
        key = replace(encoding, classes=1)
        if key not in fitted:
            fitted[key] = fit_held_out(
                model,
                pictures,
                replace(settings, encoding=encoding, predefined=()),
                dimensions=dimensions,
                sample_classes=sample_classes,
                limits=limits,
                progress=progress,
            )
    return [fitted[replace(encoding, classes=1)] for encoding in encodings]
