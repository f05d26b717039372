"""The representation of a collection in a folder replaced at once."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from camseek.numerics import F32
from camseek.store.database import STORED
from camseek.store.meta import PROFILE_KEYS, Slot, profile_of, profile_rows, slot_of, slot_rows
from camseek.store.records import NO_TRACES, Refit
from camseek.store.traces import FEATURELESS, MARK

# What descriptors are called among the traces, for as long as two representations change places.
_DESCRIPTOR = "!descriptor"


def packed(descriptor: Float32[F32, " D"], dimensions: int) -> tuple[bytes, int]:
    """A descriptor as it is stored, and its checksum.

    Raises:
        ValueError: It is zero, not finite or of another length.
    """
    if len(descriptor) != dimensions:
        raise ValueError(f"a descriptor has {len(descriptor)} numbers, not {dimensions}")
    norm = float(np.linalg.norm(descriptor))
    if not abs(norm - 1) < 1e-3:
        raise ValueError(f"a descriptor has norm {norm}, not 1")
    vector = descriptor.astype(STORED).tobytes()
    return vector, zlib.crc32(vector)


class FolderRefitter:
    """Replaces the representation of a folder collection (the ``Refitter`` interface).

    What is beside lies in tables of its own, as permanent as the rest: a run that is killed leaves the old
    ones in use and the new ones for the next run.
    """

    def __init__(self, do: Callable[..., list[Any]], address: str) -> None:
        self._do = do
        self._address = address
        # Only this writer changes it, and it holds a matrix of megabytes.
        self._known: Slot | None = None

    def _meta(self) -> dict[str, Any]:
        return dict(self._do("SELECT key, value FROM meta"))

    def slot(self) -> Slot | None:
        """What the collection says of the representation beside."""
        if self._known is None:
            self._known = slot_of(self._address, self._meta())
        return self._known

    def unfinished(self) -> Refit | None:
        """What is in the making: an earlier run began it and did not finish."""
        slot = self.slot()
        return None if slot is None or slot.kept else slot.refit

    def kept(self) -> Refit | None:
        """What was in use before, where it was kept."""
        slot = self.slot()
        return slot.refit if slot is not None and slot.kept else None

    def begin(self, refit: Refit) -> None:
        """Begins another; what was in the making, or kept, is thrown away."""
        self.discard()
        self._name(Slot(refit))

    def _name(self, slot: Slot) -> None:
        self._known = None
        self._do("DELETE FROM meta WHERE key IN ('refit', 'refit_whitening')")
        for row in slot_rows(slot).items():
            self._do("INSERT INTO meta VALUES (?, ?)", row)

    def pending(self) -> list[int]:
        """The records that lack what is beside, ascending: pictures that came meanwhile, too."""
        sql = "SELECT id FROM pictures WHERE id NOT IN (SELECT picture FROM refit) ORDER BY id"
        return [row[0] for row in self._do(sql, kinds=(int,))]

    def put(
        self, record: int, descriptor: Float32[F32, " D"] | None, traces: Mapping[str, bytes] = NO_TRACES
    ) -> None:
        """Stores what a picture has in the representation beside; where its picture has gone, nothing.

        Raises:
            ValueError: Nothing is beside, the descriptor is zero, not finite or of another length, or a trace
                is of another kind.
        """
        slot = self.slot()
        if slot is None:
            raise ValueError("no refit was begun")
        if foreign := traces.keys() - set(slot.refit.kinds):
            raise ValueError(f"the refit has no traces of the kinds {sorted(foreign)}")
        vector, crc = (None, 0) if descriptor is None else packed(descriptor, slot.refit.profile.dimensions)
        if not self._do("SELECT 1 FROM pictures WHERE id = ?", (record,)):
            return
        self._do("INSERT OR REPLACE INTO refit VALUES (?, ?, ?)", (record, vector, crc))
        self._do("DELETE FROM refit_traces WHERE picture = ?", (record,))
        for kind, data in traces.items():
            values = (record, kind, slot.side, data, zlib.crc32(data))
            self._do("INSERT INTO refit_traces VALUES (?, ?, ?, ?, ?)", values)

    def finish(self, *, keep: bool = False) -> None:
        """Puts what is beside in the place of what is in use, with ``commit``.

        Raises:
            ValueError: Nothing is beside, or a picture that has files is still pending.
        """
        meta = self._meta()
        slot = slot_of(self._address, meta)
        if slot is None:
            raise ValueError("no refit was begun")
        sql = (
            "SELECT count(*) FROM pictures WHERE id NOT IN (SELECT picture FROM refit) "
            "AND id IN (SELECT picture FROM files)"
        )
        if pending := self._do(sql)[0][0]:
            raise ValueError(f"{pending} pictures have no new descriptor yet")
        refit, before = slot.refit, profile_of(self._address, meta)
        other = Slot(Refit(asked="", profile=before, kinds=refit.kinds), True, 1 - slot.side)
        if keep:
            self._set_aside(other)
        self._take_over(slot)
        self._do("DELETE FROM refit")
        self._do("DELETE FROM refit_traces WHERE side = ?", (slot.side,))
        after = replace(refit.profile, generation=before.generation + 1, keeps=refit.kept_after(before.keeps))
        for key in PROFILE_KEYS:
            self._do("DELETE FROM meta WHERE key = ?", (key,))
        for row in profile_rows(after).items():
            self._do("INSERT INTO meta VALUES (?, ?)", row)
        if keep:
            self._bring_back()
            self._name(other)
        else:
            self.discard()

    def _set_aside(self, other: Slot) -> None:
        """Copies what is in use, descriptors too, to the other side of ``refit_traces``."""
        self._do(
            "INSERT INTO refit_traces SELECT picture, ?, ?, vector, crc FROM descriptors ORDER BY picture",
            (_DESCRIPTOR, other.side),
        )
        for kind in other.refit.kinds:
            self._do(
                "INSERT INTO refit_traces SELECT picture, kind, ?, data, crc FROM traces "
                "WHERE kind = ? ORDER BY picture",
                (other.side, kind),
            )

    def _take_over(self, slot: Slot) -> None:
        """Puts what is beside in the place of what is in use."""
        self._do("DELETE FROM descriptors")
        self._do(
            "INSERT INTO descriptors SELECT picture, vector, crc FROM refit "
            "WHERE vector IS NOT NULL ORDER BY picture"
        )
        self._do("DELETE FROM traces WHERE kind = ?", (FEATURELESS,))
        for (record,) in self._do("SELECT picture FROM refit WHERE vector IS NULL", (), (int,)):
            self._do(MARK, (record, FEATURELESS))
        for kind in slot.refit.kinds:
            self._do("DELETE FROM traces WHERE kind = ?", (kind,))
            self._do(
                "INSERT INTO traces (picture, kind, data, crc) SELECT picture, kind, data, crc "
                "FROM refit_traces WHERE kind = ? AND side = ? ORDER BY picture",
                (kind, slot.side),
            )

    def _bring_back(self) -> None:
        """Puts the descriptors that were set aside beside those in use; who had none there is featureless."""
        self._do(
            "INSERT INTO refit SELECT id, data, coalesce(crc, 0) FROM pictures "
            "LEFT JOIN refit_traces ON picture = id AND kind = ? ORDER BY id",
            (_DESCRIPTOR,),
        )
        self._do("DELETE FROM refit_traces WHERE kind = ?", (_DESCRIPTOR,))

    def discard(self) -> None:
        """Throws away what is beside."""
        self._known = None
        self._do("DELETE FROM refit")
        self._do("DELETE FROM refit_traces")
        self._do("DELETE FROM meta WHERE key IN ('refit', 'refit_whitening')")
