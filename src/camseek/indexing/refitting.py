"""Fits a whitening for a collection, or takes it out, and encodes every picture anew."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from camseek.encoding.whitening import fit_whitening
from camseek.errors import SettingsError, SourceError
from camseek.extraction.describer import Describer
from camseek.indexing.finding import find_pictures
from camseek.indexing.recoding import Recoded, Recoder
from camseek.indexing.sampling import DEFAULT_SAMPLE_CLASSES, Samples, require_sample_classes
from camseek.job import Job
from camseek.names import absolute, path_json, path_text
from camseek.results import Skipped
from camseek.store import Collection, Refit, Refitter, WhiteningNote
from camseek.words import counted

Item = TypeVar("Item")

DEFAULT_DIMENSIONS = 512
"""D of the paper (section 4.1)."""
DEFAULT_MAX_SAMPLES = 20_000
"""100 MB of 1,280 channels, and twice as much for a moment."""

# So many names are told in an error.
_TOLD_NAMES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What a fit did.

    Attributes:
        collection: The collection's address.
        note: What the whitening was fitted on; None where it was taken out.
        limited: What the default number of dimensions was limited by: ``channels``, ``samples``, or nothing.
        resumed: Whether an earlier run that had stopped was finished.
        dimensions: Length of a descriptor now.
        pictures: Pictures of the collection now.
        re_encoded: Of these, the ones that this run encoded anew; the others were done by the run it resumed.
        featureless: Pictures on which the network sees nothing: they have no descriptor.
        newly_featureless: Of these, the ones that had a descriptor before.
        left_out: Samples that were zero, and no samples therefore; 0 where a run was resumed.
        skipped: Pictures that gave no sample, and why; none where a run was resumed.
        removed: Files of pictures that could not be encoded anew and left the collection, and why.
        seconds: Duration of the run.
    """

    collection: str
    note: WhiteningNote | None
    limited: str | None
    resumed: bool
    dimensions: int
    pictures: int
    re_encoded: int
    featureless: int
    newly_featureless: int
    left_out: int
    skipped: tuple[Skipped, ...]
    removed: tuple[Skipped, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "collection": self.collection,
            "whitening": self.note.to_json() if self.note else None,
            "limited_by": self.limited,
            "resumed": self.resumed,
            "dimensions": self.dimensions,
            "pictures": self.pictures,
            "re_encoded": self.re_encoded,
            "featureless": self.featureless,
            "newly_featureless": self.newly_featureless,
            "left_out": self.left_out,
            "skipped": [item.to_json() for item in self.skipped],
            "removed": [item.to_json() for item in self.removed],
            "seconds": round(self.seconds, 3),
        }


def fit(
    collection: Collection,
    describer: Callable[[], Describer],
    *,
    on: str | os.PathLike[str] | None = None,
    dimensions: int | None = None,
    sample_classes: int | None = None,
    max_samples: int = DEFAULT_MAX_SAMPLES,
    allow_removal: bool = False,
    job: Job,
) -> FitReport:
    """Fits a PCA-whitening and encodes the collection anew with it (paper sections 3.2 and 4.1).

    Searches go on with the old descriptors until all new ones are there, and a run that is stopped goes on
    where it ended when the same is asked for again. A collection that is whitened already is fitted from
    scratch.

    Args:
        collection: The collection.
        describer: Gives what describes its pictures now, one thread a pass; asked when a picture is read.
        on: A folder of held-out pictures to fit on, as the paper does; None for the collection's own.
        dimensions: D, length of the new descriptors; None for 512, or as many as the samples give.
        sample_classes: N_pca, for ``cam`` alone: the first classes of each picture whose class vectors are
            samples, those of the collection's class list where it has one (paper section 4.3); None for 1.
        max_samples: Samples at most, 2 or more; of more pictures some are drawn, the same ones every time.
        allow_removal: Let pictures whose files have gone or changed leave the collection.
        job: Threads, and who is told how far the run is.

    Raises:
        SettingsError: There are too few samples for the dimensions, or the encoding has no classes.
        SourceError: ``on`` holds no pictures, or pictures cannot be encoded anew and ``allow_removal`` is
            not given; what was done is kept.
        CollectionBusyError: Another process is writing.
        StorageError: The disk is full or read-only.
    """
    if max_samples < 2 or (dimensions is not None and dimensions < 1):
        raise ValueError(f"max_samples {max_samples} or dimensions {dimensions} is too small")
    settings = collection.profile.settings
    require_sample_classes(settings, sample_classes)
    has_classes = settings.encoding.name == "cam"
    plan = _SamplePlan(
        folder=None if on is None else absolute(on),
        dimensions=dimensions,
        sample_classes=(sample_classes or DEFAULT_SAMPLE_CLASSES) if has_classes else None,
        predefined=bool(settings.predefined),
        max_samples=max_samples,
    )
    return _run(collection, describer, plan, allow_removal=allow_removal, job=job)


