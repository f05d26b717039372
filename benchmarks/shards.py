"""Both first stages of a search in shards on a Ray cluster, against the same in a folder, in turns.

The pictures do not exist: directions at random for descriptors (``ranking.write_synthetic``), and points as
``large.py`` makes them. The collection is copied to a Milvus server of this machine, and the cluster is of
this machine alone: shards and folder have the same cores. What a search in shards costs more is then what it
takes to ask them, to put their answers together, and to let several work beside each other on few cores; what
it saves on several machines is not measured. Beside it stand reading the points of a hundred candidates, and
a question that is answered at once.

    python benchmarks/shards.py --pictures 20000 --shards 2
"""

import argparse
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from common import Figure, Options, Report, Table, in_turns, print_alone, spread
from large import Pictures
from on_milvus import server_in
from ranking import write_synthetic

from camseek import load_model
from camseek.address import MilvusAddress
from camseek.indexing.copying import copy
from camseek.job import Job, processors
from camseek.store import POINTS_TRACE, Collection, end_shards, open_collection, open_shards

_DEPTH = 1000
_CANDIDATES = 100
_MOST = 2.0


def measure(options: Options, count: int | None = None, shards: int = 2) -> Report:
    """Measures with so many pictures in so many shards."""
    count = options.pick(20_000, 400) if count is None else count
    folder, rounds = options.folder / "folder", options.pick(20, 3)
    write_synthetic(folder, load_model(), count)
    pictures = Pictures()
    with open_collection(str(folder), keep_vectors=False) as collection, collection.write("points") as writer:
        for record in collection.catalogue.records().tolist():
            writer.put_trace(record, POINTS_TRACE, pictures.picture(record).pack((640, 480)))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Here, as it is no part of a plain install, and reads the environment when it is imported.
    from ray.cluster_utils import Cluster

    # The mirrors are part of what is measured, and no user's.
    with (
        mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(options.folder / "cache")}),
        server_in(options.folder / "server") as port,
    ):
        address = str(MilvusAddress("127.0.0.1", port, f"benchmark-{secrets.token_hex(4)}"))
        with open_collection(str(folder), keep_vectors=False) as source:
            copy(source, address, job=Job.of(None, None))
        node = {"num_cpus": max(shards, processors()), "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        head: str = cluster.address  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAssignmentType]
        try:
            started = time.perf_counter()
            with open_shards(address, shards, head) as there, open_collection(str(folder)) as here:
                opened = time.perf_counter() - started
                works = [
                    work
                    for make in (_stages, _points, _count)
                    for work in (make(here, pictures), make(there, pictures))
                ]
                for work in works:
                    work()
                now = in_turns(works, rounds)
            end_shards(address, head)
        finally:
            cluster.shutdown()  # pyright: ignore[reportUnknownMemberType]
    names = "both first stages", f"points of {_CANDIDATES} candidates", "how many pictures there are"
    table = Table(
        f"Searching {count:,} pictures in {shards} shards",
        ("work", "in the folder, ms", "middle half", "in shards, ms", "middle half"),
    )
    for place, name in enumerate(names):
        columns = [[1000 * row[2 * place + which] for row in now] for which in range(2)]
        told = [(f"{statistics.median(values):.1f}", spread(values, "{:.1f}")) for values in columns]
        table.rows.append((name, *told[0], *told[1]))
    table.notes.append(
        f"Shards of which nothing was there yet were ready in {opened:.0f} s, {count / opened:.0f} pictures "
        "a second."
    )
    ratio = statistics.median(row[1] / row[0] for row in now)
    name = f"both first stages of {count:,} pictures in {shards} shards over those in a folder, same cores"
    return Report([table], [Figure(name, ratio, _MOST, form="{:.2f}")])


def _stages(collection: Collection, pictures: Pictures) -> Callable[[], object]:
    descriptor = np.zeros((1, collection.vectors.dimensions), np.float32)
    descriptor[0, :2] = 0.6, 0.8
    query = pictures.query(3)

    def search() -> None:
        [near] = collection.vectors.nearest(descriptor, _DEPTH)
        words = collection.words.search(workers=processors())
        words.ranked([query], _DEPTH, asked=np.sort(near.records))

    return search


def _points(collection: Collection, _: Pictures) -> Callable[[], object]:
    records = collection.catalogue.records()[:_CANDIDATES].tolist()
    return lambda: collection.traces.get(POINTS_TRACE, records)


def _count(collection: Collection, _: Pictures) -> Callable[[], object]:
    return collection.catalogue.count


def main() -> None:
    """Measures with as many pictures and shards as are asked for."""
    parser = argparse.ArgumentParser(description="A search in shards against one in a folder.")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--shards", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="camseek-benchmark-") as folder:
        options = Options(quick=False, size=False, folder=Path(folder), data=None)
        report = measure(options, given.pictures, given.shards)
    print_alone(report)


if __name__ == "__main__":
    main()
