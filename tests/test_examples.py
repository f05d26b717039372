"""The example of docs/scale.md runs as written: a bucket, a Milvus and a Ray cluster on this machine."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.timeout(900)
def test_a_killed_node_a_bucket_and_a_server_give_the_answers_of_a_folder(tmp_path):
    camseek = tmp_path / "camseek"
    camseek.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m camseek "$@"\n')
    camseek.chmod(0o755)
    places = [
        str(tmp_path),
        os.path.dirname(sys.executable),
        sysconfig.get_path("scripts"),
        os.environ["PATH"],
    ]
    environment = os.environ | {"PATH": os.pathsep.join(places)}
    done = subprocess.run(
        [ROOT / "examples/scale.sh"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.search(r"^killed$", done.stdout, re.M), said
    assert "70 pictures, 70 encoded, none left out" in done.stdout
    assert "0 added, 0 changed, 70 unchanged" in said
    assert done.stdout.count("3 queries, 30 hits: as the folder's") == 2
