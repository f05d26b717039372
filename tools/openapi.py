"""Writes the service's OpenAPI text, from which the page's types are made: ``python tools/openapi.py``."""

import json
import tempfile
from pathlib import Path

from camseek.service.app import fast_api
from camseek.service.house import House
from camseek.service.settings import ServiceSettings

PLACE = Path(__file__).resolve().parents[1] / "web" / "openapi.json"


def openapi() -> str:
    """The text."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(ServiceSettings(collections={"any": folder}, state=Path(folder)))
        try:
            return json.dumps(fast_api(house).openapi(), indent=1, ensure_ascii=False) + "\n"
        finally:
            house.close()


if __name__ == "__main__":
    PLACE.write_text(openapi(), "utf-8")
