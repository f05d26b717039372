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


def mean_probabilities(probabilities: Float32[F32, "P classes"]) -> Float32[F32, " classes"]:
    """Averages the class probabilities of several pictures of one thing.

    Args:
        probabilities: float32 (P, classes) in [0, 1], at least one picture.

    Returns:
        float32 (classes,) in [0, 1].

    Raises:
        ValueError: There is no picture.
    """
    if not len(probabilities):
        raise ValueError("there is no picture to average over")
    return probabilities.mean(axis=0, dtype=np.float64).astype(np.float32)


def most_frequent(
    class_ids: Int64[NDArray[np.int64], "N C"],
) -> tuple[Int64[NDArray[np.int64], " M"], Int64[NDArray[np.int64], " M"]]:
    """Orders classes by how many pictures have them among their N_C most probable ones.

    The list of predefined classes: Jimenez et al. 2017, section 4.3. Of equally frequent classes the one that
    stands nearer to the front (the smaller sum of places) comes first, then the smaller id.

    Args:
        class_ids: int64 (N, C), each picture's most probable classes, most probable first, each once.

    Returns:
        int64 (M,) the class ids that occur, and int64 (M,) their counts.
    """
    places = np.broadcast_to(np.arange(class_ids.shape[1], dtype=np.int64), class_ids.shape)
    ids, inverse = np.unique(class_ids.ravel(), return_inverse=True)
    counts = np.bincount(inverse, minlength=len(ids)).astype(np.int64)
    sums = np.bincount(inverse, weights=places.ravel(), minlength=len(ids))
    order = np.lexsort((ids, sums, -counts))
    return ids[order], counts[order]
