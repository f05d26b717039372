"""What goes wrong on one picture's way, told from what ends a run."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from camseek.errors import CamseekError, FailedPictureError, PictureError, out_of_memory
from camseek.results import Skipped

Result = TypeVar("Result")


@contextmanager
def one_picture() -> Generator[None]:
    """Whatever is raised inside is the one picture's that is worked on: a ``PictureError``.

    A decoder, the network, an encoder or a library below them may raise anything for one picture among many,
    and memory may run out for it alone. Only errors of camseek's own that say something else pass: a
    collection that cannot be written, a model that does not fit, no process to decode in, a run that was
    stopped.

    Raises:
        PictureError: Something failed. ``settled`` says whether it would again.
        CamseekError: As it is.
    """
    try:
        yield
    except CamseekError:
        raise
    except MemoryError as error:
        raise out_of_memory() from error
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise FailedPictureError(
            f"it failed on its way: {type(error).__name__}{': ' if text else ''}{text}",
            remedy="try again; if it stays so, leave it out and report it",
        ) from error


def tried(path: bytes, work: Callable[[], Result]) -> Result | Skipped:
    """What comes of one picture of many, or why nothing does.

    Args:
        path: The picture's name.
        work: What is done with it.

    Raises:
        CamseekError: It is none of the picture's.
    """
    try:
        with one_picture():
            return work()
    except PictureError as error:
        return Skipped(path, error.message, error.code)
