"""Asks a service what its OpenAPI text allows and what it does not: ``python benchmarks/service_fuzz.py``.

Needs ``pip install schemathesis==4.32.5``. A service of its own process over the groceries that ship, with a
query picture and a table uploaded, and names and ids filled in, so that requests reach what they are about;
then schemathesis with all its checks but two: what is valid by the text may name a picture that is not there,
and its check of answers takes ``prefixItems`` (tuples in OpenAPI 3.1) for a fault. Ends with 1 if one failed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from common import CHECKOUT

from camseek import Engine
from service import serving

_LEFT_OUT = "response_schema_conformance,positive_data_acceptance"
_FILLED = """
[parameters]
"path.name" = "shop"
"query.collection" = "shop"
"query.column" = "kind"
[[operations]]
include-path-regex = "/pictures/"
parameters = {{ "path.identity" = "{picture}" }}
[[operations]]
include-path-regex = "/uploads/"
parameters = {{ "path.identity" = "{upload}" }}
"""


def main() -> None:
    """Runs it; its output is schemathesis's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=25, help="generated requests an operation")
    given = parser.parse_args()
    groceries = CHECKOUT / "examples" / "groceries"
    with tempfile.TemporaryDirectory(prefix="camseek-fuzz-") as place:
        folder = Path(place)
        with Engine.open(folder / "collection", create=True) as engine:
            engine.index(groceries / "photos")
            picture = next(iter(engine)).content.hex()
        with serving("shop", folder / "collection", folder / "state") as served:
            content = (groceries / "queries" / "shop.jpg").read_bytes()
            answer = httpx.post(
                f"{served.base}api/v1/uploads", content=content, headers={"X-Camseek": "1"}, timeout=60
            )
            upload = answer.raise_for_status().json()["id"]
            table = b"file,kind\nBanana_002.jpg,fruit\n"
            place = f"{served.base}api/v1/collections/shop/table"
            httpx.put(place, content=table, headers={"X-Camseek": "1"}).raise_for_status()
            settings = folder / "schemathesis.toml"
            settings.write_text(_FILLED.format(picture=picture, upload=upload), "utf-8")
            command = [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", os.fspath(settings), "run"),
                *(f"{served.base}api/v1/openapi.json", "-H", "X-Camseek: 1", "--phases", "coverage,fuzzing"),
                *("-n", str(given.examples), "--checks", "all", "--exclude-checks", _LEFT_OUT),
                *("--max-response-time", "60", "--exclude-path-regex", "events$"),
            ]
            raise SystemExit(subprocess.run(command, cwd=folder, check=False).returncode)


if __name__ == "__main__":
    main()
