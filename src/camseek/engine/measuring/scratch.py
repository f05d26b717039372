"""Arrays that may be larger than the memory."""

import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Larger arrays lie in files without names; the system keeps in memory what it has room for.
_IN_MEMORY = 2**26


class Scratch:
    """Gives arrays of zeros, which live as long as ``scratch`` does."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def array(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """An array of zeros, in memory or in a temporary file."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size <= _IN_MEMORY:
            return np.zeros(shape, dtype)
        file = tempfile.TemporaryFile(prefix="camseek-")  # noqa: SIM115  # closed with the stack
        self._stack.enter_context(file)
        os.truncate(file.fileno(), size)
        return np.memmap(file, dtype, "r+", shape=shape)


@contextmanager
def scratch() -> Generator[Scratch]:
    """Arrays for one measurement; their files are gone when it ends, however that is."""
    with ExitStack() as stack:
        yield Scratch(stack)
