"""What runs in an actor of a Ray cluster: one shard."""

import os
import socket
import threading
import time
from typing import Any

from camseek.address import MilvusAddress
from camseek.errors import CamseekError, CollectionChangedError
from camseek.store.milvus import MilvusCollection
from camseek.store.milvus.parts import Part
from camseek.store.sharded.answers import Answers
from camseek.version import VERSION

# Seconds between two looks whether what is made of the mirror is worth saving.
_SAVE_EVERY = 60.0


class NotBegunError(Exception):
    """A shard holds nothing yet, or something else than whoever asks believes: it is to be begun (again)."""


class Shard:
    """A part of a collection, held by an actor for everybody who searches it.

    Its mirror lies in the cache of the machine on which it runs, where the next actor there finds it.
    """

    def __init__(self) -> None:
        # One at a time begins, which may take hours; meanwhile whoever asks is told that it has not.
        self._beginning = threading.Lock()
        self._lock = threading.Lock()
        self._held: tuple[MilvusCollection, Answers] | None = None
        self._life = ""

    def greet(self) -> tuple[str, str]:
        """The version of camseek here, and the name of the machine."""
        return VERSION, socket.gethostname()

    def begin(self, address: MilvusAddress, part: Part) -> str:
        """Opens the part, unless it is open.

        What is missing here is read from the server first, and what searches need of it is made: of a large
        part that takes longer than a search should wait.

        Returns:
            What tells this mirror from others: within it a record's number is never used twice.

        Raises:
            CamseekError: As ``MilvusCollection``.
        """
        with self._beginning:
            if self._held is not None:
                return self._life
            collection = MilvusCollection(address, part=part)
            collection.save()
            with self._lock:
                self._held = collection, Answers(collection)
                # A copy of a machine has a copy of its mirrors.
                self._life = f"{collection.mirror_name}@{socket.gethostname()}"
            threading.Thread(target=self._keep, args=(collection,), daemon=True).start()
            return self._life

    def ask(self, life: str, name: str, *given: Any, **more: Any) -> Any:
        """Answers a question.

        Args:
            life: What ``begin`` returned to whoever asks.
            name: The question, of ``Answers``.
            given: What it takes.
            more: Likewise.

        Raises:
            NotBegunError: It is not, or another mirror is here.
            CamseekError: As the question.
        """
        with self._lock:
            if self._held is None or life != self._life:
                raise NotBegunError
            _, answers = self._held
        try:
            return getattr(answers, name)(*given, **more)
        except CamseekError as error:
            if name == "caught_up" and isinstance(error, CollectionChangedError):
                # A collection of this name was made anew: what is open here has no server any more.
                self._let_go(answers)
            elif self._let_go_of(answers):
                # By another thread, in the middle of this question.
                raise NotBegunError from error
            raise

    def tell(self) -> tuple[str, int | None, int]:
        """The machine, how many pictures are here (None before they are), and this process's memory."""
        with self._lock:
            held = self._held
        return socket.gethostname(), held[1].count() if held else None, _memory()

    def _let_go_of(self, answers: Answers) -> bool:
        with self._lock:
            return self._held is None or self._held[1] is not answers

    def _let_go(self, answers: Answers) -> None:
        with self._lock:
            if self._held is not None and self._held[1] is answers:
                self._held[0].close()
                self._held, self._life = None, ""

    def _keep(self, collection: MilvusCollection) -> None:
        """Saves what is made of the mirror now and then: whoever opens it next begins sooner."""
        while True:
            time.sleep(_SAVE_EVERY)
            with self._lock:
                if self._held is None or self._held[0] is not collection:
                    return
            collection.save()


def _memory() -> int:
    """Bytes of memory that this process takes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
