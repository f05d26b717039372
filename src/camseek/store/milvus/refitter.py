"""The representation of a collection on a server replaced at once: one is made beside it there."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float32

from camseek.numerics import F32
from camseek.store.milvus.beside import EPOCHS, epochs_of, epochs_text, fetch
from camseek.store.milvus.server import Server
from camseek.store.records import NO_TRACES, Refit
from camseek.store.refitter import FolderRefitter

_NOTE = "INSERT INTO temp.noted SELECT 'beside', content, x'' FROM pictures WHERE id = ?"


class MilvusRefitter(FolderRefitter):
    """Replaces the representation of a collection on a server (the ``Refitter`` interface).

    What is beside is an epoch of its own: the collection's head names it, and any machine goes on with it.
    Here it lies in the tables of the mirror, which know who has it; of what other machines put there the
    descriptors are read when they come into use.
    """

    def __init__(
        self, do: Callable[..., list[Any]], address: str, server: Server, commit: Callable[[], None]
    ) -> None:
        super().__init__(do, address)
        self._server, self._commit = server, commit

    def _epochs(self) -> tuple[str, str]:
        """The epochs in use and beside, as this writer has left them."""
        return epochs_of(self._do("SELECT value FROM meta WHERE key = ?", (EPOCHS,), (str,))[0][0])

    def _set_epochs(self, epoch: str, beside: str) -> None:
        self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", (EPOCHS, epochs_text(epoch, beside)))

    def begin(self, refit: Refit) -> None:
        """Begins another, at once for all machines; what was in the making, or kept, is thrown away.

        Not in a ``unit``.
        """
        super().begin(refit)
        # Never one that was there before: rows of that may be left.
        self._set_epochs(self._epochs()[0], secrets.token_hex(8))
        # Before there is a row of it: one that nobody names would stay for good.
        self._commit()

    def put(
        self, record: int, descriptor: Float32[F32, " D"] | None, traces: Mapping[str, bytes] = NO_TRACES
    ) -> None:
        """Stores what a picture has in the representation beside, as in a folder."""
        super().put(record, descriptor, traces)
        self._do(_NOTE, (record,))

    def take_back(self, record: int) -> None:
        """Has what a picture has beside made again: it is not whole on the server."""
        self._do("DELETE FROM refit WHERE picture = ?", (record,))
        self._do("DELETE FROM refit_traces WHERE picture = ?", (record,))
        self._do(_NOTE, (record,))

    def finish(self, *, keep: bool = False) -> None:
        """Puts what is beside in the place of what is in use, with ``commit``.

        Raises:
            ValueError: As in a folder.
            CollectionChangedError: Pictures of what is beside have left the server.
        """
        epoch, beside = self._epochs()
        slot = self.slot()
        if slot is not None:
            fetch(self._server, self._do, beside, slot.refit.profile.dimensions)
        super().finish(keep=keep)
        self._set_epochs(beside, epoch if keep else "")

    def discard(self) -> None:
        """Throws away what is beside."""
        super().discard()
        self._set_epochs(self._epochs()[0], "")
