"""Jobs that only read: many queries at once, and groups of pictures that show the same thing."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from camseek.errors import CamseekError, CancelledError
from camseek.rows import CsvRows
from camseek.searching import QueryPart
from camseek.service.jobs import INCOMING, Job, Work
from camseek.service.problems import ApiError, told
from camseek.service.remote import Remote
from camseek.service.schema import (
    BatchHit,
    BatchRow,
    GroupRecord,
    Part,
    SearchOptions,
    SearchRecord,
    SearchRequest,
)
from camseek.service.searches import Searches
from camseek.service.shelf import Hosted, Shelf
from camseek.service.state import State
from camseek.store import POINTS, StoredPicture

# Hits of each picture that are looked at for its group: those of larger groups find each other in turns.
_NEIGHBOURS = 20
_FIRST = 4
_COLUMNS = (
    *("number", "query", "region", "verdict", "probability", "name", "id", "score", "x1", "y1", "x2", "y2"),
    "problem",
)


class Surveys:
    """What these jobs do; each row of theirs is kept as it comes, and none is made twice."""

    def __init__(
        self,
        shelf: Shelf,
        searches: Searches,
        remote: Remote,
        state: State,
        incoming: Path,
        *,
        whole: bool = False,
    ) -> None:
        """Takes what they work with; uploaded queries lie in ``incoming``."""
        self._remote = remote
        self._whole = whole
        self._found: dict[str, list[list[str]]] = {}
        self._shelf = shelf
        self._searches = searches
        self._state = state
        self._incoming = incoming

    def by_kind(self) -> dict[str, Work]:
        """Each kind's work."""
        return {"batch": self._batch, "groups": self._groups}

    # -- many queries ---------------------------------------------------------------------------------------

    def _batch(self, job: Job) -> dict[str, Any]:
        """Searches with each query; one that cannot be used has a row that says why."""
        hosted = self._shelf[job.collection]
        queries: list[dict[str, Any]] = job.arguments["queries"]
        folder = self._incoming / job.arguments[INCOMING] if INCOMING in job.arguments else None
        known = self._state.table(job.id)
        job.start(len(queries))
        for number, query in enumerate(queries):
            if number not in known:
                row = self._row(hosted, job, number, query, folder)
                self._state.add_row(job.id, number, row.model_dump(mode="json"))
            job.step()
        rows = self.table(job.id)
        return {
            "queries": len(rows),
            "present": sum(row.verdict == "present" for row in rows),
            "failed": sum(row.problem is not None for row in rows),
        }

    def _row(
        self, hosted: Hosted, job: Job, number: int, query: Mapping[str, Any], folder: Path | None
    ) -> BatchRow:
        regions = [part["region"] for part in query.get("parts", ()) if part.get("region")]
        row = BatchRow(
            number=number, query=query["name"], region=regions[0] if len(regions) == 1 else None, hits=[]
        )
        try:
            found = self._searched(hosted, job, number, query, folder)
        except CancelledError:
            raise
        except (ApiError, CamseekError, OSError) as error:
            return row.model_copy(update={"problem": told(error, whole=self._whole).detail})
        hits = [
            BatchHit(
                id=hit.picture.id,
                name=hit.picture.name,
                score=hit.score,
                verdict=hit.verdict.verdict if hit.verdict else None,
                probability=hit.verdict.probability if hit.verdict else None,
                box=hit.outlines[0].box if hit.outlines else None,
            )
            for hit in found.hits
        ]
        first = hits[0].verdict if hits else None
        return row.model_copy(update={"hits": hits, "verdict": first})

    def _searched(
        self, hosted: Hosted, job: Job, number: int, query: Mapping[str, Any], folder: Path | None
    ) -> SearchRecord:
        # Their pictures never pass through the cache of uploads: a thousand would throw out everybody's.
        if "parts" in query:
            parts = [Part.model_validate(item) for item in query["parts"]]
            given = [
                QueryPart(_read(folder, part.upload), part.region)
                if part.upload and folder
                else self._searches.part(hosted, part)
                for part in parts
            ]
        else:
            content = self._remote.fetch(query["url"]) if "url" in query else _read(folder, str(number))
            parts = [Part(upload=hashlib.sha256(content).hexdigest())]
            given = [QueryPart(content)]
        request = SearchRequest(
            query=parts,
            top=job.arguments["top"],
            without_self=job.arguments["without_self"],
            options=SearchOptions.model_validate(job.arguments["options"]),
        )
        return self._searches.search(hosted, request, None, job.cancelled, given)

    def table(self, job: str) -> list[BatchRow]:
        """The rows that are there."""
        return [BatchRow.model_validate(row) for row in self._state.table(job).values()]

    # -- groups ---------------------------------------------------------------------------------------------

    def _groups(self, job: Job) -> dict[str, Any]:
        """Searches with each picture among all others, and notes whom it shows the same thing as."""
        hosted = self._shelf[job.collection]
        if POINTS not in hosted.engine.collection.profile.keeps:
            raise ApiError(
                422,
                "settings",
                "the collection keeps no points to tell by",
                "have it keep them: camseek enrich",
            )
        known = self._state.table(job.id)
        job.start(len(hosted.engine))
        for picture in hosted.engine:
            job.check()
            if picture.record not in known:
                row = {"id": picture.content.hex(), "same": self._same(hosted, picture, job)}
                self._state.add_row(job.id, picture.record, row)
            job.step()
        found = self._components(job)
        return {"groups": len(found), "pictures": sum(map(len, found))}

    def _same(self, hosted: Hosted, picture: StoredPicture, job: Job) -> list[str]:
        request = SearchRequest(
            query=[Part(picture=picture.content.hex())],
            top=_NEIGHBOURS,
            fold=False,
            # What others than itself show would not be what it shows.
            options=SearchOptions(expand_verified=0),
        )
        try:
            found = self._searches.search(hosted, request, None, job.cancelled)
        except CancelledError:
            raise
        except (ApiError, CamseekError):
            return []  # featureless, or gone since
        return [hit.picture.id for hit in found.hits if hit.verdict and hit.verdict.same]

    def _components(self, job: Job) -> list[list[str]]:
        """Contents that show the same thing, directly or by others between; two of them at least."""
        if job.id in self._found:
            return self._found[job.id]
        rows = self._state.table(job.id).values()
        parent = {row["id"]: row["id"] for row in rows}

        def root(item: str) -> str:
            while parent[item] != item:
                parent[item] = item = parent[parent[item]]
            return item

        for row in rows:
            for other in row["same"]:
                if other in parent:
                    one, two = sorted((root(row["id"]), root(other)))
                    parent[two] = one
        members: dict[str, list[str]] = {}
        for item in parent:
            members.setdefault(root(item), []).append(item)
        several = (sorted(found) for found in members.values() if len(found) > 1)
        found = sorted(several, key=lambda some: (-len(some), some))
        if job.state == "done":
            self._found = {job.id: found}
        return found

    def groups(self, hosted: Hosted, job: Job, after: str | None, most: int) -> list[GroupRecord]:
        """Groups, the largest first, with their first pictures; those that have left are not among them.

        Args:
            hosted: The collection.
            job: That found them.
            after: The group that those are behind which are wanted; None for the first.
            most: How many are wanted.
        """
        every = self._components(job)
        start = 0
        if after is not None:
            start = next((place for place, some in enumerate(every, 1) if some[0] == after), len(every))
        there = (found for members in every[start:] if (found := _group(hosted, members, _FIRST)))
        return list(islice(there, most))

    def group(self, hosted: Hosted, job: Job, identity: str) -> GroupRecord | None:
        """A whole group, known by the least of its pictures' ids."""
        found = next((members for members in self._components(job) if members[0] == identity), None)
        return None if found is None else _group(hosted, found, None)


