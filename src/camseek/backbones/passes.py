"""Passes of a network: one picture at a time on the processor, several together on a GPU."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from camseek.numerics import F32

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MOST_TOGETHER = 32
"""Pictures of a pass on a GPU, where so many wait and its memory bears them."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A picture that waits for its pass, and what came of that."""

    names: tuple[str, ...]
    tensor: Float32[F32, "1 3 H W"]
    found: list[F32] = field(default_factory=list[F32])
    error: Exception | None = None
    done: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for pictures that may share a pass."""
        return self.names, self.tensor.shape


class Passes:
    """Runs a network; threads may share one.

    Attributes:
        session: The network in ONNX Runtime.
        name: Its input's name.
        together: Whether pictures share passes, and passes take turns: on a GPU.
        most: Pictures that may share a pass; it gets smaller where the memory does not bear so many.
    """

    def __init__(self, session: "InferenceSession", name: str, *, together: bool = False) -> None:
        self.session, self.name, self.together = session, name, together
        self.most = MOST_TOGETHER
        self._queue: list[_Waiting] = []
        self._queueing, self._running = threading.Lock(), threading.Lock()

    def run(self, names: Sequence[str], tensor: Float32[F32, "1 3 H W"]) -> list[F32]:
        """The outputs of these names for one picture.

        While one pass is under way, the pictures of other threads gather; those of one size and the same
        outputs then share the next pass. Nobody waits for others to come.

        Raises:
            Exception: ONNX Runtime's, which have no common base.
        """
        if not self.together:
            return list(self.session.run(list(names), {self.name: tensor}))
        mine = _Waiting(tuple(names), tensor)
        with self._queueing:
            self._queue.append(mine)
        with self._running:
            if not mine.done:
                self._pass(self._take(mine))
        if mine.error is not None:
            raise mine.error
        return mine.found

    def _take(self, mine: _Waiting) -> list[_Waiting]:
        """This picture, and others that may share its pass."""
        with self._queueing:
            others = [item for item in self._queue if item is not mine and item.key == mine.key]
            taken = [mine, *others[: self.most - 1]]
            self._queue = [item for item in self._queue if all(item is not one for one in taken)]
        return taken

    def _pass(self, taken: list[_Waiting]) -> None:
        """One pass for some pictures; where it fails, two for the halves: the fault may be one picture's."""
        try:
            tensors = np.concatenate([item.tensor for item in taken])
            found = self.session.run(list(taken[0].names), {self.name: tensors})
            for place, item in enumerate(taken):
                # A copy: a part would keep the whole in memory.
                item.found = [np.array(values[place : place + 1]) for values in found]
                item.done = True
        except Exception as error:  # ONNX Runtime's have no common base below this
            if len(taken) == 1:
                taken[0].error, taken[0].done = error, True
                return
            half = len(taken) // 2
            if _is_of_memory(error):
                self.most = min(self.most, half)
            self._pass(taken[:half])
            self._pass(taken[half:])


def _is_of_memory(error: Exception) -> bool:
    """Whether a pass failed for want of memory: ONNX Runtime has no error of its own for that."""
    said = str(error).lower()
    return "alloc" in said or "memory" in said
