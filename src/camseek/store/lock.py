"""One writer at a time, held by the operating system so that a killed process lets go."""

import json
import os
import random
import socket
import sqlite3
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from camseek.errors import CamseekError, CollectionBusyError, StorageError
from camseek.files import read_regular
from camseek.names import path_text
from camseek.store.database import primary_code
from camseek.store.own import HOLDER, LOCK, collection_files, require_plain
from camseek.writing import write_whole

_TRIES = 10
# What is read of a holder's note, in bytes, and of each part of it, in characters.
_NOTE, _PART = 4096, 100


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
            CorruptCollectionError: Something that is no file lies in a file's place.
        """
        require_plain(folder)
        self._folder, self._holder = folder, os.path.join(folder, HOLDER)
        # Logs: nothing is written to the lock that could be undone, and they may name files.
        _drop(folder, [LOCK + end for end in (b"-journal", b"-wal", b"-shm")])
        try:
            # Another thread may let go of a lock than took it: a service closes what a worker opened.
            self._database = sqlite3.connect(
                os.path.join(folder, LOCK), timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise _not_writable(folder, str(error)) from error
        try:
            # SQLite opens by name: nothing has taken the file's place meanwhile.
            require_plain(folder)
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
        except CamseekError:
            self._database.close()
            raise

    def _begin(self) -> None:
        """Locks. Two that try in the same instant can refuse each other, so each tries a few times more."""
        for tries_left in reversed(range(_TRIES)):
            try:
                # No log beside the lock, which would stay when this process is killed.
                self._database.execute("PRAGMA journal_mode = MEMORY")
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
        # Notes that killed writers had not put in place: only who has the lock writes one.
        begun = (os.path.basename(path) for path in collection_files(self._folder))
        _drop(self._folder, [name for name in begun if name.startswith(b"." + HOLDER)])
        # In the place of whatever is there, and never through a link.
        write_whole(self._holder, json.dumps(holder).encode(), replace=True)

    def release(self) -> None:
        """Lets go."""
        self._database.close()


def _drop(folder: bytes, names: Iterable[bytes]) -> None:
    """Takes files of the folder away, where they are there."""
    for name in names:
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _not_writable(folder, error.strerror or str(error)) from error


def _not_writable(folder: bytes, reason: str) -> StorageError:
    return StorageError(
        f"cannot write to {path_text(folder)}: {reason}",
        remedy="check that the disk is writable and has space, and that you may write to this folder",
    )


def _read_holder(path: bytes) -> str:
    """Who has signed, for people; anybody may have written it."""
    try:
        holder: Any = json.loads(read_regular(path, _NOTE, follow=False))
        pid, host, command, since = (str(holder[key])[:_PART] for key in ("pid", "host", "command", "since"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # It has the lock and has not signed yet.
        return "another process"
    return f"process {pid} on {host} ({command}, since {since})"
