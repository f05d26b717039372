"""Jobs by which a collection goes over to another network, and back."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from camseek.backbones import ModelCard
from camseek.backbones.library import EMBEDDED, EMBEDDED_NAME, imported_models
from camseek.errors import ModelError, UnreadPicturesError
from camseek.indexing.upgrading import UpgradeReport
from camseek.service.jobs import Job, Work
from camseek.service.problems import ApiError
from camseek.service.schema import BesideRecord, ModelRecord
from camseek.service.shelf import Hosted, Shelf
from camseek.store import CollectionInfo
from camseek.words import counted

# Names of pictures that an error and a report tell.
_TOLD_NAMES = 10
_TOLD_REMOVED = 500


def models() -> list[ModelRecord]:
    """The networks that are here, by the names that they are asked for by; what is damaged is left out."""
    found: list[ModelRecord] = []
    for name, place in {EMBEDDED_NAME: EMBEDDED, **imported_models()}.items():
        try:
            card = ModelCard.read(place)
        except ModelError:
            continue
        found.append(ModelRecord(name=name, checksum=card.model.sha256))
    return found


def require_model(name: str) -> None:
    """Makes sure that a network is here: others are never looked for, by whatever name.

    Raises:
        ApiError: It is not.
    """
    if name != EMBEDDED_NAME and name not in imported_models():
        raise ApiError(404, "no_model", "there is no such network here", "GET /models lists those that are")


def beside(info: CollectionInfo) -> BesideRecord | None:
    """What an upgrade has in the making beside a collection's descriptors, or keeps to go back to."""
    found = info.beside
    if found is None or not (found.kept or found.refit.kinds):
        return None
    profile = found.refit.profile
    return BesideRecord(
        model=profile.model,
        checksum=profile.model_checksum,
        layer=profile.settings.layer,
        kept=found.kept,
        done=found.done,
    )


class Upgrades:
    """What these jobs do. Searches, and a job that adds something, do not wait for them."""

    def __init__(self, shelf: Shelf, sweep: Callable[[], None]) -> None:
        """Takes the collections, and what lets small pictures go that no collection has any more."""
        self._shelf = shelf
        self._sweep = sweep

    def by_kind(self) -> dict[str, Work]:
        """Each kind's work."""
        return {
            "upgrade": self._upgrade,
            "undo_upgrade": self._undo,
            "forget_upgrade": self._forget,
            "discard_upgrade": self._discard,
        }

    def _upgrade(self, job: Job) -> dict[str, Any]:
        """Goes over to another network; an earlier run that did not come to its end is gone on with."""
        require_model(job.arguments["model"])
        with _told_as(self._shelf[job.collection]) as hosted:
            report = hosted.engine.upgrade(
                job.arguments["model"],
                layer=job.arguments.get("layer"),
                allow_removal=bool(job.arguments.get("allow_removal")),
                progress=job,
                cancelled=job.cancelled,
            )
        return self._told(hosted, report)

    def _undo(self, job: Job) -> dict[str, Any]:
        """Goes back to what was in use before, or forth again."""
        with _told_as(self._shelf[job.collection]) as hosted:
            report = hosted.engine.undo_upgrade(
                allow_removal=bool(job.arguments.get("allow_removal")), progress=job, cancelled=job.cancelled
            )
        return self._told(hosted, report)

    def _forget(self, job: Job) -> dict[str, Any]:
        with _told_as(self._shelf[job.collection]) as hosted:
            hosted.engine.forget_upgrade()
        return {}

    def _discard(self, job: Job) -> dict[str, Any]:
        with _told_as(self._shelf[job.collection]) as hosted:
            hosted.engine.discard_upgrade()
        return {}

    def _told(self, hosted: Hosted, report: UpgradeReport) -> dict[str, Any]:
        """What an upgrade did, without any path of the server."""
        if report.removed:
            self._sweep()
        naming = hosted.naming
        return {
            "model": report.profile.model,
            "layer": report.profile.settings.layer,
            "before": {"model": report.before.model, "layer": report.before.settings.layer},
            "pictures": report.pictures,
            "encoded": report.encoded,
            "resumed": report.resumed,
            "featureless": report.featureless,
            "newly_featureless": report.newly_featureless,
            "removed": len(report.removed),
            "removed_names": [naming.shown(item.path) for item in report.removed[:_TOLD_REMOVED]],
        }


@contextmanager
def _told_as(hosted: Hosted) -> Generator[Hosted]:
    """A collection by its name: files that stand in the way are told by theirs, not by their places."""
    try:
        yield hosted
    except UnreadPicturesError as error:
        naming = hosted.naming
        names = "; ".join(naming.shown(path) for path, _ in error.files[:_TOLD_NAMES])
        more = "; ..." if len(error.files) > _TOLD_NAMES else ""
        why = "cannot be read just now" if error.passing else "are gone, or are others now"
        raise ApiError(
            409,
            error.code,
            f"the files of {counted(len(error.files), 'picture')} {why}, and the collection is as it was: "
            f"{names}{more}",
            "ask for the same again: what was done is kept"
            if error.passing
            else "bring the collection in line first (index), or let these pictures go (allow_removal)",
        ) from error
    finally:
        hosted.forget()
