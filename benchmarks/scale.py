"""What 10 million and a billion pictures take: disk, memory, shards, replicas, latency, hours, cost.

    python benchmarks/scale.py                    # the tables of docs/scale.md
    python benchmarks/scale.py --pictures 3e8 --queries 20 --latency 1
    python benchmarks/scale.py --measure [FOLDER] # what a picture takes on the disk, of this camseek

Nothing is measured but with --measure: the tables are worked out from constants, each of which names the
command that printed it, and from assumptions, which are options. What was measured is of two cores of a
shared machine and of up to a million pictures; beyond that everything is taken to grow with their number.
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camseek import Engine
from camseek.store import TRACES

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Constant:
    """A number that was measured.

    Attributes:
        what: What it is.
        value: It.
        unit: In what.
        command: What printed it, or what it is worked out from.
    """

    what: str
    value: float
    unit: str
    command: str


_MEASURE = "benchmarks/scale.py --measure"
_LARGE = "benchmarks/large.py --pictures 1000000"
_INDEXING = "benchmarks/run.py --only indexing"
_SERVICE = "benchmarks/run.py --only service"
CONSTANTS = {
    "disk": Constant("a picture on the disk, with all that is kept of it", 29610.0, "bytes", _MEASURE),
    "beside": Constant("what another network makes of it", 5785.0, "bytes", "benchmarks/upgrade.py"),
    "words": Constant("the file of words, a picture", 5160.0, "bytes", _LARGE),
    "codes": Constant("the file of codes, a picture", 269.0, "bytes", _LARGE),
    "own": Constant("the memory of a search beside these files, a picture", 108.0, "bytes", _LARGE),
    "first": Constant("both first stages, a million pictures", 1.556, "core seconds", _LARGE),
    "first_wall": Constant("the same, from beginning to end on two cores", 1.0, "seconds", _LARGE),
    "verify": Constant("the rest of a verified search", 1.236, "core seconds", _SERVICE),
    "verify_wall": Constant("the same, from beginning to end", 0.618, "seconds", _SERVICE),
    "encode": Constant("a picture of 12 megapixels, read and encoded", 0.356, "core seconds", _INDEXING),
    "encode_again": Constant("the same, its descriptor alone", 0.200, "core seconds", _INDEXING),
}


@dataclass(frozen=True)
class Wish:
    """What is assumed.

    Attributes:
        queries: Searches a second, in the busiest minute.
        latency: Seconds that a search may take.
        shard_cores: Cores that a search of a shard uses: comparing codes uses four at most.
        cores: Of a machine.
        memory: Of a machine, GB.
        load: The share of the cores that may be busy in that minute.
        hours: Hours in which everything is to be encoded.
        core_hour: Price of a core for an hour, with its share of the machine's memory.
        disk_month: Price of a GB of SSD for a month.
        copies: How many copies of what is kept there are beside each replica's own: backups.
    """

    queries: float = 1.0
    latency: float = 2.0
    shard_cores: int = 4
    cores: int = 32
    memory: float = 128.0
    load: float = 0.6
    hours: float = 72.0
    core_hour: float = 0.05
    disk_month: float = 0.10
    copies: int = 1


_HOURS = 730  # of a month


@dataclass(frozen=True)
class Plan:
    """What a number of pictures takes."""

    pictures: int
    wish: Wish

    def value(self, name: str) -> float:
        """A constant."""
        return CONSTANTS[name].value

    @property
    def most(self) -> int:
        """Pictures of a shard: what is compared in time, and what its part of a machine's memory holds."""
        wish = self.wish
        left = wish.latency - self.value("verify_wall")
        by_time = left * wish.shard_cores / 2 / self.value("first_wall") * 1e6
        by_memory = wish.memory * 1e9 * wish.shard_cores / wish.cores / self.memory_each
        return max(int(min(by_time, by_memory)), 1)

    @property
    def memory_each(self) -> float:
        """Bytes of memory a picture: the files that every search walks through, and a search's own."""
        return self.value("words") + self.value("codes") + self.value("own")

    @property
    def shards(self) -> int:
        """Parts that hold all pictures once, together."""
        return math.ceil(self.pictures / self.most)

    @property
    def each(self) -> float:
        """Pictures of a shard."""
        return self.pictures / self.shards

    @property
    def first_seconds(self) -> float:
        """From beginning to end, both first stages on a shard's cores."""
        return self.each / 1e6 * self.value("first_wall") * 2 / self.wish.shard_cores

    @property
    def latency(self) -> float:
        """Seconds of a search that has its shards' cores for itself."""
        return self.first_seconds + self.value("verify_wall")

    @property
    def search_cores(self) -> float:
        """Core seconds of a search in each shard: both first stages. The rest is done where it is asked."""
        return self.each / 1e6 * self.value("first")

    @property
    def replicas(self) -> int:
        """How often each shard is there, so that the queries are answered."""
        busy = self.wish.queries * self.search_cores
        return max(math.ceil(busy / (self.wish.shard_cores * self.wish.load)), 1)

    @property
    def machines(self) -> int:
        """What has cores for all shards, as often as there are replicas, and for the rest of searches."""
        shards = self.shards * self.replicas * self.wish.shard_cores
        rest = self.wish.queries * self.value("verify") / self.wish.load
        return math.ceil((shards + rest) / self.wish.cores)

    @property
    def disk(self) -> float:
        """Bytes on the disk, once: the collection, and what is made of it."""
        return self.pictures * (self.value("disk") + self.value("words") + self.value("codes"))

    @property
    def encode_hours(self) -> float:
        """Core hours of encoding everything once."""
        return self.pictures * self.value("encode") / 3600

    @property
    def upgrade_hours(self) -> float:
        """Core hours of another network for everything."""
        return self.pictures * self.value("encode_again") / 3600

    @property
    def disk_month(self) -> float:
        """Price of the disks for a month."""
        backups = self.pictures * self.value("disk") * self.wish.copies
        return (self.disk * self.replicas + backups) / 1e9 * self.wish.disk_month

    @property
    def machine_month(self) -> float:
        """Price of the machines that search for a month."""
        return self.machines * self.wish.cores * self.wish.core_hour * _HOURS

    def rows(self) -> list[tuple[str, str]]:
        """What is told, for people."""
        wish = self.wish
        return [
            ("on the disk, once", _bytes(self.disk)),
            ("more for an upgrade, and its way back", _bytes(self.pictures * self.value("beside"))),
            ("memory that searches want, once", _bytes(self.pictures * self.memory_each)),
            ("shards", f"{self.shards:,}"),
            ("pictures of each", _count(self.each)),
            ("replicas of each", f"{self.replicas:,}"),
            (f"machines of {wish.cores} cores and {wish.memory:g} GB that search", f"{self.machines:,}"),
            ("a search: its first stages, s", f"{self.first_seconds:.2f}"),
            ("a search, s", f"{self.latency:.2f}"),
            (
                "a search, core seconds of all shards, and where it is asked",
                f"{self.search_cores * self.shards + self.value('verify'):,.0f}",
            ),
            ("encoding, core hours", f"{self.encode_hours:,.0f}"),
            (f"cores for it in {wish.hours:g} hours", f"{math.ceil(self.encode_hours / wish.hours):,}"),
            (
                f"encoding on one machine of {wish.cores} cores, hours",
                f"{self.encode_hours / wish.cores:,.0f}",
            ),
            ("another network for all, core hours", f"{self.upgrade_hours:,.0f}"),
            ("encoding, once, $", f"{self.encode_hours * wish.core_hour:,.0f}"),
            ("machines that search, $ a month", f"{self.machine_month:,.0f}"),
            ("disks, with backups, $ a month", f"{self.disk_month:,.0f}"),
        ]


