"""Query expansion: the first results become the next query."""

import numpy as np
from jaxtyping import Float32

from camseek.numerics import F32, l2_normalise


def expand(descriptors: Float32[F32, "N D"], query: Float32[F32, " D"] | None = None) -> Float32[F32, " D"]:
    """Sums the descriptors of the first results, then l2-normalises.

    Average query expansion (Chum et al. 2007; Jimenez et al. 2017, section 4.5).

    Args:
        descriptors: float32 (N, D), of the top QE results; after re-ranking those of their winning regions.
        query: float32 (D,): the query's own, which joins the sum in CroW's form (Kalantidis et al. 2016).

    Returns:
        float32 (D,): of norm 1; zero where the sum is zero.

    Raises:
        ValueError: There is nothing to sum.
    """
    if not len(descriptors) and query is None:
        raise ValueError("an expansion sums at least one descriptor")
    total = descriptors.sum(axis=0)
    return l2_normalise(total if query is None else total + query).astype(np.float32, copy=False)
