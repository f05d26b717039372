"""Arrays that may be larger than the memory."""

import os
import tempfile
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import DTypeLike, NDArray

from camseek.numerics import F32

# Larger arrays lie in files without names; the system keeps in memory what it has room for.
_IN_MEMORY = 2**26
# Rows of an array that takes vectors one by one: of 512 numbers more than memory is given for.
_VECTORS = 2**16


class Scratch:
    """Gives arrays of zeros, which live as long as ``scratch`` does."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        # Of each length an array that is filled row by row, and how many rows of it are taken.
        self._filled: dict[int, tuple[F32, int]] = {}

    def array(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """An array of zeros, in memory or in a temporary file."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size <= _IN_MEMORY:
            return np.zeros(shape, dtype)
        file = tempfile.TemporaryFile(prefix="camseek-")  # noqa: SIM115  # closed with the stack
        self._stack.enter_context(file)
        os.truncate(file.fileno(), size)
        return np.memmap(file, dtype, "r+", shape=shape)

    def vector(self, vector: Float32[F32, " D"]) -> Float32[F32, " D"]:
        """A copy of a vector among others of its length; threads may ask at once."""
        length = len(vector)
        with self._lock:
            array, taken = self._filled.get(length, (None, 0))
            if array is None or taken == len(array):
                array, taken = self.array((_VECTORS, length)), 0
            self._filled[length] = array, taken + 1
        array[taken] = vector
        return array[taken]


@contextmanager
def scratch() -> Generator[Scratch]:
    """Arrays for one measurement; their files are gone when it ends, however that is."""
    with ExitStack() as stack:
        yield Scratch(stack)
