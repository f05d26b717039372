"""What is known of a database and its queries, whatever file said so."""

import os
from dataclasses import dataclass, field
from typing import Literal, get_args

from camseek.config import AveragePrecisionForm
from camseek.results import Box

QueryPlace = Literal["listed", "removed", "absent"]
"""Where a query's own picture is: in the database and labelled there as any other (``listed``), in it but
taken out of the query's ranking (``removed``), or not in it (``absent``)."""

Setup = Literal["easy", "medium", "hard"]
SETUPS: tuple[Setup, ...] = get_args(Setup)
"""The three setups of the revisited Oxford and Paris (Radenović et al., CVPR 2018, section 3.3)."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What a ranking is held against.

    Attributes:
        positives: Names, relative to the database, that show the thing.
        ignored: Names that are taken out of the ranking before it is scored.
    """

    positives: frozenset[bytes]
    ignored: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class TruthQuery:
    """One query and what is known of it.

    Attributes:
        id: Its name.
        image: The query picture, an absolute path.
        region: The box of the thing in it, or None for the whole picture.
        good: Names, relative to the database, of pictures that show the thing well (revisited: easy).
        ok: Names of pictures that show it less well; positives too (revisited: hard).
        junk: Names of pictures that count neither way.
        boxes: Where the thing is in a positive, pixels of its upright picture.
        absent: How many of the things in the query picture are in no database picture, where known.
        own: The query picture's own name in the database, or None where it is not there.
    """

    id: str
    image: bytes
    region: Box | None
    good: frozenset[bytes]
    ok: frozenset[bytes] = frozenset()
    junk: frozenset[bytes] = frozenset()
    boxes: dict[bytes, Box] = field(default_factory=dict[bytes, Box])
    absent: int | None = None
    own: bytes | None = None

    @property
    def positives(self) -> frozenset[bytes]:
        """Every picture that shows the thing: good and ok."""
        return self.good | self.ok


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """A folder of pictures and queries whose answers are known.

    Attributes:
        path: The file or folder it was read from, absolute.
        database: The folder that is searched, absolute.
        queries: In the file's order.
        name: The data set's name, as ``roxford5k+r1m``; empty for a file of one's own.
        ap_form: The form of average precision that its protocol uses.
        query_in_database: Where its protocol has a query's own picture.
        setups: The setups that its protocol scores; none for most. Without one, the lists are taken as they
            are: of a revisited set that is ``medium``.
        n_s: Whether its protocol counts the right ones among the first four (UKBench).
        files: Names, relative to ``database``, of the pictures that are searched; None for all in the folder.
        distractors: Further folders, absolute, whose pictures are searched too and are positive to no query.
    """

    path: bytes
    database: bytes
    queries: tuple[TruthQuery, ...]
    name: str = ""
    ap_form: AveragePrecisionForm = "mean"
    query_in_database: QueryPlace = "listed"
    setups: tuple[Setup, ...] = ()
    n_s: bool = False
    files: tuple[bytes, ...] | None = None
    distractors: tuple[bytes, ...] = ()

    def labels(self, query: TruthQuery, setup: Setup | None = None) -> Labels:
        """What a ranking of one query is held against.

        Positives and ignored pictures of the setups: easy: good; ok and junk. Medium, and without a setup:
        good and ok; junk. Hard: ok; good and junk. The query's own picture is ignored where the protocol
        removes it.

        Args:
            query: One of ``queries``.
            setup: One of ``SETUPS``, or None.

        Returns:
            The two sets, disjoint; the positives may be none.

        Raises:
            ValueError: There is no such setup.
        """
        match setup:
            case None | "medium":
                positives, ignored = query.positives, query.junk
            case "easy":
                positives, ignored = query.good, query.ok | query.junk
            case "hard":
                positives, ignored = query.ok, query.good | query.junk
            case _:  # pyright: ignore[reportUnnecessaryComparison]  # callers without a type checker
                raise ValueError(f"there is no setup {setup!r}")
        if self.query_in_database == "removed" and query.own is not None:
            ignored = ignored | {query.own}
        return Labels(positives - ignored, ignored)


def name_within(path: bytes, folder: bytes) -> bytes | None:
    """A path's name relative to a folder, or None where it does not lie in it; both absolute and plain."""
    inside = folder.rstrip(b"/") + b"/"
    return os.path.relpath(path, folder) if path.startswith(inside) else None
