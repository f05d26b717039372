"""The OpenAPI text that the page's types are made of is that of the service."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_text_is_of_this_service():
    spec = importlib.util.spec_from_file_location("openapi", ROOT / "tools" / "openapi.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PLACE.read_text("utf-8") == tool.openapi(), "make it anew: python tools/openapi.py"
