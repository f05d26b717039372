"""A collection that goes over to another network, and back."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from camseek.backbones import Backbone
from camseek.config import Settings
from camseek.encoding.whitening import Whitening
from camseek.errors import SettingsError
from camseek.extraction.agreement import new_profile
from camseek.extraction.describer import Describer
from camseek.extraction.traces import needs_pass
from camseek.indexing.cluster import on_cluster
from camseek.indexing.fitting import SamplePlan, draw, fitted, limited
from camseek.indexing.recoding import Recoder
from camseek.indexing.renewing import Renewal, Renewed, Turns, unwhitened
from camseek.indexing.sampling import DEFAULT_SAMPLE_CLASSES, Samples
from camseek.indexing.travelling import folders_of
from camseek.job import Job
from camseek.names import absolute, is_remote, path_text
from camseek.results import Skipped
from camseek.store import TRACES, Collection, Profile, Refit, Writer

_COMMAND = "camseek upgrade"
NETWORKS = tuple(kind for part, kind in TRACES.items() if needs_pass([part]))
"""The kinds of traces that are another network's, as descriptors are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeReport:
    """What an upgrade did, or the way back.

    Attributes:
        collection: The collection's address.
        profile: What its descriptors are made with now.
        before: What they were made with before: kept beside.
        limited: What the dimensions of a whitening were limited by, where they are fewer than before:
            ``channels``, ``samples``, or nothing.
        resumed: Whether an earlier run that had stopped was finished.
        pictures: Pictures of the collection now.
        encoded: Of these, the ones that this run encoded.
        featureless: Pictures on which the network sees nothing: they have no descriptor.
        newly_featureless: Of these, the ones that had a descriptor before.
        skipped: Pictures that gave no sample for the whitening, and why.
        removed: Files of pictures that could not be encoded and left the collection, and why.
        seconds: Duration of the run.
    """

    collection: str
    profile: Profile
    before: Profile
    limited: str | None
    resumed: bool
    pictures: int
    encoded: int
    featureless: int
    newly_featureless: int
    skipped: tuple[Skipped, ...]
    removed: tuple[Skipped, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        note = self.profile.whitening_note
        return {
            "collection": self.collection,
            "model": self.profile.model,
            "model_checksum": self.profile.model_checksum,
            "layer": self.profile.settings.layer,
            "dimensions": self.profile.dimensions,
            "keeps": list(self.profile.keeps),
            "whitening": note.to_json() if note else None,
            "limited_by": self.limited,
            "before": {
                "model": self.before.model,
                "model_checksum": self.before.model_checksum,
                "layer": self.before.settings.layer,
                "dimensions": self.before.dimensions,
            },
            "resumed": self.resumed,
            "pictures": self.pictures,
            "encoded": self.encoded,
            "featureless": self.featureless,
            "newly_featureless": self.newly_featureless,
            "skipped": [item.to_json() for item in self.skipped],
            "removed": [item.to_json() for item in self.removed],
            "seconds": round(self.seconds, 3),
        }


def upgrade(
    collection: Collection,
    describer: Callable[[Profile], Describer],
    model: Backbone,
    *,
    classes: Callable[[], tuple[str, ...]],
    on: str | os.PathLike[str] | None = None,
    allow_removal: bool = False,
    cluster: str | None = None,
    job: Job,
) -> UpgradeReport:
    """Encodes a collection's pictures with another network, and then goes over to it in one step.

    Encoding and size stay what they are. A whitened collection is whitened again: fitted on the folder that
    its whitening was fitted on, or on its own pictures. What another network sees otherwise is made anew, the
    descriptors and the sketches; points are of pixels alone, and stay. Searches go on with what is there, and
    others may write meanwhile. A run that is stopped goes on where it ended when the same is asked for again.
    What was in use before is kept, for ``undo``.

    Args:
        collection: The collection.
        describer: Gives what describes pictures for a profile, one thread a pass; asked when one is read.
        model: The network, loaded with the layer that is to give the maps.
        classes: Gives the names of the classes of the present network: asked for where the collection has
            predefined ones, whose numbers are others in another network.
        on: A folder of held-out pictures to fit the whitening on; None for the one that it was fitted on.
        allow_removal: Let pictures whose files have gone or changed leave the collection.
        cluster: Have pictures read by the workers of this Ray cluster, as ``Engine.index``.
        job: Threads, and who is told how far the run is.

    Raises:
        SettingsError: The network is the present one, is what is kept to go back to, or cannot be used with
            the collection's settings; or an upgrade to another one is unfinished.
        SourceError: The folder holds no pictures, or pictures cannot be encoded anew and ``allow_removal`` is
            not given; what was done is kept.
        ClusterError: The cluster does not answer, or its workers cannot do the work.
        CollectionBusyError: Another process is writing when it begins.
        CollectionChangedError: Another process fitted or upgraded the collection meanwhile.
        StorageError: The disk is full or read-only.
    """
    started = time.perf_counter()
    turns = Turns(collection, _COMMAND, job)
    with turns.take(wait=False) as writer:
        before = collection.profile
        plain = _profile(collection.address, model, before, classes)
        plan = _plan(before, on)
        asked = _asked(model, plan)
        refit = writer.refitter.unfinished()
        _require_other(collection.address, model, writer, asked)
        resumed = refit is not None and refit.asked == asked
        left = len(writer.refitter.pending()) if resumed else None
    sees = folders_of(collection, plan.folder if plan else None)
    drawn: Samples | None = None
    with on_cluster(job, cluster, lambda: describer(plain), sees=sees) as spread:
        recoder = Recoder(collection, describer, before, plain, spread)
        if refit is None or left is None:
            profile = plain
            if plan is None:
                recoder.start()
            else:
                drawn = draw(recoder, plan)
                profile = fitted(plain, plan, drawn)
            refit = turns.begin(Refit(asked=asked, profile=profile, kinds=NETWORKS), before)
        else:
            recoder.start(left)
        done = Renewal(turns, recoder, refit, keep=True).run(allow_removal=allow_removal)
    return _report(collection, before, done, started, plan=plan, drawn=drawn, resumed=resumed)


def undo(
    collection: Collection,
    describer: Callable[[Profile], Describer],
    *,
    allow_removal: bool = False,
    cluster: str | None = None,
    job: Job,
) -> UpgradeReport:
    """Goes back to what was in use before the last upgrade, in one step; done again, it goes forth again.

    Pictures that came since are encoded first, with the network of that time, which must be here: without it
    nothing could be searched for. Arguments and errors as for ``upgrade``.

    Raises:
        SettingsError: Nothing is kept.
        ModelError: That network is not here.
    """
    started = time.perf_counter()
    turns = Turns(collection, _COMMAND, job)
    with turns.take(wait=False) as writer:
        before, refit = collection.profile, writer.refitter.kept()
        if refit is None:
            raise SettingsError(
                f"{collection.address} keeps nothing to go back to",
                remedy="an upgrade keeps what was in use before it, until it is told to forget it",
            )
        left = len(writer.refitter.pending())
    whitening = refit.profile.whitening
    channels = refit.profile.dimensions if whitening is None else len(Whitening.from_bytes(whitening).mean)
    plain = unwhitened(refit.profile, channels)
    _ = describer(plain).model
    with on_cluster(job, cluster, lambda: describer(plain), sees=folders_of(collection)) as spread:
        recoder = Recoder(collection, describer, before, plain, spread)
        recoder.start(left)
        done = Renewal(turns, recoder, refit, keep=True).run(allow_removal=allow_removal)
    return _report(collection, before, done, started)


def forget(collection: Collection) -> None:
    """Lets go of what was in use before the last upgrade: there is no way back then.

    Raises:
        SettingsError: Nothing is kept.
        CollectionBusyError: Another process is writing.
        StorageError: The disk is full or read-only.
    """
    with collection.write(_COMMAND) as writer:
        if writer.refitter.kept() is None:
            raise SettingsError(
                f"{collection.address} keeps nothing of before an upgrade", remedy="there is nothing to do"
            )
        writer.refitter.discard()
        writer.compact()


def discard(collection: Collection) -> None:
    """Throws away what an upgrade, or a fit, began and did not finish; errors as for ``forget``."""
    with collection.write(_COMMAND) as writer:
        if writer.refitter.unfinished() is None:
            raise SettingsError(
                f"nothing of {collection.address} is unfinished", remedy="there is nothing to do"
            )
        writer.refitter.discard()
        writer.compact()


def _profile(
    address: str, model: Backbone, before: Profile, classes: Callable[[], tuple[str, ...]]
) -> Profile:
    """What the descriptors are made with when the collection has gone over to a network; not whitened.

    Raises:
        SettingsError: It is the present one, or cannot be used with the settings.
    """
    if (model.checksum, model.layer) == (before.model_checksum, before.settings.layer):
        raise SettingsError(
            f"{address} is made with that model already: {model.card.name}, layer {model.layer}",
            remedy="give another one, or another layer of it with --layer",
        )
    settings = replace(before.settings, layer=model.layer)
    if settings.predefined and model.checksum != before.model_checksum:
        settings = _with_classes(settings, model, classes())
    return new_profile(model, settings, None, before.keeps)


def _with_classes(settings: Settings, model: Backbone, names: tuple[str, ...]) -> Settings:
    """Settings whose predefined classes are those of the same names of another network.

    Raises:
        SettingsError: It has none of a name, or several.
    """
    model.require_classifier("predefined classes")
    found: list[int] = []
    for number in settings.predefined:
        name = names[number]
        if (names.count(name), model.class_names.count(name)) != (1, 1):
            raise SettingsError(
                f"the collection's class list names {name!r}, which is no one class of {model.card.name}",
                remedy="index the pictures into a new collection, with a class list of that model",
            )
        found.append(model.class_names.index(name))
    return replace(settings, predefined=tuple(found))


def _plan(before: Profile, on: str | os.PathLike[str] | None) -> SamplePlan | None:
    """What the new whitening is fitted on: the like of what the present one was.

    Raises:
        SettingsError: There is none, and somebody said what to fit it on; or its folder has gone.
    """
    if before.whitening is None:
        if on is not None:
            raise SettingsError(
                "the collection has no whitening to fit on other pictures",
                remedy="leave --on out; camseek fit fits one",
            )
        return None
    note = before.whitening_note
    folder = absolute(on) if on is not None else note.folder if note is not None else None
    if on is None and folder is not None and not (is_remote(folder) or os.path.isdir(folder)):
        raise SettingsError(
            f"the folder that the whitening was fitted on is not there: {path_text(folder)}",
            remedy="give another with --on, or take the whitening out first: camseek fit --remove",
        )
    has_classes = before.settings.encoding.name == "cam"
    top = (note.sample_classes if note is not None else None) or DEFAULT_SAMPLE_CLASSES
    return SamplePlan(
        folder=folder,
        dimensions=None,
        sample_classes=top if has_classes else None,
        predefined=bool(before.settings.predefined),
        usual=before.dimensions,
    )


def _asked(model: Backbone, plan: SamplePlan | None) -> str:
    """The same for the same upgrade, in this process and in others."""
    told = {"upgrade": model.checksum, "layer": model.layer, "whitening": plan.text() if plan else None}
    return json.dumps(told)


def _require_other(address: str, model: Backbone, writer: Writer, asked: str) -> None:
    """Makes sure that nothing has to go for this upgrade that somebody may still want.

    Raises:
        SettingsError: An upgrade to another network is unfinished, or this network is what is kept.
    """
    refit, kept = writer.refitter.unfinished(), writer.refitter.kept()
    if refit is not None and refit.kinds and refit.asked != asked:
        raise SettingsError(
            f"another upgrade of {address} is unfinished: to {refit.profile.model}, layer "
            f"{refit.profile.settings.layer}, or with another whitening",
            remedy="go on with that one, or throw it away: camseek upgrade --discard",
        )
    was = None if kept is None else (kept.profile.model_checksum, kept.profile.settings.layer)
    if was == (model.checksum, model.layer):
        raise SettingsError(
            f"{address} was made with that model before its last upgrade, and keeps what it had then",
            remedy="go back to it with --undo, or let it go first with --forget",
        )


def _report(
    collection: Collection,
    before: Profile,
    done: Renewed,
    started: float,
    *,
    plan: SamplePlan | None = None,
    drawn: Samples | None = None,
    resumed: bool = False,
) -> UpgradeReport:
    info = collection.catalogue.info()
    return UpgradeReport(
        collection=collection.address,
        profile=info.profile,
        before=before,
        limited=limited(plan, info.profile.whitening_note),
        resumed=resumed,
        pictures=info.pictures,
        encoded=done.encoded,
        featureless=info.featureless,
        newly_featureless=done.newly_featureless,
        skipped=drawn.skipped if drawn else (),
        removed=tuple(done.removed),
        seconds=time.perf_counter() - started,
    )