def _bytes(count: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:,.2f} {unit}"
    return f"{count / 1e6:,.1f} MB"


def _count(count: float) -> str:
    return f"{count / 1e6:,.2f} million"


def tables(pictures: Sequence[int], wish: Wish) -> str:
    """The tables in Markdown."""
    lines = ["| measured | value | by |", "|---|---:|---|"]
    for item in CONSTANTS.values():
        value = f"{item.value:,.0f}" if item.value >= 100 else f"{item.value:.3f}"
        lines.append(f"| {item.what}, {item.unit} | {value} | `python {item.command}` |")
    lines += ["", "| assumed | value | option |", "|---|---:|---|"]
    for what, value, option in (
        ("searches a second in the busiest minute", wish.queries, "--queries"),
        ("seconds that a search may take", wish.latency, "--latency"),
        ("cores that a search of a shard uses", wish.shard_cores, "--shard-cores"),
        ("cores of a machine", wish.cores, "--cores"),
        ("memory of a machine, GB", wish.memory, "--memory"),
        ("share of the cores that may be busy", wish.load, "--load"),
        ("hours for encoding everything", wish.hours, "--hours"),
        ("a core for an hour, with its memory, $", wish.core_hour, "--core-hour"),
        ("a GB of SSD for a month, $", wish.disk_month, "--disk-month"),
        ("backups", wish.copies, "--copies"),
    ):
        lines.append(f"| {what} | {value:g} | `{option}` |")
    plans = [Plan(count, wish) for count in pictures]
    lines += ["", "| pictures | " + " | ".join(f"{plan.pictures:,}" for plan in plans) + " |"]
    lines.append("|---|" + "---:|" * len(plans))
    for rows in zip(*(plan.rows() for plan in plans), strict=True):
        lines.append(f"| {rows[0][0]} | " + " | ".join(value for _, value in rows) + " |")
    return "\n".join(lines) + "\n"


def measure(folder: Path) -> str:
    """What a picture takes on the disk, part by part."""
    lines = ["| a picture on the disk | bytes |", "|---|---:|"]
    with tempfile.TemporaryDirectory() as place:
        collection = Path(place) / "c"
        with Engine.open(collection, create=True) as engine:
            engine.index(folder)
            with engine.collection.write("benchmark") as writer:
                writer.compact()
            records = engine.collection.catalogue.records().tolist()
            lines.append(f"| descriptor | {2 * engine.collection.vectors.dimensions:,} |")
            for part, kind in TRACES.items():
                found = engine.collection.traces.get(kind, records).values()
                lines.append(f"| {part} | {sum(map(len, found)) / len(records):,.0f} |")
        size = sum(path.stat().st_size for path in collection.iterdir())
        lines.append(f"| all of it, of {len(records)} pictures | {size / len(records):,.0f} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=float, nargs="+", default=[1e7, 1e9])
    parser.add_argument("--measure", type=Path, nargs="?", const=ROOT / "examples/groceries/photos")
    for name, default in vars(Wish()).items():
        kind = int if isinstance(default, int) else float
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    given = vars(parser.parse_args(arguments))
    pictures, folder = given.pop("pictures"), given.pop("measure")
    if folder is not None:
        print(measure(folder), end="")
        return
    wish = Wish(**given)
    least = CONSTANTS["verify_wall"].value
    positive = min(value for name, value in vars(wish).items() if name != "copies") > 0
    if not (positive and wish.copies >= 0 and wish.load <= 1 and wish.latency > least and min(pictures) >= 1):
        parser.error(f"give numbers above 0, a load of 1 at most, and a latency above {least:g} s")
    print(tables([round(count) for count in pictures], wish), end="")


if __name__ == "__main__":
    main()
