"""What jobs do with collections."""

import os
import secrets
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from camseek.errors import CamseekError, CancelledError, StorageError
from camseek.files import reason_of
from camseek.images import fingerprint
from camseek.indexing.leaving import coming_back
from camseek.names import GIVEN, is_given
from camseek.results import IndexReport, Skipped
from camseek.service.dates import Dates
from camseek.service.jobs import INCOMING, Job, Work
from camseek.service.naming import Naming
from camseek.service.problems import ApiError
from camseek.service.remote import Remote
from camseek.service.renders import Renders
from camseek.service.shelf import THUMBNAIL, Hosted, Shelf
from camseek.writing import write_whole

# Files that could not be used and are told of one run; the rest are counted.
_TOLD = 500
_OPEN_FILES = 64


class Works:
    """What each kind of job does."""

    def __init__(self, shelf: Shelf, renders: Renders, remote: Remote, dates: Dates, folder: Path) -> None:
        """Takes what jobs work with."""
        self._dates = dates
        self._remote = remote
        self._shelf = shelf
        self._renders = renders
        self.incoming = folder / ".incoming"

    def by_kind(self) -> dict[str, Work]:
        """Each kind's work."""
        return {
            "index": self._index,
            "add": self._add,
            "remove": self._remove,
            "enrich": self._enrich,
            "fit": self._fit,
            "dates": self._learn,
        }

    def receive(self, files: Mapping[str, BinaryIO]) -> str:
        """Takes files that were uploaded, to be worked on, under names of ours; the name of their folder.

        Raises:
            StorageError: The disk is full.
        """
        folder = self.incoming / secrets.token_hex(8)
        try:
            folder.mkdir(parents=True, mode=0o700)
            for name, file in files.items():
                with (folder / name).open("xb") as place:
                    shutil.copyfileobj(file, place)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"the uploaded files cannot be kept: {reason_of(error)}", remedy="make room on the disk"
            ) from error
        return folder.name

    def clear(self, job: Job) -> None:
        """Lets the uploads of a job go that has ended."""
        if INCOMING in job.arguments:
            shutil.rmtree(self.incoming / job.arguments[INCOMING], ignore_errors=True)

    def sweep(self, wanted: Collection[str]) -> None:
        """Lets uploads go that no job will work on: what came when an earlier service was killed."""
        if self.incoming.is_dir():
            for folder in self.incoming.iterdir():
                if folder.name not in wanted:
                    shutil.rmtree(folder, ignore_errors=True)

    def _index(self, job: Job) -> dict[str, Any]:
        """Brings folders in line: the one that is named, or all that are known."""
        hosted = self._shelf[job.collection]
        engine = hosted.engine
        folder = job.arguments.get("folder")
        roots = [folder] if folder else [os.fsdecode(root) for root in engine.info().roots]
        if not roots:
            raise ApiError(422, "source", "no folder was indexed yet", "add pictures, or index a folder")
        totals = _told(IndexReport(""), hosted.naming)
        for root in roots:
            before = engine.info().files
            try:
                report = engine.index(
                    root,
                    allow_removal=bool(job.arguments.get("allow_removal")),
                    progress=job,
                    cancelled=job.cancelled,
                )
            except CancelledError:
                # Where it gives way to another, what came so far is told at its end.
                came = max(engine.info().files - before, 0)
                job.carried["added"] = job.carried.get("added", 0) + came
                raise
            finally:
                hosted.forget()
            _add_up(totals, _told(report, hosted.naming))
        if totals["removed"] or totals["changed"]:
            self.sweep_renders()
        self._draw(hosted, job)
        came = min(job.carried.get("added", 0), totals["unchanged"])
        _add_up(totals, {"added": came, "unchanged": -came})
        return totals

    def _remove(self, job: Job) -> dict[str, Any]:
        """Takes pictures out, by all their names."""
        hosted = self._shelf[job.collection]
        removed = back = 0
        for identity in job.arguments["pictures"]:
            try:
                stored = hosted.find(identity)
            except ApiError:
                continue  # it has gone since
            report = hosted.engine.remove(stored.paths)
            hosted.forget()
            removed += report.removed
            back += len(coming_back(hosted.engine.info().roots, report.files))
            if not self._wanted_elsewhere(identity):
                self._renders.drop(identity)
        return {"removed": removed, "coming_back": back}

    def _wanted_elsewhere(self, identity: str) -> bool:
        """Whether another collection has a picture, whose small ones are then kept; so they are in doubt."""
        try:
            return any(hosted.has(identity) for hosted in self._shelf)
        except (CamseekError, ApiError):
            return True

    def sweep_renders(self) -> None:
        """Lets small pictures of what is in no collection any more go; none where one cannot be asked."""
        try:
            wanted = {picture.content.hex() for hosted in self._shelf for picture in hosted.engine}
        except (CamseekError, ApiError):
            return
        self._renders.keep_only(wanted)

    def _add(self, job: Job) -> dict[str, Any]:
        """Brings in files that were uploaded, some at a time; they are kept in the collection."""
        hosted, folder = self._shelf[job.collection], self.incoming / job.arguments[INCOMING]
        names: list[str] = job.arguments["names"]
        totals = _told(IndexReport(""), hosted.naming)
        if "urls" in job.arguments:
            self._fetch(job, folder, totals)
        for start in range(0, len(names), _OPEN_FILES):
            some = range(start, min(start + _OPEN_FILES, len(names)))
            with ExitStack() as files:
                pictures: dict[str, BinaryIO] = {}
                for number in some:
                    place = folder / str(number)
                    if place.is_file():  # else an earlier service has brought it in
                        file = files.enter_context(place.open("rb"))
                        if (name := _name(hosted, names[number], fingerprint(file), pictures)) is None:
                            _add_up(totals, {"unchanged": 1})
                        else:
                            pictures[name] = file
                if pictures:
                    report = hosted.engine.add(pictures, progress=job, cancelled=job.cancelled)
                    hosted.forget()
                    _add_up(totals, _told(report, hosted.naming))
        self._draw(hosted, job)
        return totals

    def _fetch(self, job: Job, folder: Path, totals: dict[str, Any]) -> None:
        """Fetches pictures from other servers, those that are not there yet."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        job.start(len(job.arguments["urls"]))
        for number, url in enumerate(job.arguments["urls"]):
            job.check()
            place = folder / str(number)
            try:
                if not place.is_file():
                    write_whole(place, self._remote.fetch(url), replace=True)
            except ApiError as error:
                told = {"name": job.arguments["names"][number], "code": error.problem.code}
                _add_up(totals, {"skipped_count": 1, "skipped": [{**told, "reason": error.problem.detail}]})
            job.step()

    def _enrich(self, job: Job) -> dict[str, Any]:
        hosted = self._shelf[job.collection]
        report = hosted.engine.enrich(progress=job, cancelled=job.cancelled).to_json()
        return {
            key: value for key, value in report.items() if key != "collection" and not isinstance(value, list)
        }

    def _fit(self, job: Job) -> dict[str, Any]:
        hosted = self._shelf[job.collection]
        hosted.engine.fit(progress=job, cancelled=job.cancelled)
        hosted.forget()
        return {}

    def _learn(self, job: Job) -> dict[str, Any]:
        """Finds out when pictures were taken, of which that is not known yet."""
        hosted = self._shelf[job.collection]
        files = hosted.files()
        job.start(len(hosted.engine))
        for picture in hosted.engine:
            job.check()
            self._dates.learn(files, picture)
            job.step()
        hosted.forget()
        return {}

    def _draw(self, hosted: Hosted, job: Job) -> None:
        """Makes the thumbnails that are missing, which stay when a file goes; sees when each was taken."""
        files = hosted.files()
        for picture in hosted.engine:
            job.check()
            self._dates.learn(files, picture)
            if not self._renders.has_thumbnail(picture):
                try:
                    self._renders.place(hosted, picture, THUMBNAIL)
                except ApiError:
                    continue  # its file has gone since


def _name(hosted: Hosted, name: str, content: bytes, taken: Iterable[str]) -> str | None:
    """A name under which nothing is kept yet; None for a content that is kept already.

    Another picture of the name must not take its place. What a folder brought is kept all the same: it would
    leave with its file.
    """
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if stem else (name, "")
    with hosted.engine.collection.snapshot():
        ledger = hosted.engine.collection.catalogue.ledger()
        record = ledger.find(content)
        if record is not None and any(map(is_given, ledger.names(record))):
            return None
        number, tried = 1, name
        while tried in taken or ledger.record((GIVEN + tried).encode()) is not None:
            number += 1
            tried = f"{stem} ({number}){suffix}"
    return tried


def _told(report: IndexReport, naming: Naming) -> dict[str, Any]:
    """What an index run did, without any path of the server."""
    return {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "removed": report.removed,
        "copies": report.copies,
        "encoded": report.encoded,
        "held": report.removal.files if report.removal is not None and report.removal.held else 0,
        "skipped_count": len(report.skipped),
        "skipped": [_skipped(item, naming) for item in report.skipped[:_TOLD]],
    }


def _skipped(item: Skipped, naming: Naming) -> dict[str, str]:
    return {"name": naming.shown(item.path), "reason": item.reason, "code": item.code}


def _add_up(totals: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        totals[key] += value
