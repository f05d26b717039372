import os
from pathlib import Path
from typing import Any

import pytest

from camseek.datasets import read_dataset
from camseek.errors import GroundTruthError


def test_holidays(tmp_path: Path, miniatures: Any) -> None:
    truth = read_dataset("holidays", miniatures.holidays(tmp_path))
    assert (truth.ap_form, truth.query_in_database, truth.n_s) == ("mean", "removed", False)
    assert [(query.id, len(query.positives)) for query in truth.queries] == [
        ("100000", 1),
        ("100100", 2),
        ("100200", 3),
        ("100300", 1),
    ]
    query = truth.queries[1]
    assert (query.own, query.region) == (b"100100.jpg", None)
    assert query.good == {b"100101.jpg", b"100102.jpg"}
    assert truth.labels(query).ignored == {b"100100.jpg"}
    assert len(truth.files or ()) == 11  # the queries are searched too


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("100100", "100100.jpg: missing; it is the group's query"),
        ("100001", "100001.jpg: missing; the query has"),
    ],
)
def test_holidays_with_a_gap(tmp_path: Path, miniatures: Any, gone: str, said: str) -> None:
    miniatures.holidays(tmp_path)
    (tmp_path / "jpg" / f"{gone}.jpg").unlink()
    with pytest.raises(GroundTruthError, match=said):
        read_dataset("holidays", tmp_path)


def test_ukbench(tmp_path: Path, miniatures: Any) -> None:
    truth = read_dataset("ukbench", miniatures.ukbench(tmp_path))
    assert (truth.n_s, truth.query_in_database, len(truth.queries)) == (True, "listed", 12)
    query = truth.queries[5]
    assert query.id == "ukbench00005"
    assert query.good == {b"ukbench%05d.jpg" % number for number in (4, 5, 6, 7)}
    assert query.own in query.good


@pytest.mark.parametrize("gone", [5, 11])
def test_ukbench_with_a_gap(tmp_path: Path, miniatures: Any, gone: int) -> None:
    miniatures.ukbench(tmp_path)
    (tmp_path / "full" / f"ukbench{gone:05}.jpg").unlink()
    with pytest.raises(GroundTruthError, match=f"ukbench{gone:05}.jpg: missing"):
        read_dataset("ukbench", tmp_path)


def test_instre(tmp_path: Path, miniatures: Any) -> None:
    truth = read_dataset("instre", miniatures.instre(tmp_path))
    assert (truth.ap_form, truth.query_in_database) == ("trapezoid", "absent")
    assert len(truth.files or ()) == 12
    query = truth.queries[1]
    assert query.image == os.fsencode(tmp_path / "INSTRE-S1" / "01b_cup" / "000.jpg")
    assert query.region == (20, 16, 103, 92)
    assert query.good == {b"INSTRE-S1/01b_cup/%03d.jpg" % number for number in (1, 2, 3)}


@pytest.mark.parametrize("number", [0, 2])
def test_instre_with_a_gap(tmp_path: Path, miniatures: Any, number: int) -> None:
    miniatures.instre(tmp_path)
    (tmp_path / "INSTRE-M" / "01" / f"{number:03}.jpg").unlink()
    with pytest.raises(GroundTruthError, match=rf"INSTRE-M/01/{number:03}\.jpg: missing"):
        read_dataset("instre", tmp_path)
