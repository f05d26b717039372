"""Class vectors to a descriptor."""

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.numerics import F32, l2_normalise


def most_probable(scores: Float32[F32, "B classes"], count: int) -> Int64[NDArray[np.int64], "B C"]:
    """Finds each picture's N_C most probable classes.

    Args:
        scores: float32 (B, classes): probabilities or logits.
        count: N_C, 1 or more; where there are fewer classes, all of them.

    Returns:
        int64 (B, C) class ids by falling score; equal scores by rising id.

    Raises:
        ValueError: ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}")
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def aggregate(class_vectors: Float32[F32, "B C K"]) -> Float32[F32, "B K"]:
    """Sums each picture's class vectors, then l2-normalises.

    Jimenez et al. 2017.

    Args:
        class_vectors: float32 (B, C, K).

    Returns:
        float32 (B, K): rows of norm 1; zero where the sum is zero.
    """
    return l2_normalise(class_vectors.sum(axis=1))
