import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from camseek.datasets import GroundTruth, TruthQuery, read_ground_truth
from camseek.errors import GroundTruthError

TRUTH: dict[str, Any] = {
    "database": "photos",
    "queries": [
        {
            "id": "one",
            "image": "queries/one.jpg",
            "region": [1, 2, 30, 40],
            "good": ["a.jpg"],
            "ok": ["sub/b.jpg"],
            "junk": ["c.jpg"],
            "boxes": {"a.jpg": [0, 0, 5, 6]},
            "absent": 2,
        },
        {"id": "two", "image": "photos/a.jpg", "region": None, "good": [], "ok": [], "junk": []},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("photos/a.jpg", "photos/sub/b.jpg", "photos/c.jpg", "queries/one.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not looked into here")
    return tmp_path


def written(folder: Path, data: Any) -> Path:
    path = folder / "truth.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The ground truth with one value exchanged, or removed where it becomes ``...``."""
    data = copy.deepcopy(TRUTH)
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return data


def test_reads_everything(folder: Path) -> None:
    root = os.fsencode(folder)
    assert read_ground_truth(written(folder, TRUTH)) == GroundTruth(
        path=root + b"/truth.json",
        database=root + b"/photos",
        queries=(
            TruthQuery(
                id="one",
                image=root + b"/queries/one.jpg",
                region=(1, 2, 30, 40),
                good=frozenset({b"a.jpg"}),
                ok=frozenset({b"sub/b.jpg"}),
                junk=frozenset({b"c.jpg"}),
                boxes={b"a.jpg": (0, 0, 5, 6)},
                absent=2,
            ),
            TruthQuery(id="two", image=root + b"/photos/a.jpg", region=None, good=frozenset(), own=b"a.jpg"),
        ),
    )


def test_good_and_ok_are_positives(folder: Path) -> None:
    query = read_ground_truth(written(folder, TRUTH)).queries[0]
    assert query.positives == {b"a.jpg", b"sub/b.jpg"}


def test_paths_come_from_the_file_not_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(folder, TRUTH)
    monkeypatch.chdir(folder / "photos")
    assert read_ground_truth("../truth.json").database == os.fsencode(folder / "photos")


def test_the_database_may_be_the_file_s_own_folder(folder: Path) -> None:
    data = {"database": ".", "queries": [TRUTH["queries"][1] | {"good": ["photos/a.jpg"]}]}
    truth = read_ground_truth(written(folder, data))
    assert truth.database == os.fsencode(folder)
    assert truth.queries[0].good == {b"photos/a.jpg"}


def test_the_database_and_the_queries_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    data = {
        "database": "../photos",
        "queries": [{"id": "one", "image": str(folder / "queries/one.jpg"), "good": ["a.jpg"]}],
    }
    truth = read_ground_truth(written(home, data))
    assert truth.database == os.fsencode(folder / "photos")
    [query] = truth.queries
    assert query.image == os.fsencode(folder / "queries/one.jpg")
    assert (query.region, query.ok, query.junk) == (None, frozenset(), frozenset())


def test_further_keys_are_notes(folder: Path) -> None:
    data = changed("queries", 0, "hard", to=[]) | {"source": "my shelf"}
    assert read_ground_truth(written(folder, data)) == read_ground_truth(written(folder, TRUTH))


def test_names_lose_their_detours(folder: Path) -> None:
    data = changed("queries", 0, "good", to=["./sub/..//a.jpg"])
    assert read_ground_truth(written(folder, data)).queries[0].good == {b"a.jpg"}


def test_names_that_are_not_utf8(folder: Path) -> None:
    name = b"\xff.jpg"
    try:
        (folder / "photos" / os.fsdecode(name)).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    data = changed("queries", 0, "ok", to=[os.fsdecode(name)])
    assert read_ground_truth(written(folder, data)).queries[0].ok == {name}


def test_absent_may_be_null(folder: Path) -> None:
    truth = read_ground_truth(written(folder, changed("queries", 0, "absent", to=None)))
    assert truth.queries[0].absent is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "it is not a JSON object"),
        (changed("database", to=...), "missing: database"),
        (changed("queries", to=...), "missing: queries"),
        (changed("database", to=3), "database: a path must be a text"),
        (changed("database", to=""), "database: a path must be a text"),
        (changed("database", to="nowhere"), "database: there is no folder"),
        (changed("database", to="queries/one.jpg"), "database: there is no folder"),
        (changed("queries", to={}), "queries: it is not a list"),
        (changed("queries", to=[]), "queries: it is not a list of one"),
        (changed("queries", 1, to="two"), "query number 2: it is not a JSON object"),
        (changed("queries", 1, "id", to=...), "query number 2, id: it is missing"),
        (changed("queries", 1, "id", to=""), "query number 2, id: it is missing, empty"),
        (changed("queries", 1, "id", to=7), "query number 2, id: it is missing, empty or no text"),
        (changed("queries", 1, "id", to="one"), "query 'one', id: an earlier query has the same id"),
        (changed("queries", 0, "image", to=...), "query 'one': missing: image"),
        (changed("queries", 0, "good", to=...), "query 'one': missing: good"),
        (changed("queries", 0, "image", to=None), "query 'one', image: a path must be a text"),
        (changed("queries", 0, "image", to="no.jpg"), "query 'one', image: there is no picture"),
        (changed("queries", 0, "image", to="photos"), "query 'one', image: there is no picture"),
        (changed("queries", 0, "image", to="a\0b"), "query 'one', image: a path holds a zero"),
        (changed("queries", 0, "image", to="\ud800"), "query 'one', image: .* cannot be a path"),
        (changed("queries", 0, "region", to="1,2,3,4"), "query 'one', region: a box is four whole numbers"),
        (changed("queries", 0, "region", to=[1, 2, 3]), "query 'one', region: a box is four whole numbers"),
        (changed("queries", 0, "region", to=[1, 2, 3, 4.5]), "query 'one', region: a box is four whole"),
        (changed("queries", 0, "region", to=[0, 0, True, 4]), "query 'one', region: a box is four whole"),
        (changed("queries", 0, "region", to=[3, 2, 1, 4]), "query 'one', region: .* empty or reversed"),
        (changed("queries", 0, "region", to=[3, 2, 4, 2]), "query 'one', region: .* empty or reversed"),
        (changed("queries", 0, "region", to=[-1, 2, 4, 5]), "query 'one', region: .* begins outside"),
        (changed("queries", 0, "good", to="a.jpg"), "query 'one', good: it is not a list"),
        (changed("queries", 0, "ok", to=[1]), "query 'one', ok: a path must be a text"),
        (changed("queries", 0, "junk", to=["../queries/one.jpg"]), "query 'one', junk: .* leaves its folder"),
        (changed("queries", 0, "junk", to=["a.jpg"]), "query 'one', junk: a.jpg is in junk and in good"),
        (changed("queries", 0, "ok", to=["./a.jpg"]), "query 'one', ok: a.jpg is in ok and in good"),
        (changed("queries", 0, "junk", to=["c.jpg"] * 2), "query 'one', junk: c.jpg is in junk twice"),
        (changed("queries", 0, "good", to=["a.jpg", "x.jpg"]), "query 'one', good: not in the .* x.jpg$"),
        (changed("queries", 0, "ok", to=["sub"]), "query 'one', ok: not in the database folder: sub$"),
        (
            changed("queries", 0, "junk", to=[f"{number}.jpg" for number in range(9)]),
            "query 'one', junk: not in the database folder: 0.jpg, 1.jpg, 2.jpg and 6 more$",
        ),
        (changed("queries", 0, "boxes", to=[]), "query 'one', boxes: it is not an object"),
        (
            changed("queries", 0, "boxes", to={"c.jpg": [0, 0, 1, 1]}),
            "query 'one', boxes: neither good nor ok: c.jpg",
        ),
        (
            changed("queries", 0, "boxes", "a.jpg", to=[4, 0, 1, 1]),
            "query 'one', boxes, 'a.jpg': .* reversed",
        ),
        (
            changed("queries", 0, "boxes", to={"a.jpg": [0, 0, 1, 1], "./a.jpg": [0, 0, 1, 1]}),
            "query 'one', boxes: a.jpg has two boxes",
        ),
        (changed("queries", 0, "absent", to=-1), "query 'one', absent: it is neither"),
        (changed("queries", 0, "absent", to=True), "query 'one', absent: it is neither"),
        (changed("queries", 0, "absent", to="2"), "query 'one', absent: it is neither"),
    ],
)
def test_says_what_is_wrong_and_where(folder: Path, data: Any, said: str) -> None:
    path = written(folder, data)
    with pytest.raises(GroundTruthError, match=f"^[^,:]*truth.json[,:] {said}") as caught:
        read_ground_truth(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is not JSON"),
        (b"{", "it is not JSON"),
        (b"\xff\xfe{", "it is not JSON"),
        (b"[" * 100_000, "not permitted: its values lie too deep"),
        (b"\x1f\x8b" + bytes(20), "not supported: it is compressed"),
        (b'{"database": "photos", "database": "queries", "queries": []}', "'database' stands twice"),
    ],
)
def test_what_is_no_json(folder: Path, content: bytes, said: str) -> None:
    path = folder / "truth.json"
    path.write_bytes(content)
    with pytest.raises(GroundTruthError, match=said):
        read_ground_truth(path)


@pytest.mark.parametrize("name", ["none.json", "photos"])
def test_a_file_that_cannot_be_read(folder: Path, name: str) -> None:
    with pytest.raises(GroundTruthError, match="cannot be read"):
        read_ground_truth(folder / name)


SHARED = {
    "buildings/ground_truth.json": 35,
    "covers/ground_truth.json": 200,
    "covers/ground_truth_photos.json": 100,
    "groceries/ground_truth.json": 34,
    "paintings/ground_truth.json": 90,
    "paintings/ground_truth_regions.json": 29,
    "paintings/ground_truth_walls.json": 29,
}


@pytest.mark.shared_data
def test_reads_the_shared_sets(shared_data: Path) -> None:
    found = sorted(shared_data.glob("*/ground_truth*.json"))
    counts = {
        path.relative_to(shared_data).as_posix(): len(read_ground_truth(path).queries) for path in found
    }
    # There may be more sets than were known when this was written.
    assert {name: counts.get(name) for name in SHARED} == SHARED
    assert all(counts.values())