def unfit(
    collection: Collection,
    describer: Callable[[], Describer],
    *,
    allow_removal: bool = False,
    job: Job,
) -> FitReport:
    """Takes a collection's whitening out again; an unfinished fit of one without any is forgotten.

    Arguments and errors as for ``fit``.

    Raises:
        SettingsError: There is none.
    """
    return _run(collection, describer, None, allow_removal=allow_removal, job=job)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SamplePlan:
    """What to fit on, and how far down."""

    folder: bytes | None
    dimensions: int | None
    sample_classes: int | None
    predefined: bool
    max_samples: int

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
        return json.dumps(told)


def _run(
    collection: Collection,
    describer: Callable[[], Describer],
    plan: _SamplePlan | None,
    *,
    allow_removal: bool,
    job: Job,
) -> FitReport:
    started = time.perf_counter()
    asked = "remove" if plan is None else plan.text()
    with collection.write("camseek fit") as writer:
        refitter = writer.refitter
        refit = refitter.unfinished()
        if plan is None and collection.profile.whitening is None:
            _forget(collection, refitter, refit)
            return _report(collection, Recoded(), seconds=time.perf_counter() - started)
        recoder = Recoder(collection, describer, writer, job)
        resumed = refit is not None and refit.asked == asked
        drawn: Samples | None = None
        if refit is None or not resumed:
            if plan is None:
                recoder.start()
                refit = _whitened(collection, asked, None, recoder.channels, None)
            else:
                drawn = _draw(recoder, plan)
                refit = _fitted(collection, plan, drawn, recoder.channels)
            refitter.begin(refit)
            writer.commit()
        else:
            recoder.start(len(refitter.pending()))
        done = recoder.encode_all(refit)
        if done.lost and not allow_removal:
            raise _cannot_encode([item for _, item in done.lost] + done.waiting)
        if done.waiting:
            raise _cannot_encode(done.waiting, passing=True)
        done.replace_all(collection, writer)
    return _report(
        collection, done, plan=plan, drawn=drawn, resumed=resumed, seconds=time.perf_counter() - started
    )


def _forget(collection: Collection, refitter: Refitter, refit: Refit | None) -> None:
    """Forgets the unfinished fit of a collection that has no whitening to take out."""
    if refit is None:
        raise SettingsError(
            f"{collection.address} has no whitening", remedy="fit one with: camseek fit COLLECTION"
        )
    refitter.discard()


def _draw(recoder: Recoder, plan: _SamplePlan) -> Samples:
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


def _whitened(
    collection: Collection, asked: str, whitening: bytes | None, dimensions: int, note: WhiteningNote | None
) -> Refit:
    """A collection's representation with another whitening."""
    profile = replace(collection.profile, whitening=whitening, dimensions=dimensions, whitening_note=note)
    return Refit(asked=asked, profile=profile)


def _fitted(collection: Collection, plan: _SamplePlan, drawn: Samples, channels: int) -> Refit:
    """The whitening of a plan's samples.

    Raises:
        SettingsError: There are too few for the dimensions.
    """
    count = len(drawn.vectors)
    most = min(channels, count - 1)
    if most < 1:
        raise SettingsError(
            f"{count} samples are too few to fit a whitening on{_unread(drawn)}",
            remedy="fit on a folder of more pictures, with --on",
        )
    dimensions = min(DEFAULT_DIMENSIONS, most) if plan.dimensions is None else plan.dimensions
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
    return _whitened(collection, plan.text(), whitening.to_bytes(), dimensions, note)


def _unread(drawn: Samples) -> str:
    """How many pictures gave no sample, and why the first did not."""
    if not drawn.skipped:
        return ""
    first = drawn.skipped[0]
    return f"; {counted(len(drawn.skipped), 'picture')} gave none: {path_text(first.path)}: {first.reason}"


def _cannot_encode(lost: Sequence[Skipped], *, passing: bool = False) -> SourceError:
    named = "; ".join(f"{path_text(item.path)}: {item.reason}" for item in lost[:_TOLD_NAMES])
    return SourceError(
        f"{counted(len(lost), 'picture')} cannot be encoded anew, and the collection is as it was: {named}"
        + ("; ..." if len(lost) > _TOLD_NAMES else ""),
        remedy="this may pass: fit again; what was encoded is kept for the next run"
        if passing
        else "bring it in line with its folders first (camseek index), or let these pictures go with "
        "--allow-removal; what was encoded is kept for the next run",
    )


def _report(
    collection: Collection,
    done: Recoded,
    *,
    plan: _SamplePlan | None = None,
    drawn: Samples | None = None,
    resumed: bool = False,
    seconds: float,
) -> FitReport:
    info = collection.catalogue.info()
    note, limited = info.profile.whitening_note, None
    by_default = plan is not None and plan.dimensions is None
    if by_default and note is not None and note.dimensions < DEFAULT_DIMENSIONS:
        limited = "channels" if note.dimensions == note.channels else "samples"
    return FitReport(
        collection=collection.address,
        note=note,
        limited=limited,
        resumed=resumed,
        dimensions=info.profile.dimensions,
        pictures=info.pictures,
        re_encoded=done.encoded,
        featureless=info.featureless,
        newly_featureless=done.newly_featureless,
        left_out=drawn.zero if drawn else 0,
        skipped=drawn.skipped if drawn else (),
        removed=tuple(done.removed),
        seconds=seconds,
    )
