"""Where mirrors lie: in the user's cache, each for one process at a time, and kept for the next one."""

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from camseek.address import MilvusAddress
from camseek.errors import CollectionBusyError, StorageError
from camseek.places import mirrors_folder
from camseek.store.lock import WriterLock
from camseek.store.milvus.parts import WHOLE, Part

# So many processes of a machine have a mirror that is kept; others make one anew each time.
_KEPT = 8


class Mirror:
    """A folder for a mirror, which nobody else uses meanwhile.

    Attributes:
        folder: Where the mirror's collection lies, or may be made.
    """

    def __init__(self, address: MilvusAddress, part: Part = WHOLE) -> None:
        """Takes the first of a collection, or of a part of it, that is free.

        Raises:
            StorageError: No folder can be made, in the cache and elsewhere.
        """
        self._lock: WriterLock | None = None
        self._gone: str | None = None
        place = mirrors_folder() / hashlib.sha256(str(address).encode()).hexdigest()[:16]
        if not part.is_whole:
            place /= f"part-{part.number + 1}-of-{part.of}"
        for number in range(_KEPT):
            try:
                # The names and pictures of a collection are its owner's business.
                (place / str(number)).mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = WriterLock(os.fsencode(place / str(number)), "mirror")
            except CollectionBusyError:
                continue
            except (OSError, StorageError):
                break
            self.folder = place / str(number) / "mirror"
            return
        try:
            self._gone = tempfile.mkdtemp(prefix="camseek-mirror-")
        except OSError as error:
            raise StorageError(
                f"cannot make a mirror of {address}: {error.strerror}",
                remedy="free space, or let the user's cache be written to",
            ) from error
        self.folder = Path(self._gone) / "mirror"

    def clear(self) -> None:
        """Takes away what there is."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(FileNotFoundError):
            os.unlink(self.folder)  # a link

    def release(self) -> None:
        """Lets go of it."""
        if self._lock is not None:
            self._lock.release()
        if self._gone is not None:
            shutil.rmtree(self._gone, ignore_errors=True)