def _group(hosted: Hosted, members: Sequence[str], first: int | None) -> GroupRecord | None:
    there = list(_there(hosted, members))
    if len(there) < 2:
        return None
    return GroupRecord(
        id=members[0], size=len(there), pictures=[hosted.picture(item) for item in there[:first]]
    )


def _read(folder: Path | None, name: str) -> bytes:
    if folder is None:
        raise ApiError(404, "no_upload", "the query's picture is not here any more")
    return (folder / name).read_bytes()


def _there(hosted: Hosted, identities: Sequence[str]) -> Iterator[StoredPicture]:
    for identity in identities:
        try:
            yield hosted.find(identity)
        except ApiError:
            continue  # it has left since


def table_of(rows: Sequence[BatchRow]) -> bytes:
    """A table for spreadsheets: a row for each hit of each query, or for a query without any."""
    file = io.BytesIO()
    table = CsvRows(file, _COLUMNS)
    for row in rows:
        region = ",".join(map(str, row.region)) if row.region else None
        query = [row.number + 1, row.query, region]
        for hit in row.hits:
            probability = None if hit.probability is None else f"{hit.probability:.4f}"
            found = [hit.verdict, probability, hit.name, hit.id, f"{hit.score:.6f}", *(hit.box or [None] * 4)]
            table.write([*query, *found, None])
        if not row.hits:
            table.write([*query, *[None] * 9, row.problem])
    return file.getvalue()
