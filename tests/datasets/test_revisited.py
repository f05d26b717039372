import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camseek.datasets import SETUPS, read_dataset
from camseek.errors import GroundTruthError


@pytest.fixture
def roxford(tmp_path: Path, miniatures: Any) -> Path:
    return miniatures.roxford(tmp_path)


def test_roxford(roxford: Path) -> None:
    truth = read_dataset("roxford5k", roxford)
    assert (truth.name, truth.ap_form, truth.query_in_database) == ("roxford5k", "trapezoid", "absent")
    assert truth.setups == SETUPS
    assert truth.path == os.fsencode(roxford / "gnd_roxford5k.pkl")
    # The queries' own pictures lie in the folder and are not searched.
    assert len(truth.files or ()) == 19
    assert len(truth.queries) == 6
    query = truth.queries[1]
    assert query.id == "all_souls_000006"
    assert query.image == os.fsencode(roxford / "jpg" / "all_souls_000006.jpg")
    assert query.own is None
    assert query.region == (30, 30, 114, 106)
    assert query.good == {b"all_souls_000000.jpg", b"all_souls_000001.jpg"}
    assert query.ok == {b"all_souls_000002.jpg", b"all_souls_000003.jpg"}
    assert query.junk == {b"all_souls_000004.jpg"}
    assert os.path.basename(query.image) not in (truth.files or ())


def test_the_setups_of_a_query(roxford: Path) -> None:
    truth = read_dataset("roxford5k", roxford)
    query = truth.queries[0]
    easy, medium, hard = (truth.labels(query, setup) for setup in SETUPS)
    assert (easy.positives, easy.ignored) == (query.good, query.ok | query.junk)
    assert (medium.positives, medium.ignored) == (query.good | query.ok, query.junk)
    assert (hard.positives, hard.ignored) == (query.ok, query.good | query.junk)
    # The miniature has a query without any easy picture.
    assert [bool(truth.labels(query, "easy").positives) for query in truth.queries].count(False) == 1


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path: Path, miniatures: Any, protocol: int) -> None:
    place = miniatures.roxford(tmp_path, protocol=protocol)
    assert len(read_dataset("roxford5k", place).queries) == 6


def test_rparis_with_arrays_and_folders(tmp_path: Path, miniatures: Any) -> None:
    truth = read_dataset("rparis6k", miniatures.rparis(tmp_path))
    query = truth.queries[0]
    assert query.good == {b"defense/paris_defense_000000.jpg", b"defense/paris_defense_000001.jpg"}
    assert query.image == os.fsencode(tmp_path / "jpg" / "defense" / "paris_defense_000005.jpg")


def same(a: Any, b: Any) -> None:
    assert (a.queries, a.files, a.database) == (b.queries, b.files, b.database)


def test_json_says_the_same(roxford: Path) -> None:
    pickled = read_dataset("roxford5k", roxford)
    content = pickle.loads((roxford / "gnd_roxford5k.pkl").read_bytes())
    (roxford / "gnd_roxford5k.json").write_text(json.dumps(content))
    (roxford / "gnd_roxford5k.pkl").unlink()
    same(read_dataset("roxford5k", roxford), pickled)


def test_the_mat_file_says_the_same_though_it_counts_from_1(roxford: Path) -> None:
    from scipy.io import savemat

    pickled = read_dataset("roxford5k", roxford)
    content = pickle.loads((roxford / "gnd_roxford5k.pkl").read_bytes())
    keys = ("bbx", "easy", "hard", "junk")
    rows = [tuple(np.array([entry[key]], float) + (key != "bbx") for key in keys) for entry in content["gnd"]]
    forms = {
        "imlist": np.array([content["imlist"]], object),
        "qimlist": np.array([content["qimlist"]], object),
        "gnd": np.array([rows], dtype=[(key, object) for key in keys]),
    }
    savemat(roxford / "gnd_roxford5k.mat", forms)
    (roxford / "gnd_roxford5k.pkl").unlink()
    same(read_dataset("roxford5k", roxford), pickled)


def test_with_r1m(roxford: Path, miniatures: Any) -> None:
    miniatures.million(roxford)
    truth = read_dataset("roxford5k+r1m", roxford)
    assert truth.name == "roxford5k+r1m"
    assert truth.distractors == (os.fsencode(roxford / "revisitop1m" / "jpg"),)


def changed(roxford: Path, change: Any) -> None:
    path = roxford / "gnd_roxford5k.pkl"
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(change(content) or content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: [1], "no dictionary"),
        (lambda data: data.pop("qimlist") and None, "missing: qimlist"),
        (lambda data: data["gnd"].pop() and None, "gnd is no list of 6 entries"),
        (lambda data: data.update(imlist="abc"), "imlist is no list"),
        (lambda data: data.update(imlist=[]), "imlist is no list"),
        (lambda data: data["imlist"].__setitem__(0, 3), "imlist holds 3"),
        (lambda data: data["imlist"].__setitem__(0, "../x"), "imlist holds '../x'"),
        (lambda data: data["imlist"].__setitem__(0, data["imlist"][1]), "names 'all_souls_000001' twice"),
        (
            lambda data: data["gnd"].__setitem__(2, 5),
            r"gnd, entry 2 \(bodleian_000005\): it is no dictionary",
        ),
        (lambda data: data["gnd"][2].pop("hard") and None, "entry 2 .*: missing: hard"),
        (lambda data: data["gnd"][2].update(hard=[99]), "entry 2 .*: hard holds a position that is none"),
        (lambda data: data["gnd"][2].update(hard=[-1]), "entry 2 .*: hard holds a position that is none"),
        (lambda data: data["gnd"][2].update(hard=[1.5]), "entry 2 .*: hard holds a position that is none"),
        (lambda data: data["gnd"][2].update(hard=["a"]), "entry 2 .*: 'a' is no number"),
        (lambda data: data["gnd"][2].update(easy=[1], hard=[1]), "entry 2 .*: hard .* stands twice"),
        (lambda data: data["gnd"][2].update(bbx=[1, 2, 3]), "entry 2 .*: bbx holds 3 numbers"),
        (lambda data: data["gnd"][2].update(bbx=[9, 2, 3, 4]), "the box 9 2 3 4 is empty"),
    ],
)
def test_says_what_is_wrong_and_where(roxford: Path, change: Any, said: str) -> None:
    changed(roxford, change)
    with pytest.raises(GroundTruthError, match=said) as caught:
        read_dataset("roxford5k", roxford)
    assert "gnd_roxford5k.pkl" in caught.value.message


@pytest.mark.parametrize("name", ["all_souls_000002", "all_souls_000005"])
def test_a_picture_that_is_missing(roxford: Path, name: str) -> None:
    (roxford / "jpg" / f"{name}.jpg").unlink()
    with pytest.raises(GroundTruthError, match=rf"{name}\.jpg: missing; it is listed in q?imlist"):
        read_dataset("roxford5k", roxford)


def test_no_ground_truth(roxford: Path) -> None:
    (roxford / "gnd_roxford5k.pkl").unlink()
    with pytest.raises(GroundTruthError, match="no ground truth: none of"):
        read_dataset("roxford5k", roxford)


def test_garbled_json(roxford: Path) -> None:
    (roxford / "gnd_roxford5k.pkl").rename(roxford / "gnd_roxford5k.json")
    with pytest.raises(GroundTruthError, match=r"gnd_roxford5k\.json: damaged: it is not JSON"):
        read_dataset("roxford5k", roxford)
