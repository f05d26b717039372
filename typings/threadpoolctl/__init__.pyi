"""What camseek uses of threadpoolctl, which has no types of its own."""

from contextlib import AbstractContextManager
from typing import Literal

def threadpool_limits(
    limits: int, user_api: Literal["blas", "openmp"] | None = None
) -> AbstractContextManager[object]: ...
