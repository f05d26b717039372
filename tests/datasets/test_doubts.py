import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from camseek.datasets import check_truth, doubts, read_dataset, read_ground_truth
from camseek.datasets.truth import GroundTruth, TruthQuery
from camseek.errors import GroundTruthError

DOCS = Path(__file__).parents[2] / "docs" / "datasets.md"
SOME = frozenset({b"a.jpg"})


def truth(*queries: TruthQuery, **more: Any) -> GroundTruth:
    return GroundTruth(b"/truth.json", b"/photos", queries, **more)


def query(name: str, good: frozenset[bytes] = SOME, **more: Any) -> TruthQuery:
    return TruthQuery(name, b"/q.jpg", None, good, **more)


NONE: frozenset[bytes] = frozenset()


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (truth(query("a"), query("b")), []),
        (truth(query("a", NONE), query("b", NONE)), ["no query has positives: nothing can be measured"]),
        (
            truth(query("a"), query("b", NONE)),
            ["1 of 2 queries ('b') has no positives: counted in no mean"],
        ),
        (
            truth(*(query(name, NONE) for name in "abcd"), query("e")),
            ["4 of 5 queries ('a', 'b', 'c', ...) have no positives: counted in no mean"],
        ),
        (
            truth(query("a", NONE, junk=SOME)),
            ["no query has positives: nothing can be measured", "1 of 1 query ('a') has nothing but junk"],
        ),
        (
            truth(query("a", own=b"a.jpg")),
            ["1 of 1 query ('a') has no positive but its own picture, which is always first"],
        ),
        (
            truth(query("a"), setups=("easy", "medium", "hard")),
            ["no query has positives in the setup hard"],
        ),
    ],
)
def test_what_is_doubtful(known: GroundTruth, told: list[str]) -> None:
    assert list(doubts(known)) == told


def test_a_query_that_only_finds_itself_where_it_is_removed() -> None:
    known = truth(query("a", own=b"a.jpg"), query_in_database="removed")
    assert doubts(known) == ("no query has positives: nothing can be measured",)


def test_sound_sets_raise_no_doubt(tmp_path: Path, miniatures: Any) -> None:
    assert doubts(read_dataset("ukbench", miniatures.ukbench(tmp_path))) == ()


@pytest.fixture
def own(tmp_path: Path, photos: Any, encoded: Any) -> Path:
    """The example of the documentation, with pictures."""
    [example] = re.findall(r"^```json\n(.*?)^```$", DOCS.read_text("utf-8"), re.M | re.S)
    photos(6)
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "tin.jpg").write_bytes(encoded(0))
    (tmp_path / "truth.json").write_text(example)
    return tmp_path / "truth.json"


def change(path: Path, edit: Any) -> None:
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def test_the_documented_form_is_read_and_checked(own: Path) -> None:
    known = read_ground_truth(own)
    first, second = known.queries
    assert (first.id, first.region, first.junk) == ("the tin", (10, 8, 60, 44), {b"3.jpg"})
    assert (first.boxes, first.absent, second.own) == ({b"0.jpg": (4, 4, 40, 40)}, 0, b"4.jpg")
    found = check_truth(own, workers=2)
    assert found.sound
    assert (found.pictures, found.queries, found.doubts) == (6, 2, ())


def test_every_key_of_the_form_is_documented() -> None:
    from camseek.datasets import json_truth

    text = DOCS.read_text("utf-8")
    keys = re.findall(r"^- ``(\w+)``", json_truth.__doc__ or "", re.M)
    assert {"id", "image", "region"} <= set(keys)
    assert all(f"`{key}`" in text for key in keys)


def test_what_is_wrong_with_its_pictures(own: Path) -> None:
    folder = own.parent / "photos"
    (folder / "1.jpg").write_bytes((folder / "1.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("not a picture")
    os.mkfifo(folder / "6.jpg")
    change(own, lambda data: data["queries"][0]["good"].append("notes.txt"))
    told = {os.path.basename(fault.path): fault.code for fault in check_truth(own).faults}
    assert told == {b"1.jpg": "damaged", b"6.jpg": "damaged", b"notes.txt": "ground_truth"}
    (own.parent / "queries" / "tin.jpg").unlink()
    with pytest.raises(GroundTruthError, match=r"query 'the tin', image: there is no picture"):
        check_truth(own)
