"""Ground truths that would take minutes and gigabytes: refused in their place, in a process of their own."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from camseek.datasets import check_dataset, dataset, read_dataset, read_ground_truth
from camseek.errors import ForbiddenTruthError, GroundTruthError

SHARED = [
    "pickle_frombuffer_repeated.pkl.gz",
    "pickle_hash_laughs.pkl",
    "pickle_str_laughs.pkl",
    "mat_bomb.mat",
]

# Prints what was said, the processor's seconds and the megabytes that reading took.
READ = """
import sys, time
from camseek.datasets import read_dataset
from camseek.errors import GroundTruthError
began = time.process_time()
try:
    read_dataset("roxford5k", sys.argv[1])
except GroundTruthError as error:
    print(error.message)
print(time.process_time() - began)
# Of this program: the peak that the system's resources tell is also that of the process that started it.
with open("/proc/self/status") as status:
    print(*(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="measures memory as Linux tells it")
@pytest.mark.parametrize("name", SHARED)
def test_shared_faults_are_refused_within_a_second_and_200_megabytes(
    shared_faults: Path, tmp_path: Path, miniatures: Any, name: str
) -> None:
    folder = miniatures.roxford(tmp_path)
    (folder / "gnd_roxford5k.pkl").unlink()
    content = (shared_faults / name).read_bytes()
    content = gzip.decompress(content) if name.endswith(".gz") else content
    (folder / f"gnd_roxford5k{'.mat' if name.endswith('mat') else '.pkl'}").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True, timeout=300
    )
    message, seconds, megabytes = done.stdout.splitlines()
    assert "gnd_roxford5k" in message
    assert any(word in message for word in ("damaged: ", "not supported: ", "not permitted: "))
    assert float(seconds) < 1
    assert float(megabytes) < 200


@pytest.mark.parametrize("form", ["pkl", "mat", "json"])
@pytest.mark.parametrize(
    ("make", "said"),
    [(os.mkfifo, "a named pipe"), (os.mkdir, "a folder"), (lambda p: os.symlink("/dev/zero", p), "a device")],
    ids=["pipe", "folder", "device"],
)
def test_what_is_no_file(tmp_path: Path, miniatures: Any, make: Any, said: str, form: str) -> None:
    folder = miniatures.roxford(tmp_path)
    (folder / "gnd_roxford5k.pkl").unlink()
    make(folder / f"gnd_roxford5k.{form}")
    with pytest.raises(GroundTruthError, match=f"{form} cannot be read: it is {said}, not a file"):
        read_dataset("roxford5k", folder)


@pytest.mark.parametrize("form", ["pkl", "mat", "json"])
def test_a_sparse_terabyte(tmp_path: Path, miniatures: Any, form: str) -> None:
    folder = miniatures.roxford(tmp_path)
    (folder / "gnd_roxford5k.pkl").unlink()
    path = folder / f"gnd_roxford5k.{form}"
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(ForbiddenTruthError, match="not permitted: it has more than 16,000,000 bytes"):
        read_dataset("roxford5k", folder)


def test_lists_that_are_pipes_or_have_gigantic_lines(tmp_path: Path, miniatures: Any) -> None:
    folder = miniatures.oxford(tmp_path)
    first, second, third = sorted(folder.rglob("*_good.txt"))[:3]
    first.unlink()
    os.mkfifo(first)
    second.write_bytes(b"a" * 2_000_000)
    third.write_bytes(b"a" * 900_000)
    told = {str(fault) for fault in check_dataset(dataset("oxford5k"), folder, workers=2).faults}
    assert f"{first}: it cannot be read: it is a named pipe, not a file" in told
    assert f"{second}: it cannot be read: it has more than 1,000,000 bytes" in told
    assert f"{third}, line 1: 'aaaaaaaaaaaa...aaaaaaaaaaaaa' is no picture's name" in told


def test_the_list_of_distractors_without_lines(tmp_path: Path, miniatures: Any) -> None:
    folder = miniatures.roxford(tmp_path / "set")
    miniatures.million(folder)
    (listing,) = tmp_path.rglob("revisitop1m.txt")
    listing.write_bytes(b"a" * 5_000_000)
    told = [str(fault) for fault in check_dataset(dataset("roxford5k+r1m"), folder, workers=2).faults]
    assert f"{listing}, line 1: it is no list of names: a line is none" in told
    listing.unlink()
    os.mkfifo(listing)
    told = [str(fault) for fault in check_dataset(dataset("roxford5k+r1m"), folder, workers=2).faults]
    assert f"{listing}: it cannot be read: it is a named pipe, not a file" in told


JSON = {
    "too many values": (b"[" + b"0," * 1_200_000 + b"0]", "not permitted: it holds some 1,200,001 values"),
    "too many lists": (b"[" + b"[]," * 600_000 + b"0]", "not permitted: it holds some 1,200,001 values"),
    "too deep within": (b"[" * 50_000 + b"]" * 50_000, "not permitted: its values lie too deep within"),
    "a whole number of a million digits": (b"1" * 1_000_000, "a number of 1,000,000 characters"),
    "a real number of a million digits": (b"0." + b"1" * 1_000_000, "a number of 1,000,002 characters"),
    "an exponent without end": (b"1e" + b"9" * 1_000_000, "a number of 1,000,002 characters"),
    "a key without end": (b'{"' + b"a" * 1_000_000 + b'": 1}', "missing: database"),
    "zip": (b"PK\x03\x04" + bytes(30), "not supported: it is compressed"),
}


@pytest.mark.parametrize(("content", "said"), JSON.values(), ids=JSON)
def test_hostile_json(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "truth.json"
    path.write_bytes(content)
    with pytest.raises(GroundTruthError, match=said) as caught:
        read_ground_truth(path)
    assert len(caught.value.message) < 1000


def test_messages_stay_short(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    path = tmp_path / "truth.json"
    long = "a" * 1_000_000
    for entry in (
        {"id": "q", "image": long, "good": []},
        {"id": "q", "image": "/" + long, "good": []},
        {"id": long, "image": "q.jpg", "good": []},
        {"id": "q", "image": "truth.json", "good": [long]},
        {"id": "q", "image": "truth.json", "good": [], "boxes": {long: [1, 2]}},
        {"id": "q", "image": "truth.json", "good": [], "region": [0] * 100_000},
        {"id": "q", "image": "truth.json", "good": [], "absent": long},
    ):
        path.write_text(json.dumps({"database": "photos", "queries": [entry]}))
        with pytest.raises(GroundTruthError) as caught:
            read_ground_truth(path)
        assert len(caught.value.message) < 1000, entry.keys()
