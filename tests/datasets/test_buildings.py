import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from camseek.datasets import read_dataset
from camseek.datasets.buildings import PARIS_CORRUPT
from camseek.errors import GroundTruthError


@pytest.fixture
def oxford(tmp_path: Path, miniatures: Any) -> Path:
    return miniatures.oxford(tmp_path)


def names(*stems: str) -> frozenset[bytes]:
    return frozenset(f"{stem}.jpg".encode() for stem in stems)


def test_oxford(oxford: Path) -> None:
    truth = read_dataset("oxford5k", oxford)
    assert (truth.name, truth.ap_form, truth.query_in_database) == ("oxford5k", "trapezoid", "listed")
    assert truth.setups == ()
    assert truth.path == os.fsencode(oxford / "gt_files_170407")
    assert truth.database == os.fsencode(oxford / "jpg")
    assert truth.files is not None
    assert len(truth.files) == 26
    assert list(truth.files) == sorted(truth.files)
    assert [query.id for query in truth.queries] == [
        f"{landmark}_{number}"
        for landmark in ("all_souls", "bodleian", "radcliffe_camera")
        for number in (1, 2, 3)
    ]
    query = truth.queries[4]
    assert query.image == os.fsencode(oxford / "jpg" / "bodleian_000001.jpg")
    assert query.own == b"bodleian_000001.jpg"
    assert query.good == names(*(f"bodleian_{number:06}" for number in range(4)))
    assert query.ok == names("bodleian_000004", "bodleian_000005")
    assert query.junk == names("bodleian_000006")
    # The query's own picture is in the database and one of the positives.
    assert query.own in truth.labels(query).positives


@pytest.mark.parametrize(
    ("sides", "box"),
    [
        ("20.4 16.4 103.4 91.7", (20, 16, 104, 92)),
        ("20 16 103 91", (20, 16, 103, 91)),
        # The official files hold boxes that reach a little outside.
        ("-3.2 -0.1 160.5 128.9", (0, 0, 160, 128)),
    ],
)
def test_boxes_are_rounded_outwards_and_clipped(
    oxford: Path, sides: str, box: tuple[int, int, int, int]
) -> None:
    (oxford / "gt_files_170407" / "bodleian_2_query.txt").write_text(f"oxc1_bodleian_000001 {sides}")
    assert read_dataset("oxford5k", oxford).queries[4].region == box


def test_folders_may_have_other_names_or_be_one(oxford: Path, tmp_path: Path) -> None:
    for file in [*(oxford / "jpg").iterdir(), *(oxford / "gt_files_170407").iterdir()]:
        file.rename(tmp_path / file.name)
    truth = read_dataset("oxford5k", tmp_path)
    assert truth.database == truth.path == os.fsencode(tmp_path)
    assert len(truth.files or ()) == 26


def test_oxford105k(oxford: Path, miniatures: Any) -> None:
    miniatures.flickr(oxford)
    truth = read_dataset("oxford105k", oxford)
    assert truth.name == "oxford105k"
    assert truth.distractors == (os.fsencode(oxford / "oxc1_100k"),)
    assert len(truth.files or ()) == 26


def test_distractors_may_lie_beside(tmp_path: Path, miniatures: Any) -> None:
    miniatures.flickr(tmp_path)
    place = miniatures.oxford(tmp_path / "oxford")
    assert read_dataset("oxford105k", place).distractors == (os.fsencode(tmp_path / "oxc1_100k"),)


def test_distractors_are_needed(oxford: Path) -> None:
    with pytest.raises(GroundTruthError, match="no folder of distractors"):
        read_dataset("oxford105k", oxford)


@pytest.mark.parametrize("flat", [False, True])
def test_paris(tmp_path: Path, miniatures: Any, flat: bool) -> None:
    truth = read_dataset("paris6k", miniatures.paris(tmp_path, flat=flat))
    query = truth.queries[0]
    folder = b"" if flat else b"defense/"
    assert query.own == folder + b"paris_defense_000000.jpg"
    assert os.path.isfile(query.image)
    assert query.good == {folder + b"paris_defense_%06d.jpg" % number for number in range(3)}
    # The two that are no pictures are not searched.
    assert len(truth.files or ()) == 15
    assert not any(b"000136" in name or b"000662" in name for name in truth.files or ())


def test_twenty_pictures_of_paris_are_none() -> None:
    assert len(PARIS_CORRUPT) == 20


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "all_souls_1_query.txt",
            "oxc1_all_souls_000000 1 2 3",
            "all_souls_1_query.txt, line 1: .* four sides",
        ),
        ("all_souls_1_query.txt", "", "all_souls_1_query.txt, line 1: .* four sides"),
        ("all_souls_1_query.txt", "oxc1_all_souls_000000 1 2 3 x", "line 1: '1 2 3 x' is not four numbers"),
        ("all_souls_1_query.txt", "oxc1_all_souls_000000 1 2 nan 4", "line 1: a box is four numbers"),
        ("all_souls_1_query.txt", "oxc1_all_souls_000000 9 2 5 4", "line 1: the box 9 2 5 4 is empty"),
        ("all_souls_1_query.txt", "oxc1_all_souls_000000 170 2 190 9", "outside the picture.* 160 x 128"),
        (
            "all_souls_1_query.txt",
            "oxc1_nothing 1 2 3 4",
            "nothing.jpg: missing; the query of .*_1_query.txt",
        ),
        ("all_souls_1_good.txt", "all_souls_000000\n\nnothing\n", "nothing.jpg: missing; .*good.txt, line 3"),
        ("all_souls_1_ok.txt", "all_souls_000000\n", "ok.txt, line 1: all_souls_000000 is in ok and in good"),
        ("all_souls_1_junk.txt", "a b\n", "junk.txt, line 1: 'a b' is no picture's name"),
        ("all_souls_1_junk.txt", "../a\n", "junk.txt, line 1: '../a' is no picture's name"),
    ],
)
def test_says_what_is_wrong_and_where(oxford: Path, file: str, content: str, said: str) -> None:
    (oxford / "gt_files_170407" / file).write_text(content)
    with pytest.raises(GroundTruthError, match=said) as caught:
        read_dataset("oxford5k", oxford)
    assert "check" in caught.value.remedy


def test_a_list_that_is_missing(oxford: Path) -> None:
    (oxford / "gt_files_170407" / "bodleian_1_ok.txt").unlink()
    with pytest.raises(GroundTruthError, match=r"bodleian_1_ok\.txt: missing"):
        read_dataset("oxford5k", oxford)


def test_a_damaged_query_picture(oxford: Path) -> None:
    path = oxford / "jpg" / "bodleian_000001.jpg"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(GroundTruthError, match=r"bodleian_000001\.jpg: .* cut short"):
        read_dataset("oxford5k", oxford)


def test_a_name_that_stands_twice(oxford: Path) -> None:
    (oxford / "jpg" / "more").mkdir()
    Image.new("RGB", (8, 8)).save(oxford / "jpg" / "more" / "bodleian_000001.jpg")
    with pytest.raises(GroundTruthError, match="has the same name"):
        read_dataset("oxford5k", oxford)


@pytest.mark.parametrize(
    ("gone", "said"), [("jpg", "no pictures in any"), ("gt_files_170407", "no ground truth")]
)
def test_a_folder_that_is_missing(oxford: Path, gone: str, said: str) -> None:
    for file in (oxford / gone).iterdir():
        file.unlink()
    with pytest.raises(GroundTruthError, match=said):
        read_dataset("oxford5k", oxford)
