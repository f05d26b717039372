"""The whitening of a collection: what it is fitted on, and the fit."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from camseek.encoding.whitening import fit_whitening
from camseek.errors import SettingsError
from camseek.indexing.finding import find_pictures
from camseek.indexing.recoding import Recoder
from camseek.indexing.sampling import DEFAULT_SAMPLE_CLASSES, Samples
from camseek.names import path_json, path_text
from camseek.results import Skipped
from camseek.store import Profile, WhiteningNote
from camseek.words import counted

Item = TypeVar("Item")

DEFAULT_DIMENSIONS = 512
"""D of the paper (section 4.1)."""
DEFAULT_MAX_SAMPLES = 20_000
"""100 MB of 1,280 channels, and twice as much for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePlan:
    """What to fit on, and how far down.

    Attributes:
        folder: Of held-out pictures; None for the collection's own.
        dimensions: Length of the new descriptors; None for ``usual``, or as many as the samples give.
        sample_classes: N_pca, of an encoding that has classes.
        predefined: Whether these are those of a class list.
        max_samples: Samples at most.
        usual: What is usual.
    """

    folder: bytes | None
    dimensions: int | None
    sample_classes: int | None
    predefined: bool
    max_samples: int = DEFAULT_MAX_SAMPLES
    usual: int = DEFAULT_DIMENSIONS

    def text(self) -> str:
        """The same for the same plan, in this process and in others."""
        told: dict[str, Any] = {
            "folder": None if self.folder is None else path_json(self.folder),
            "dimensions": self.dimensions,
            "sample_classes": self.sample_classes,
            "max_samples": self.max_samples,
        }
        if self.predefined:
            # Left out otherwise: earlier versions did not say it, and took each picture's own classes.
            told["predefined"] = True
        if self.usual != DEFAULT_DIMENSIONS:
            told["usual"] = self.usual
        return json.dumps(told)


def draw(recoder: Recoder, plan: SamplePlan) -> Samples:
    """The samples of a plan.

    Raises:
        SettingsError: The plan wants more dimensions than there can be.
        SourceError: Its folder holds no pictures.
    """
    most = min(recoder.channels, plan.max_samples - 1)
    if plan.dimensions is not None and plan.dimensions > most:
        raise SettingsError(
            f"{plan.max_samples} samples of {recoder.channels} channels give at most {most} dimensions, "
            f"not {plan.dimensions}",
            remedy="ask for fewer dimensions",
        )
    top = plan.sample_classes or DEFAULT_SAMPLE_CLASSES
    if plan.folder is not None:
        walk = find_pictures(plan.folder)
        files = _some([file.path for file in walk.files], plan.max_samples)
        recoder.start(len(files) + recoder.pictures)
        drawn = recoder.samples_of_files(files, top, plan.max_samples)
        unread = [Skipped(*item) for item in (*walk.unknown, *walk.skipped)]
        return replace(drawn, skipped=(*unread, *drawn.skipped))
    return recoder.own_samples(top, plan.max_samples)


def _some(items: list[Item], most: int) -> list[Item]:
    """Some of the items in an order that has nothing to do with theirs, the same every time."""
    order: list[int] = np.random.default_rng(0).permutation(len(items))[:most].tolist()
    return [items[place] for place in order]


def fitted(plain: Profile, plan: SamplePlan, drawn: Samples) -> Profile:
    """A profile with the whitening of a plan's samples.

    Raises:
        SettingsError: There are too few for the dimensions.
    """
    channels, count = plain.dimensions, len(drawn.vectors)
    most = min(channels, count - 1)
    if most < 1:
        raise SettingsError(
            f"{count} samples are too few to fit a whitening on{_unread(drawn)}",
            remedy="fit on a folder of more pictures, with --on",
        )
    dimensions = min(plan.usual, most) if plan.dimensions is None else plan.dimensions
    if dimensions > most:
        raise SettingsError(
            f"{count} samples of {channels} channels give at most {most} dimensions, not {dimensions}",
            remedy=f"ask for at most {most}, or fit on more pictures",
        )
    whitening = fit_whitening(drawn.vectors, dimensions=dimensions)
    note = WhiteningNote(
        folder=plan.folder,
        pictures=drawn.pictures,
        samples=count,
        sample_classes=plan.sample_classes,
        predefined=plan.predefined,
        channels=channels,
        dimensions=dimensions,
        fitted=datetime.now(UTC).isoformat(timespec="seconds"),
        checksum=whitening.checksum,
    )
    return replace(plain, whitening=whitening.to_bytes(), whitening_note=note, dimensions=dimensions)


def _unread(drawn: Samples) -> str:
    """How many pictures gave no sample, and why the first did not."""
    if not drawn.skipped:
        return ""
    first = drawn.skipped[0]
    return f"; {counted(len(drawn.skipped), 'picture')} gave none: {path_text(first.path)}: {first.reason}"


def limited(plan: SamplePlan | None, note: WhiteningNote | None) -> str | None:
    """What the usual number of dimensions was limited by: ``channels``, ``samples``, or nothing."""
    if plan is None or plan.dimensions is not None or note is None or note.dimensions >= plan.usual:
        return None
    return "channels" if note.dimensions == note.channels else "samples"
