"""Every test here sees the same few pictures many times."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _passes(remembered_passes):
    """The network sees each of them once."""
