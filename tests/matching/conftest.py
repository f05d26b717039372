import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scenes():
    """The generated pictures that benchmarks measure with: ``scenes.poster(seed)``, ``scenes.PATTERNS``."""
    path = Path(__file__).parents[2] / "benchmarks" / "scenes.py"
    spec = importlib.util.spec_from_file_location("scenes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
