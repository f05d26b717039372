"""Whitening for an evaluation, fitted on pictures that are held out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float32

from camseek.backbones import Backbone
from camseek.config import Settings
from camseek.datasets import GroundTruth
from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import Whitening, fit_whitening
from camseek.errors import SettingsError
from camseek.extraction.extractor import Extractor
from camseek.indexing.finding import find_pictures
from camseek.indexing.fitting import DEFAULT_DIMENSIONS
from camseek.indexing.sampling import (
    DEFAULT_SAMPLE_CLASSES,
    collect_samples,
    require_sample_classes,
    told_classes,
)
from camseek.job import Job
from camseek.lab.measuring.database import read_rows
from camseek.names import path_text
from camseek.numerics import F32

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
    job: Job | None = None,
) -> tuple[Whitening, str]:
    """Fits the whitening of one encoding.

    Args:
        model: The network, loaded with the settings' layer.
        pictures: From ``held_out``.
        settings: Encoding, the size of the pictures, and predefined classes.
        dimensions: D; None for 512, or as many as there can be.
        sample_classes: N_pca (``cam`` only), of the predefined classes where there are some.
        job: Threads, limits and progress.

    Returns:
        It, and what it was fitted on, for people.

    Raises:
        SettingsError: The pictures give too few vectors, or the list has fewer classes.
    """
    job = job or Job()
    has_classes = settings.encoding.name == "cam"
    require_sample_classes(settings, sample_classes if has_classes else None)
    encoder = Encoder.of(settings, model.classifier_weights, model.classifier_bias, None)
    extractor = Extractor.of(model.with_threads(1), settings.size, job.limits)
    vectors, skipped = collect_samples(extractor, pictures.paths, encoder, top=sample_classes, job=job)
    most = min(model.channels, len(vectors) - 1)
    wanted = dimensions or min(DEFAULT_DIMENSIONS, most)
    if most < 1 or wanted > most:
        raise SettingsError(
            f"{len(vectors)} vectors of {model.channels} channels give at most {max(most, 0)} dimensions",
            remedy="fit the whitening on more pictures, or ask for fewer --dimensions",
        )
    classes = told_classes(has_classes, sample_classes, settings.predefined)
    count = len(pictures.paths) - len(skipped)
    return fit_noted(vectors, wanted, pictures=count, name=pictures.name, classes=classes)


def fit_noted(
    vectors: Float32[F32, "S K"], dimensions: int, *, pictures: int, name: str, classes: str
) -> tuple[Whitening, str]:
    """A whitening, and what it was fitted on, for people.

    Args:
        vectors: The samples.
        dimensions: D, below S and at most K.
        pictures: How many gave samples.
        name: What these are.
        classes: What ``told_classes`` says.
    """
    note = f"{len(vectors)} vectors of {pictures} pictures of {name}{classes}, {dimensions} dimensions"
    return fit_whitening(vectors, dimensions=dimensions), note


def fit_each(
    model: Backbone,
    pictures: HeldOut,
    settings: Sequence[Settings],
    *,
    dimensions: int | None,
    sample_classes: int,
    job: Job,
) -> list[tuple[Whitening, str]]:
    """A whitening for each of some settings; those that differ in their number of classes share one."""
    fitted: dict[Settings, tuple[Whitening, str]] = {}
    alike = [replace(item, encoding=item.encoding.with_classes(1)) for item in settings]
    for item in alike:
        if item not in fitted:
            fitted[item] = fit_held_out(
                model, pictures, item, dimensions=dimensions, sample_classes=sample_classes, job=job
            )
    return [fitted[item] for item in alike]
