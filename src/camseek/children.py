"""Processes that camseek starts of itself, for native code that reads what strangers made.

How they start, what they keep to themselves, what they may take, and what their end means is the same for
all of them. What they say is checked by whoever asked: a process that a stranger's file has taken over can
say anything.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from camseek import errors
from camseek.errors import CamseekError

End = Literal["time", "outside", "crashed"]
"""Why a process ended without a word: it had used up its time, somebody else ended it, or it crashed."""

_Kind = TypeVar("_Kind", bound=CamseekError)
_TIME_IS_UP = ("SIGPROF", "SIGXCPU")
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGQUIT")
FREE_MEMORY = "free some memory and try again"
"""The remedy where a process was ended from outside."""


class StartError(Exception):
    """No process can be started.

    Attributes:
        remedy: What to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


# On the side of whoever starts them


def start(code: str) -> "subprocess.Popen[bytes]":
    """Starts a process of our own Python, with unbuffered pipes to and from it.

    Args:
        code: What it runs; it imports from where this process does, but never from the working folder.

    Raises:
        StartError: It cannot be started.
    """
    # Not the working folder, which may be a stranger's: it would be imported from.
    own = str(Path(__file__).resolve().parents[1])
    paths = [os.path.abspath(path) for path in sys.path if path]
    if own not in paths:
        paths.append(own)
    # NumPy's threads would only take memory: nothing there multiplies large matrices with it.
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    python = interpreter()
    try:
        return subprocess.Popen(  # noqa: S603  # our own interpreter
            [python, "-P", "-c", f"import sys; sys.path[:] = sys.argv[1:]\n{code}", *paths],
            executable=_reachable(python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=os.environ | threads,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise StartError(
            f"no process can be started with {python}: {why}",
            "end some other programs, or allow more processes",
        ) from error


def interpreter() -> str:
    """The Python that is started: this one, unless the environment names another.

    Raises:
        StartError: This process is none.
    """
    named = os.environ.get("CAMSEEK_PYTHON")
    # A frozen program would start itself over and over.
    if not named and (getattr(sys, "frozen", False) or not sys.executable):
        raise StartError(
            "this program is no Python to start one with",
            "name a Python that has camseek in the environment variable CAMSEEK_PYTHON",
        )
    return named or sys.executable


def _reachable(python: str) -> str:
    """What to start as the interpreter: a process that gave up its rights may not reach its own any more."""
    try:
        os.stat(python)
    except PermissionError:
        return "/proc/self/exe" if sys.platform == "linux" and python == sys.executable else python
    except OSError:
        pass  # starting it says what is wrong
    return python


def end_of(code: int) -> End:
    """Why a process ended by itself, by the code that it left."""
    if -code in _numbers(_TIME_IS_UP):
        return "time"
    return "outside" if -code in _numbers(_FROM_OUTSIDE) else "crashed"


def named(code: int) -> str:
    """The code that a process left, for people: ``signal 6, SIGABRT`` or ``code 3``."""
    if code < 0:
        with suppress(ValueError):
            return f"signal {-code}, {signal.Signals(-code).name}"
    return f"code {code}"


def ended_from_outside(code: int) -> str:
    """What to say of a process that somebody else ended."""
    return f"was ended from outside ({named(code)}), as the system does where memory runs out"


def error_of(told: Any, base: type[_Kind]) -> _Kind | None:
    """The error that ``told_error`` told of, if it is one of that kind; None where there is no such error."""
    if not isinstance(told, dict):
        return None
    values = cast(dict[str, Any], told)
    kind, message, remedy = (values.get(name) for name in ("kind", "message", "remedy"))
    found = vars(errors).get(kind) if isinstance(kind, str) else None
    if not (isinstance(found, type) and issubclass(found, base)):
        return None
    if not (isinstance(message, str) and isinstance(remedy, str)):
        return None
    return found(message, remedy=remedy)


def _numbers(signals: tuple[str, ...]) -> set[int]:
    return {int(found) for name in signals if (found := getattr(signal, name, 0))}


# On their own side


def take_pipes() -> tuple[int, int]:
    """Keeps the pipes to oneself, and ends this process when the one that started it lets go of them.

    What a library prints goes nowhere from now on.

    Returns:
        Descriptors: what the caller says, and what it hears.
    """
    incoming, outgoing = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    threading.Thread(target=_end_with_caller, args=(incoming,), daemon=True).start()
    return incoming, outgoing


def _end_with_caller(incoming: int) -> None:
    """Ends this process when the other end of the pipe is closed, also in the middle of its work."""
    import select

    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(incoming, 0)  # nothing but its closing
        poll.poll()
        os._exit(0)


def keep_to_oneself() -> None:
    """Ctrl-C is for the caller, a crash leaves no core behind, and where memory runs out this one goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x8003)  # no box about a crash that waits for a click
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def limit_memory(most: float) -> bool:
    """Lets this process take so many bytes more than it holds; returns whether the system can do that."""
    if sys.platform != "linux":
        return False
    import resource

    try:
        with open("/proc/self/status", "rb") as file:
            held = next(int(line.split()[1]) << 10 for line in file if line.startswith(b"VmData:"))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        wanted = held + int(most)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    except (OSError, ValueError, StopIteration):
        return False
    return True


def limit_time(seconds: float) -> None:
    """Lets this process use so much processor time from now on, in all threads; 0 for no limit.

    The system ends it with ``SIGPROF``: no native code can put that off.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def told_error(error: CamseekError) -> dict[str, str]:
    """An error as plain values, of the nearest kind that ``errors`` knows."""
    kind = next(item for item in type(error).__mro__ if vars(errors).get(item.__name__) is item)
    return {"kind": kind.__name__, "message": error.message, "remedy": error.remedy}
