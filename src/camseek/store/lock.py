"""One writer at a time, held by the operating system so that a killed process lets go."""

import json
import os
import random
import socket
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

from camseek.errors import CollectionBusyError, StorageError
from camseek.names import path_text
from camseek.store.database import primary_code

_LOCK = b"writer.lock"
_HOLDER = b"writer.json"
_TRIES = 10


class WriterLock:
    """An exclusive lock on a collection's folder.

    SQLite's own file locks are borrowed (an empty database on which a transaction is kept open): they work
    the same on every system and end with the process, however it ends.
    """

    def __init__(self, folder: bytes, command: str) -> None:
        """Takes the lock.

        Raises:
            CollectionBusyError: Another writer has it; the message names it.
            StorageError: The folder cannot be written to.
        """
        self._holder = os.path.join(folder, _HOLDER)
        try:
            # Another thread may let go of a lock than took it: a service closes what a worker opened.
            self._database = sqlite3.connect(
                os.path.join(folder, _LOCK), timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise _not_writable(folder, str(error)) from error
        try:
            self._begin()
            self._sign(command)
        except sqlite3.DatabaseError as error:
            self._database.close()
            if primary_code(error) == sqlite3.SQLITE_BUSY:
                raise CollectionBusyError(
                    f"{path_text(folder)} is being written by {_read_holder(self._holder)}",
                    remedy="wait until it has ended, or stop it",
                ) from None
            raise _not_writable(folder, str(error)) from error
        except OSError as error:
            self._database.close()
            raise _not_writable(folder, error.strerror or str(error)) from error

    def _begin(self) -> None:
        """Locks. Two that try in the same instant can refuse each other, so each tries a few times more."""
        for tries_left in reversed(range(_TRIES)):
            try:
                self._database.execute("BEGIN EXCLUSIVE")
                return
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or not tries_left:
                    raise
            time.sleep(random.uniform(0.005, 0.025))  # noqa: S311  # only to part the two

    def _sign(self, command: str) -> None:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": command,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with open(self._holder, "w", encoding="utf-8") as file:
            json.dump(holder, file)

    def release(self) -> None:
        """Lets go."""
        self._database.close()


def _not_writable(folder: bytes, reason: str) -> StorageError:
    return StorageError(
        f"cannot write to {path_text(folder)}: {reason}",
        remedy="check that the disk is writable and has space, and that you may write to this folder",
    )


def _read_holder(path: bytes) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            holder: dict[str, Any] = json.load(file)
        return "process {pid} on {host} ({command}, since {since})".format_map(holder)
    except (OSError, ValueError, KeyError):
        # It has the lock and has not signed yet.
        return "another process"
