"""What a collection keeps of each picture, changed: missing and damaged parts are made, unwanted ones go."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from camseek.config import PARTS
from camseek.extraction.describer import Describer
from camseek.extraction.extractor import Extractor
from camseek.extraction.faults import tried
from camseek.extraction.traces import needs_pass, traces_of
from camseek.indexing.cluster import on_cluster
from camseek.indexing.pace import Pace
from camseek.indexing.travelling import Carried, carried, folders_of, given_up
from camseek.job import Job
from camseek.results import Skipped
from camseek.store import TRACES, Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichReport:
    """What became of a collection's parts.

    Attributes:
        collection: The collection's address.
        keeps: What it keeps of each picture now, of ``camseek.config.PARTS``.
        pictures: Pictures of the collection.
        enriched: Of these, the ones that gained something.
        dropped: How many parts were dropped.
        skipped: Pictures that could not be read again, and why: the next run tries them again.
        seconds: Duration of the run.
    """

    collection: str
    keeps: tuple[str, ...]
    pictures: int
    enriched: int
    dropped: int
    skipped: tuple[Skipped, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "collection": self.collection,
            "keeps": list(self.keeps),
            "pictures": self.pictures,
            "enriched": self.enriched,
            "dropped": self.dropped,
            "skipped": [item.to_json() for item in self.skipped],
            "seconds": round(self.seconds, 3),
        }


def enrich(
    collection: Collection,
    describer: Callable[[], Describer],
    parts: tuple[str, ...],
    *,
    cluster: str | None = None,
    job: Job,
) -> EnrichReport:
    """Has a collection keep these parts of each picture; arguments and errors as ``Engine.enrich``."""
    started = time.perf_counter()
    machines = on_cluster(job, cluster, describer, sees=folders_of(collection))
    with machines as spread, collection.write("camseek enrich") as writer:
        writer.keep(parts)
        wanted = {TRACES[part] for part in parts}
        dropped = sum(writer.drop_traces(kind) for kind in _kinds(collection) - wanted)
        if dropped:
            writer.compact()
        writer.commit()
        lacking: dict[int, list[str]] = {}
        for part in parts:
            kind = TRACES[part]
            for record in (*collection.traces.missing(kind), *collection.traces.damaged(kind)):
                lacking.setdefault(record, []).append(part)
        job.progress.start(len(lacking))
        skipped: list[Skipped] = []
        if lacking:
            pace = Pace(writer)
            items = ((item, lacking[item.picture.record]) for item in carried(collection, sorted(lacking)))
            work = partial(_traced, describer().extractor)
            with closing(spread.spread(work, items, lost=_given_up)) as done:
                for record, traces in done:
                    if isinstance(traces, Skipped):
                        skipped.append(traces)
                    else:
                        with writer.unit():
                            for kind, data in traces.items():
                                writer.put_trace(record, kind, data)
                    pace.step()
                    job.progress.step()
    return EnrichReport(
        collection=collection.address,
        keeps=parts,
        pictures=collection.catalogue.count(),
        enriched=len(lacking) - len(skipped),
        dropped=dropped,
        skipped=tuple(skipped),
        seconds=time.perf_counter() - started,
    )


def _kinds(collection: Collection) -> set[str]:
    """The kinds of traces that parts are kept in, and were by earlier versions: by the part's name."""
    return {kind for kind in collection.traces.kinds() if kind.partition("-")[0] in PARTS}


def _traced(extractor: Extractor, given: tuple[Carried, list[str]]) -> tuple[int, dict[str, bytes] | Skipped]:
    """The parts that a picture lacks, or why it cannot be read."""
    item, parts = given

    def made() -> dict[str, bytes] | Skipped:
        maps = item.maps(extractor)
        seen = maps.see(item.picture) if needs_pass(parts) else maps.read(item.picture)
        return seen if isinstance(seen, Skipped) else traces_of(seen, parts, extractor.model)

    return item.picture.record, tried(item.name, made)


def _given_up(given: tuple[Carried, list[str]], reason: str) -> tuple[int, Skipped]:
    """What becomes of a picture on which workers die."""
    item, _ = given
    return item.picture.record, given_up(item.name, reason)
