import json
import os
from pathlib import Path
from typing import Any

import pytest

from camseek.datasets import dataset, known_datasets, open_truth
from camseek.errors import GroundTruthError

NAMES = (
    "oxford5k",
    "paris6k",
    "oxford105k",
    "paris106k",
    "roxford5k",
    "rparis6k",
    "roxford5k+r1m",
    "rparis6k+r1m",
    "holidays",
    "ukbench",
    "instre",
)


def test_what_is_known() -> None:
    known = known_datasets()
    assert tuple(known) == NAMES
    assert len({item.title for item in known.values()}) == len(NAMES)
    for name, item in known.items():
        assert item.name == name
        assert item.pages
        assert item.downloads
        assert item.tree.startswith("FOLDER/\n")
        assert item.memory
        json.dumps(item.to_json())


def test_the_counts_fit_each_other() -> None:
    known = known_datasets()
    assert known["roxford5k"].pictures + known["roxford5k"].queries == known["oxford5k"].pictures
    assert known["rparis6k"].pictures + known["rparis6k"].queries == known["paris6k"].pictures
    assert known["ukbench"].pictures == known["ukbench"].queries


def test_case_does_not_count() -> None:
    assert dataset(" ROxford5k+R1M ").name == "roxford5k+r1m"


def test_a_name_and_a_folder(tmp_path: Path, miniatures: Any) -> None:
    place = miniatures.oxford(tmp_path / "a=b")
    truth = open_truth(f"Oxford5k={place}")
    assert (truth.name, truth.database) == ("oxford5k", os.fsencode(place / "jpg"))


def test_a_file_is_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "q.jpg").write_bytes(b"")
    path = tmp_path / "oxford5k=x"
    path.write_text(
        json.dumps({"database": ".", "queries": [{"id": "q", "image": "q.jpg", "good": ["q.jpg"]}]})
    )
    monkeypatch.chdir(tmp_path)
    truth = open_truth("oxford5k=x")
    assert truth.path == os.fsencode(path)
    assert (truth.name, truth.ap_form, truth.query_in_database) == ("", "mean", "listed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing.json", "nothing.json cannot be read"),
        ("oxford=x", "no file oxford=x, and no data set 'oxford'"),
        ("oxford5k=", "oxford5k= names no folder"),
        ("oxford5k=/nowhere", "there is no folder /nowhere"),
    ],
)
def test_what_is_neither(text: str, said: str) -> None:
    with pytest.raises(GroundTruthError, match=said):
        open_truth(text)
