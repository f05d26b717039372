"""Fits a whitening for a collection, or takes it out, and encodes every picture anew."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from camseek.encoding.whitening import Whitening
from camseek.errors import SettingsError
from camseek.extraction.describer import Describer
from camseek.indexing.cluster import on_cluster
from camseek.indexing.fitting import (
    DEFAULT_DIMENSIONS,
    DEFAULT_MAX_SAMPLES,
    SamplePlan,
    draw,
    fitted,
    limited,
)
from camseek.indexing.recoding import Recoder
from camseek.indexing.renewing import Renewal, Renewed, Turns, unwhitened
from camseek.indexing.sampling import DEFAULT_SAMPLE_CLASSES, Samples, require_sample_classes
from camseek.indexing.travelling import folders_of
from camseek.job import Job
from camseek.names import absolute
from camseek.results import Skipped
from camseek.store import Collection, Profile, Refit, WhiteningNote, Writer


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
    describer: Callable[[Profile], Describer],
    *,
    on: str | os.PathLike[str] | None = None,
    dimensions: int | None = None,
    sample_classes: int | None = None,
    max_samples: int = DEFAULT_MAX_SAMPLES,
    allow_removal: bool = False,
    cluster: str | None = None,
    job: Job,
) -> FitReport:
    """Fits a PCA-whitening and encodes the collection anew with it (paper sections 3.2 and 4.1).

    Searches go on with the old descriptors until all new ones are there, and a run that is stopped goes on
    where it ended when the same is asked for again. A collection that is whitened already is fitted from
    scratch.

    Args:
        collection: The collection.
        describer: Gives what describes pictures for a profile, one thread a pass; asked when one is read.
        on: A folder of held-out pictures to fit on, as the paper does; None for the collection's own.
        dimensions: D, length of the new descriptors; None for 512, or as many as the samples give.
        sample_classes: N_pca, for ``cam`` alone: the first classes of each picture whose class vectors are
            samples, those of the collection's class list where it has one (paper section 4.3); None for 1.
        max_samples: Samples at most, 2 or more; of more pictures some are drawn, the same ones every time.
        allow_removal: Let pictures whose files have gone or changed leave the collection.
        cluster: Have pictures read by the workers of this Ray cluster, as ``Engine.index``; where none need
            be read, as what is stored is all that a whitening takes, they have nothing to do.
        job: Threads, and who is told how far the run is.

    Raises:
        SettingsError: There are too few samples for the dimensions, or the encoding has no classes; or there
            is no room: an upgrade is unfinished, or what was in use before one is kept.
        SourceError: ``on`` holds no pictures, or pictures cannot be encoded anew and ``allow_removal`` is
            not given; what was done is kept.
        ClusterError: The cluster does not answer, or its workers cannot do the work.
        CollectionBusyError: Another process is writing.
        StorageError: The disk is full or read-only.
    """
    if max_samples < 2 or (dimensions is not None and dimensions < 1):
        raise ValueError(f"max_samples {max_samples} or dimensions {dimensions} is too small")
    settings = collection.profile.settings
    require_sample_classes(settings, sample_classes)
    has_classes = settings.encoding.name == "cam"
    plan = SamplePlan(
        folder=None if on is None else absolute(on),
        dimensions=dimensions,
        sample_classes=(sample_classes or DEFAULT_SAMPLE_CLASSES) if has_classes else None,
        predefined=bool(settings.predefined),
        max_samples=max_samples,
        usual=DEFAULT_DIMENSIONS,
    )
    return _run(collection, describer, plan, allow_removal=allow_removal, cluster=cluster, job=job)


def unfit(
    collection: Collection,
    describer: Callable[[Profile], Describer],
    *,
    allow_removal: bool = False,
    cluster: str | None = None,
    job: Job,
) -> FitReport:
    """Takes a collection's whitening out again; an unfinished fit of one without any is forgotten.

    Arguments and errors as for ``fit``.

    Raises:
        SettingsError: There is none.
    """
    return _run(collection, describer, None, allow_removal=allow_removal, cluster=cluster, job=job)


def _run(
    collection: Collection,
    describer: Callable[[Profile], Describer],
    plan: SamplePlan | None,
    *,
    allow_removal: bool,
    cluster: str | None,
    job: Job,
) -> FitReport:
    started = time.perf_counter()
    asked = "remove" if plan is None else plan.text()
    turns = Turns(collection, "camseek fit", job)
    with turns.take(wait=False) as writer:
        _require_room(collection, writer)
        before, refit = collection.profile, writer.refitter.unfinished()
        if plan is None and before.whitening is None:
            _forget(collection, writer, refit)
            return _report(collection, Renewed(), seconds=time.perf_counter() - started)
        resumed = refit is not None and refit.asked == asked
        left = len(writer.refitter.pending()) if resumed else None
    whitening = None if before.whitening is None else Whitening.from_bytes(before.whitening)
    plain = unwhitened(before, before.dimensions if whitening is None else len(whitening.mean))
    sees = folders_of(collection, plan.folder if plan else None)
    drawn: Samples | None = None
    with on_cluster(job, cluster, lambda: describer(plain), sees=sees) as spread:
        recoder = Recoder(collection, describer, before, plain, spread)
        if refit is None or left is None:
            if plan is None:
                recoder.start()
                refit = Refit(asked=asked, profile=plain)
            else:
                drawn = draw(recoder, plan)
                refit = Refit(asked=asked, profile=fitted(plain, plan, drawn))
            refit = turns.begin(refit, before)
        else:
            recoder.start(left)
        done = Renewal(turns, recoder, refit, keep=False).run(allow_removal=allow_removal)
    return _report(
        collection, done, plan=plan, drawn=drawn, resumed=resumed, seconds=time.perf_counter() - started
    )


def _require_room(collection: Collection, writer: Writer) -> None:
    """Makes sure that nothing but an unfinished fit has to go for this one.

    Raises:
        SettingsError: An upgrade is unfinished, or what was in use before one is kept.
    """
    unfinished = writer.refitter.unfinished()
    if unfinished is not None and not _is_fit(unfinished, collection.profile):
        raise SettingsError(
            f"an upgrade of {collection.address} to {unfinished.profile.model} is unfinished",
            remedy="go on with it (camseek upgrade), or throw it away: camseek upgrade --discard",
        )
    if writer.refitter.kept() is not None:
        raise SettingsError(
            f"{collection.address} keeps what was in use before its last upgrade: there is no room for more",
            remedy="let it go first (camseek upgrade --forget), or go back to it (--undo)",
        )


def _is_fit(refit: Refit, now: Profile) -> bool:
    return (refit.profile.model_checksum, refit.profile.settings) == (now.model_checksum, now.settings)


def _forget(collection: Collection, writer: Writer, refit: Refit | None) -> None:
    """Forgets the unfinished fit of a collection that has no whitening to take out."""
    if refit is None:
        raise SettingsError(
            f"{collection.address} has no whitening", remedy="fit one with: camseek fit COLLECTION"
        )
    writer.refitter.discard()


def _report(
    collection: Collection,
    done: Renewed,
    *,
    plan: SamplePlan | None = None,
    drawn: Samples | None = None,
    resumed: bool = False,
    seconds: float,
) -> FitReport:
    info = collection.catalogue.info()
    note = info.profile.whitening_note
    return FitReport(
        collection=collection.address,
        note=note,
        limited=limited(plan, note),
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
