"""All descriptors of a collection in a folder replaced at once."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from camseek.numerics import F32
from camseek.store.database import STORED
from camseek.store.meta import refit_of, refit_rows, whitening_rows
from camseek.store.records import Refit
from camseek.store.traces import FEATURELESS, MARK


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
    """Replaces every descriptor of a folder collection (the ``Refitter`` interface).

    The new descriptors lie in a table of their own, as permanent as the rest: a run that is killed leaves
    the old ones in use and the new ones for the next run.
    """

    def __init__(self, do: Callable[..., list[Any]], address: str) -> None:
        self._do = do
        self._address = address
        self._dimensions: int | None = None

    def unfinished(self) -> Refit | None:
        """What an earlier run began and did not finish."""
        rows: dict[str, Any] = dict(
            self._do("SELECT key, value FROM meta WHERE key IN ('refit', 'refit_whitening')")
        )
        found = refit_of(self._address, rows)
        self._dimensions = found.dimensions if found else None
        return found

    def begin(self, refit: Refit) -> None:
        """Begins; what was unfinished is thrown away."""
        self.discard()
        for row in refit_rows(refit).items():
            self._do("INSERT INTO meta VALUES (?, ?)", row)
        self._dimensions = refit.dimensions

    def pending(self) -> list[int]:
        """The records that have no new descriptor yet, ascending: pictures that came meanwhile, too."""
        sql = "SELECT id FROM pictures WHERE id NOT IN (SELECT picture FROM refit) ORDER BY id"
        return [row[0] for row in self._do(sql, kinds=(int,))]

    def put(self, record: int, descriptor: Float32[F32, " D"] | None) -> None:
        """Stores a picture's new descriptor, None where it is featureless.

        Raises:
            ValueError: Nothing was begun, or the descriptor is zero, not finite or of another length.
        """
        if self._dimensions is None:
            raise ValueError("no refit was begun")
        vector, crc = (None, 0) if descriptor is None else packed(descriptor, self._dimensions)
        self._do("INSERT OR REPLACE INTO refit VALUES (?, ?, ?)", (record, vector, crc))

    def finish(self) -> None:
        """Puts the new descriptors and the new whitening in the place of the old ones, with ``commit``.

        Raises:
            ValueError: Nothing was begun, or a picture that has files is still pending.
        """
        refit = self.unfinished()
        if refit is None:
            raise ValueError("no refit was begun")
        pending = self._do(
            "SELECT count(*) FROM pictures WHERE id NOT IN (SELECT picture FROM refit) "
            "AND id IN (SELECT picture FROM files)"
        )[0][0]
        if pending:
            raise ValueError(f"{pending} pictures have no new descriptor yet")
        self._do("DELETE FROM descriptors")
        self._do(
            "INSERT INTO descriptors SELECT picture, vector, crc FROM refit "
            "WHERE vector IS NOT NULL ORDER BY picture"
        )
        self._do("DELETE FROM traces WHERE kind = ?", (FEATURELESS,))
        for (record,) in self._do("SELECT picture FROM refit WHERE vector IS NULL", (), (int,)):
            self._do(MARK, (record, FEATURELESS))
        self._do("DELETE FROM meta WHERE key IN ('whitening', 'whitening_note')")
        for row in whitening_rows(refit.dimensions, refit.whitening, refit.note).items():
            self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)
        self._do("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
        self.discard()

    def discard(self) -> None:
        """Throws away what is unfinished."""
        self._do("DELETE FROM refit")
        self._do("DELETE FROM meta WHERE key IN ('refit', 'refit_whitening')")
        self._dimensions = None
