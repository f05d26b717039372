import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from camseek.datasets import Checked, check_dataset, dataset
from camseek.errors import GroundTruthError

# The miniatures' own numbers: pictures, distractors, queries.
COUNTS = {
    "oxford5k": (26, 0, 9),
    "paris6k": (15, 0, 9),
    "oxford105k": (26, 4, 9),
    "roxford5k": (19, 0, 6),
    "rparis6k": (19, 0, 6),
    "roxford5k+r1m": (19, 3, 6),
    "holidays": (11, 0, 4),
    "ukbench": (12, 0, 12),
    "instre": (12, 0, 4),
}


class Counting:
    def __init__(self) -> None:
        self.total = self.done = 0

    def start(self, total: int) -> None:
        self.total = total

    def step(self) -> None:
        self.done += 1


def made(name: str, folder: Path, miniatures: Any) -> Path:
    family = name.split("+")[0].replace("105k", "5k")
    make = {"oxford5k": "oxford", "paris6k": "paris", "roxford5k": "roxford", "rparis6k": "rparis"}
    getattr(miniatures, make.get(family, family))(folder)
    if name == "oxford105k":
        miniatures.flickr(folder)
    if name.endswith("r1m"):
        miniatures.million(folder)
    return folder


def check(name: str, folder: Path) -> Checked:
    """Holds a miniature against its own numbers."""
    pictures, distractors, queries = COUNTS[name]
    wanted = replace(dataset(name), pictures=pictures, distractors=distractors, queries=queries)
    return check_dataset(wanted, folder, workers=2)


def told(found: Checked) -> list[tuple[str, str]]:
    return sorted((os.path.basename(fault.path).decode(), fault.code) for fault in found.faults)


@pytest.mark.parametrize("name", COUNTS)
def test_a_whole_set(tmp_path: Path, miniatures: Any, name: str) -> None:
    found = check(name, made(name, tmp_path, miniatures))
    assert found.faults == ()
    assert found.sound
    assert (found.pictures, found.distractors, found.queries) == COUNTS[name]
    assert len(found.known) == (2 if name == "paris6k" else 0)


@pytest.mark.parametrize("name", COUNTS)
def test_the_numbers_are_those_of_the_official_set(tmp_path: Path, miniatures: Any, name: str) -> None:
    found = check_dataset(dataset(name), made(name, tmp_path, miniatures))
    assert {fault.code for fault in found.faults} == {"count"}
    assert len(found.faults) == (3 if dataset(name).distractors else 2)


def test_progress_counts_every_picture(tmp_path: Path, miniatures: Any) -> None:
    progress = Counting()
    check_dataset(dataset("roxford5k"), miniatures.roxford(tmp_path), progress=progress)
    assert progress.total == progress.done == 25  # the queries' own pictures too


def test_everything_that_is_missing_or_damaged_is_named(tmp_path: Path, miniatures: Any) -> None:
    miniatures.oxford(tmp_path)
    truth = tmp_path / "gt_files_170407"
    (tmp_path / "jpg" / "all_souls_000001.jpg").unlink()  # a query and a positive
    (tmp_path / "jpg" / "bodleian_000004.jpg").unlink()  # a positive
    for name in ("radcliffe_camera_000000", "oxford_000002"):  # a query, and one that no list names
        path = tmp_path / "jpg" / f"{name}.jpg"
        path.write_bytes(path.read_bytes()[:-700])
    (tmp_path / "jpg" / "oxford_000003.jpg").write_text("<html>")
    (truth / "bodleian_1_junk.txt").unlink()
    (truth / "bodleian_2_query.txt").write_text("garbled")
    found = check("oxford5k", tmp_path)
    assert told(found) == [
        ("all_souls_000001.jpg", "missing"),
        ("bodleian_000004.jpg", "missing"),
        ("bodleian_1_junk.txt", "missing"),
        ("bodleian_2_query.txt", "ground_truth"),
        ("gt_files_170407", "count"),
        ("jpg", "count"),
        ("oxford_000002.jpg", "damaged"),
        ("oxford_000003.jpg", "damaged"),
        ("radcliffe_camera_000000.jpg", "damaged"),
    ]
    assert not found.sound
    assert found.pictures == 26 - 2 - 3


def test_a_picture_that_only_the_count_knows(tmp_path: Path, miniatures: Any) -> None:
    miniatures.oxford(tmp_path)
    (tmp_path / "jpg" / "oxford_000003.jpg").unlink()
    [fault] = check("oxford5k", tmp_path).faults
    assert str(fault) == f"{tmp_path}/jpg: 25 pictures, not 26"


def test_a_damaged_picture_that_is_known_is_no_fault_but_another_is(tmp_path: Path, miniatures: Any) -> None:
    miniatures.paris(tmp_path)
    (tmp_path / "paris" / "louvre" / "paris_louvre_000003.jpg").write_text("<html>")
    found = check("paris6k", tmp_path)
    assert told(found) == [("paris_louvre_000003.jpg", "damaged")]
    assert sorted(os.path.basename(fault.path) for fault in found.known) == [
        b"paris_louvre_000136.jpg",
        b"paris_triomphe_000662.jpg",
    ]


def test_a_distractor_of_the_list_that_is_missing(tmp_path: Path, miniatures: Any) -> None:
    made("roxford5k+r1m", tmp_path, miniatures)
    (tmp_path / "revisitop1m" / "jpg" / "1" / "0001.jpg").unlink()
    found = check("roxford5k+r1m", tmp_path)
    assert told(found) == [("0001.jpg", "missing"), ("jpg", "count")]
    assert "revisitop1m.txt, line 2" in found.faults[0].message


def test_revisited_without_a_picture(tmp_path: Path, miniatures: Any) -> None:
    miniatures.roxford(tmp_path)
    for name in ("all_souls_000002", "all_souls_000005"):
        (tmp_path / "jpg" / f"{name}.jpg").unlink()
    found = check("roxford5k", tmp_path)
    assert told(found) == [
        ("all_souls_000002.jpg", "missing"),
        ("all_souls_000005.jpg", "missing"),
        ("gnd_roxford5k.pkl", "count"),
        ("jpg", "count"),
    ]
    assert (found.pictures, found.queries) == (18, 5)


@pytest.mark.parametrize("name", COUNTS)
def test_an_empty_folder(tmp_path: Path, name: str) -> None:
    found = check(name, tmp_path)
    [fault] = found.faults
    assert fault.code == "ground_truth"
    assert str(tmp_path) in str(fault)


def test_a_garbled_pickle(tmp_path: Path, miniatures: Any) -> None:
    miniatures.roxford(tmp_path)
    (tmp_path / "gnd_roxford5k.pkl").write_bytes(b"\x80\x02garbled")
    [fault] = check("roxford5k", tmp_path).faults
    assert "gnd_roxford5k.pkl, byte" in fault.message


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(GroundTruthError, match="there is no folder"):
        check("oxford5k", tmp_path / "none")
