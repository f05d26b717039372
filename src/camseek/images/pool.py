"""Processes that decode pictures for this one: made on first use, one for each thread that asks at a time.

A decoder is native code that reads what a stranger made. What it does wrong costs the picture that it was
given and nothing else: a crash ends its process, and a watcher ends one that takes more memory or time than
a picture may. See ``docs/decisions/0008-decoding-in-processes.md``.
"""

import atexit
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

import numpy as np

from camseek.arguments import Region, Shares
from camseek.children import (
    FREE_MEMORY,
    StartError,
    end_of,
    ended_from_outside,
    error_of,
    interpreter,
    named,
    start,
)
from camseek.config import Limits, Resize
from camseek.errors import (
    DecoderCrashedError,
    DecoderError,
    PictureError,
    RegionError,
    TooLargeError,
    TooSlowError,
    UnreadableFileError,
)
from camseek.images.decode import BIG, budget_of, check_request
from camseek.images.files import unreadable, whole_reads
from camseek.images.picture import Picture
from camseek.images.wire import (
    BLOCK,
    BLOCK_BYTES,
    ERROR,
    FAILED,
    GRANTED,
    HELLO,
    JOB,
    PICTURE,
    READ,
    TURN,
    BrokenWireError,
    Wire,
    number_of,
)

_START = "from camseek.images.worker import main; main()"
_LOOK = 0.02  # seconds between two looks at those that work
_START_SECONDS = 120.0
# Where processor time is counted, a process that uses none is given up after so many times the limit.
_PATIENCE = 10.0
# What a picture may take beyond what its header lets expect: twice the estimate of the largest that goes
# without a turn. Those that have a turn may take the whole budget, and an eighth for what was not foreseen.
_UNTURNED = 2 * BIG
_UNFORESEEN = 9 / 8
# A worker that holds so much more after a picture than at first is replaced.
_KEPT = 128e6
# A worker beyond the first that nobody needed for so many seconds is ended.
_IDLE_SECONDS = 30.0
_MOST_PIXEL_BYTES = 1 << 30
_PIPE_BYTES = 1 << 20

_Verdict = Literal["memory", "time"]


@dataclass(frozen=True, slots=True)
class _Request:
    """What is wanted of a picture."""

    resize: Resize
    multiple: int
    limits: Limits
    region: Region | None

    def told(self, size: int) -> bytes:
        return json.dumps(
            {
                "size": size,
                "resize": str(self.resize),
                "multiple": self.multiple,
                "max_pixels": self.limits.max_pixels,
                "seconds": self.limits.max_seconds,
                "region": str(self.region) if isinstance(self.region, Shares) else self.region,
            }
        ).encode()


def read_picture(
    file: BinaryIO,
    *,
    resize: Resize,
    multiple: int = 1,
    limits: Limits | None = None,
    region: Region | None = None,
) -> Picture:
    """Decodes a picture, or a region of it, in a process of its own; the pixels are those of ``decode``.

    The file is read here, block by block, and nothing of it is taken for more than numbers and pixels. A
    picture may take the processor time of ``limits``, and memory: up to 256 MB more than the process held
    where its header lets expect no more than 128, else what ``decode`` allows, one picture at a time. Memory
    is what the decoder really holds, looked at every 20 ms on Linux; on other systems the header's word is
    all there is.

    Args:
        file: A regular file or bytes, at any position.
        resize: The size of the result.
        multiple: As for ``decode``.
        limits: What this machine may spend on it; None for the default.
        region: As for ``decode``.

    Raises:
        PictureError: As ``decode``.
        TooLargeError: Or it takes more memory than a picture may.
        TooSlowError: It takes more time than a picture may.
        DecoderCrashedError: The decoder crashed on it.
        RegionError: See ``check_region``.
        DecoderError: No process can be started.
    """
    check_request(multiple, region)
    request = _Request(resize, multiple, limits or Limits(), region)
    with _pool().lent() as worker:
        try:
            return worker.decode(file, request)
        except (PictureError, DecoderError):
            if not worker.doubtful:
                raise
    # A picture before this one may have left the process in disorder, or the system ended it before it began
    # on this one: what counts is what a new one does.
    with _pool().lent(new=True) as worker:
        return worker.decode(file, request)


def prepare() -> None:
    """Starts a process if there is none, and does not wait for it: it will be needed."""
    _pool().prepare()


class _Worker:
    """A process that decodes, and what it does at the moment.

    Attributes:
        pictures: How many it was given.
        clean: Whether it waits for the next one.
        doubtful: Whether its end may have had nothing to do with the picture that it was given.
        idle_since: When it was last given back.
    """

    def __init__(self) -> None:
        self.pictures = 0
        self.clean = True
        self.doubtful = False
        self.idle_since = time.monotonic()
        self._greeted = self._answered = False
        self._verdict: _Verdict | None = None
        # Written by whoever waits for it, read by the watcher.
        self._works = False
        self._worked = 0.0
        self._allowed_seconds = _START_SECONDS
        self._allowed_memory = float("inf")
        self._held = self._first_held = 0
        self._process = _start()
        incoming, outgoing = self._process.stdout, self._process.stdin
        self._pipes = cast(tuple[io.RawIOBase, io.RawIOBase], (incoming, outgoing))
        self._wire = Wire(*self._pipes)

    def decode(self, file: BinaryIO, request: _Request) -> Picture:
        """Has it decode a picture; errors as ``read_picture``."""
        self.clean = self._answered = False
        self.pictures += 1
        self._greet()
        try:
            file = whole_reads(file)
            size = file.seek(0, os.SEEK_END)
            first = _block(file, 0)
        except OSError as error:
            self.clean = True
            raise unreadable(error) from error
        limits, budget = request.limits, budget_of(request.limits.max_pixels)
        self._held = self.memory()
        self._first_held = self._first_held or self._held
        self._allowed_memory, self._worked = _UNTURNED, 0.0
        self._allowed_seconds = limits.max_seconds * (_PATIENCE if _TIMES_ITSELF else 1)
        try:
            self._wire.send(JOB, request.told(size))
            self._wire.send(JOB, first)
            return self._attend(file, budget)
        except BrokenWireError as error:
            fault = self._fault(request.limits, budget, error)
            crashed = isinstance(fault, DecoderCrashedError)
            self.doubtful = self.pictures > 1 if crashed else not (fault.settled or self._answered)
            raise fault from error

    def _greet(self) -> None:
        if self._greeted:
            return
        try:
            kind, _ = self._hear()
        except BrokenWireError:
            kind = b""
        if kind != HELLO:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            self._process.kill()
            code = self._process.wait()
            self.doubtful = self._verdict is None and end_of(code) == "outside"
            raise DecoderError(
                f"the process that decodes pictures ended before it began ({named(code)})",
                remedy=f"check that {interpreter()} can import camseek, and that there is memory for it",
            )
        self._greeted = True

    def _attend(self, file: BinaryIO, budget: float) -> Picture:
        """Reads the file for it until it has done."""
        turn = False
        try:
            while True:
                kind, content = self._hear()
                self._answered = True
                if kind == READ:
                    self._answer(file, number_of(content))
                elif kind == TURN and not turn:
                    turn = _big_turn.acquire()
                    self._allowed_memory = budget * _UNFORESEEN
                    self._wire.send(GRANTED)
                elif kind == PICTURE:
                    picture = self._picture(content)
                    self.clean = True
                    return picture
                elif kind == ERROR:
                    error = _told_error(content)
                    self.clean = True
                    raise error
                else:
                    raise BrokenWireError(f"a frame of kind {kind!r}")
        finally:
            if turn:
                _big_turn.release()

    def _answer(self, file: BinaryIO, number: int) -> None:
        try:
            content = _block(file, number * BLOCK_BYTES)
        except (OSError, OverflowError) as error:
            self._wire.send_number(FAILED, getattr(error, "errno", None) or 0)
        else:
            self._wire.send(BLOCK, content)

    def _picture(self, content: bytearray) -> Picture:
        """The picture it tells of.

        Raises:
            BrokenWireError: It makes no sense.
        """
        try:
            told: Any = json.loads(content.decode())
            height, width, colours = (int(side) for side in told["shape"])
            across, down = (int(side) for side in told["size"])
            format, frames = str(told["format"]), int(told["frames"])
            warnings = tuple(str(item) for item in told["warnings"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BrokenWireError(f"no picture: {error}") from error
        length = height * width * colours
        if min(height, width, across, down, frames) < 1 or colours != 3 or length > _MOST_PIXEL_BYTES:
            raise BrokenWireError(f"a picture of {height} x {width} x {colours}")
        kind, data = self._hear(length)
        if kind != PICTURE or len(data) != length:
            raise BrokenWireError("pixels of another number")
        pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        pixels.setflags(write=False)
        return Picture(pixels, (across, down), format, frames, warnings)

    def _hear(self, most: int = 1 << 20) -> tuple[bytes, bytearray]:
        """Waits for what it says; only then does its time run."""
        self._works = True
        try:
            return self._wire.receive(most)
        finally:
            self._works = False

    def memory(self) -> int:
        """Bytes that it holds now; 0 where the system does not tell."""
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE
        except (OSError, ValueError, IndexError):
            return 0

    def alive(self) -> bool:
        """Whether it is there, as far as is known: the system ends idle ones where memory runs out."""
        return self._verdict is None and self._process.poll() is None

    def fit(self) -> bool:
        """Whether it can take another picture, and does not hold much more than when it began."""
        return self.clean and self.alive() and self.memory() - self._first_held <= _KEPT

    def look(self, seconds: float) -> None:
        """Ends it where it takes more than it may; ``seconds`` have passed since the last look."""
        if not self._works or self._verdict is not None:
            return
        self._worked += seconds
        if self._worked > self._allowed_seconds:
            self._verdict = "time"
        elif self.memory() - self._held > self._allowed_memory:
            self._verdict = "memory"
        if self._verdict is not None:
            self._process.kill()

    def _fault(self, limits: Limits, budget: float, broken: BrokenWireError) -> PictureError:
        """What it means that it went."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)  # one that only talks nonsense is still there
        code = self._process.returncode
        end = "crashed" if code is None else end_of(code)
        if self._verdict == "memory":
            turned = self._allowed_memory > _UNTURNED
            most = f"{budget / 1e9:.1f} GB" if turned else f"{_UNTURNED / 1e6:.0f} MB"
            more = "" if turned else ", though its header lets expect far less"
            return TooLargeError(
                f"decoding it takes more than {most} of memory{more}",
                remedy="save it as JPEG or PNG with another program, or leave it out",
            )
        if self._verdict == "time" or end == "time":
            return TooSlowError(
                f"decoding it takes more than {limits.max_seconds:g} seconds",
                remedy="save it as JPEG or PNG with another program, leave it out, or raise the limit with "
                f"--max-seconds {2 * limits.max_seconds:g}",
            )
        if code is not None and end == "outside":
            return UnreadableFileError(
                f"the process that decoded it {ended_from_outside(code)}", remedy=FREE_MEMORY
            )
        how = f"it talked nonsense ({broken})" if code is None else f"({named(code)})"
        return DecoderCrashedError(
            f"the decoder crashed on it {how}",
            remedy="save it anew with the program that it came from, or leave it out",
        )

    def end(self) -> None:
        """Ends it at once, and waits until it has gone."""
        self._process.kill()
        self.let_go()
        self._process.wait()

    def let_go(self) -> None:
        """Closes the pipes to it, upon which it ends by itself."""
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.close()

    def disown(self) -> None:
        """Forgets it in a process that was forked off: it is the other one's."""
        self._process.returncode = 0
        self.let_go()


class _Pool:
    """The workers of this process. Threads may share it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def lent(self, *, new: bool = False) -> Generator[_Worker]:
        """A worker for the time of one picture.

        Raises:
            DecoderError: None can be started.
        """
        worker = self._take(new=new)
        try:
            yield worker
        finally:
            self._give_back(worker)

    def prepare(self) -> None:
        """Starts a worker if there is none; a failure shows when it is needed."""
        with self._changed:
            if not self._workers:
                with suppress(DecoderError):
                    self._idle.append(self._add())

    def _take(self, *, new: bool) -> _Worker:
        with self._changed:
            while True:
                worker = None if new else self._idle_one()
                if worker is not None:
                    break
                try:
                    worker = self._add()
                    break
                except DecoderError:
                    # With no process left to start, those that are there do.
                    if not self._workers:
                        raise
                    new = False
                    if not self._idle:
                        self._changed.wait(_IDLE_SECONDS)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="decoders-of-camseek", daemon=True)
                self._watcher.start()
            self._changed.notify_all()
            return worker

    def _idle_one(self) -> _Worker | None:
        """The one that was idle for the shortest time, of those that are still there."""
        while self._idle:
            worker = self._idle.pop()
            if worker.alive():
                return worker
            self._workers.discard(worker)
            worker.end()
        return None

    def _add(self) -> _Worker:
        worker = _Worker()
        self._workers.add(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        # The watcher decides while it holds this: it may have ended the worker when its picture was done.
        with self._changed:
            self._changed.notify_all()
            if worker.fit():
                worker.idle_since = time.monotonic()
                self._idle.append(worker)
                return
            self._workers.discard(worker)
        worker.end()

    def _watch(self) -> None:
        """Looks after those that work, and ends those that nobody needs; runs in a thread of its own."""
        last = time.monotonic()
        with self._changed:
            while True:
                working = len(self._workers) > len(self._idle)
                self._changed.wait(_LOOK if working else _IDLE_SECONDS if len(self._idle) > 1 else None)
                now = time.monotonic()
                # What this process slept through, stopped by somebody or by a closed lid, is no work.
                passed, last = min(now - last, 5 * _LOOK), now
                for worker in self._workers.difference(self._idle):
                    worker.look(passed)
                while len(self._idle) > 1 and now - self._idle[0].idle_since > _IDLE_SECONDS:
                    worker = self._idle.pop(0)
                    self._workers.discard(worker)
                    worker.end()

    def close(self) -> None:
        """Ends all of them."""
        with self._changed:
            workers, self._workers, self._idle = self._workers, set(), []
        for worker in workers:
            worker.end()

    def disown(self) -> None:
        """Forgets them, in a process that was forked off."""
        for worker in self._workers:
            worker.disown()


_TIMES_ITSELF = hasattr(signal, "setitimer")
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
_big_turn = threading.Lock()
_one_pool: _Pool | None = None
_making = threading.Lock()


def _pool() -> _Pool:
    global _one_pool
    with _making:
        if _one_pool is None:
            _one_pool = _Pool()
            atexit.register(_one_pool.close)
        return _one_pool


def _after_fork() -> None:
    """Others' workers are left alone: the process that was forked off makes its own."""
    global _one_pool, _making, _big_turn
    if _one_pool is not None:
        atexit.unregister(_one_pool.close)
        _one_pool.disown()
    _one_pool, _making, _big_turn = None, threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _start() -> "subprocess.Popen[bytes]":
    """Starts a process that decodes.

    Raises:
        DecoderError: It cannot be started.
    """
    try:
        process = start(_START)
    except StartError as error:
        raise DecoderError(
            f"pictures are decoded in a process of their own, and {error}", remedy=error.remedy
        ) from error
    _widen(process)
    return process


def _widen(process: "subprocess.Popen[bytes]") -> None:
    """Makes room for a block in each pipe, where the system can."""
    if sys.platform != "linux":
        return
    import fcntl

    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            fcntl.fcntl(cast(Any, pipe), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _block(file: BinaryIO, start: int) -> bytes:
    """A block of a file, shorter only at its end."""
    file.seek(start)
    return file.read(BLOCK_BYTES)


def _told_error(content: bytearray) -> PictureError | RegionError:
    try:
        told = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise BrokenWireError(f"no error: {error}") from error
    error = error_of(told, PictureError) or error_of(told, RegionError)
    if error is None:
        raise BrokenWireError("no error that is known")
    return error
