import json
import os
from pathlib import Path
from typing import Any

import pytest

NAMES = ("oxford5k", "paris6k", "roxford5k+r1m", "holidays", "ukbench", "instre")


@pytest.mark.parametrize("words", [("datasets",), ("datasets", "list")])
def test_list(camseek: Any, text: Any, words: tuple[str, ...]) -> None:
    told = camseek(*words)
    assert set(NAMES) < {item["name"] for item in told["datasets"]}
    out = text(*words).out
    assert all(f"\n{name} " in out for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_show(camseek: Any, text: Any, name: str) -> None:
    told = camseek("datasets", "show", name)
    assert told["name"] == name
    out = text("datasets", "show", name).out
    for part in (
        *told["pages"],
        *told["downloads"],
        f"camseek evaluate {name}=FOLDER",
        f"{told['queries']:,} queries",
    ):
        assert part in out
    assert max(map(len, out.splitlines())) < 120


def test_check(text: Any, tmp_path: Path, miniatures: Any) -> None:
    miniatures.paris(tmp_path)
    broken = tmp_path / "paris" / "louvre" / "paris_louvre_000003.jpg"
    broken.write_bytes(broken.read_bytes()[:500])
    told = text("datasets", "check", "paris6k", tmp_path, "--json", code=1).json
    assert not told["sound"]
    assert (told["pictures"], told["queries"], len(told["known"])) == (14, 9, 2)
    faults = {os.path.basename(fault["path"]): fault["code"] for fault in told["faults"]}
    assert faults == {"paris_louvre_000003.jpg": "damaged", "paris": "count", "gt_files_120310": "count"}
    done = text("datasets", "check", "paris6k", tmp_path, code=1)
    assert str(broken) in done.out
    assert "3 faults: 14 pictures, 9 queries" in done.out
    assert "paris_triomphe_000662.jpg: no picture in any copy" in done.err
    assert "15 pictures to read" in done.err


def test_a_whole_set_ends_with_0(
    camseek: Any, text: Any, tmp_path: Path, miniatures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from camseek.datasets import registry

    small = replace(registry.dataset("holidays"), pictures=11, queries=4)
    monkeypatch.setitem(registry._ALL, "holidays", small)
    assert camseek("datasets", "check", "holidays", miniatures.holidays(tmp_path))["sound"]
    done = text("datasets", "check", "holidays", tmp_path)
    assert done.out == "whole: 11 pictures, 4 queries\n"


@pytest.mark.parametrize(
    "words", [("show", "oxford"), ("check", "oxford", "."), ("check", "oxford5k", "/nowhere")]
)
def test_what_is_not_there(failing: Any, words: tuple[str, ...]) -> None:
    assert failing("datasets", *words)["code"] == "ground_truth"


@pytest.mark.parametrize("words", [("find",), ("show",), ("check", "oxford5k"), ("show", "")])
def test_wrong_usage(failing: Any, words: tuple[str, ...]) -> None:
    assert failing("datasets", *words, code=2)["code"] == "usage"


def test_a_ground_truth_of_one_s_own(text: Any, camseek: Any, tmp_path: Path, photos: Any) -> None:
    photos(3)
    good = ["0.jpg", "1.jpg"]
    queries: list[Any] = [{"id": name, "image": f"photos/{name}", "good": good} for name in good]
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"database": "photos", "queries": queries}))
    assert text("datasets", "check", truth).out == "whole: 3 pictures, 2 queries\n"
    assert camseek("evaluate", truth)["doubts"] == []
    queries[0]["good"] = []
    truth.write_text(json.dumps({"database": "photos", "queries": queries}))
    assert "1 of 2 queries ('0.jpg') has no positives: counted" in text("evaluate", truth).err
    queries[1]["good"] = []
    truth.write_text(json.dumps({"database": "photos", "queries": queries}))
    done = text("datasets", "check", truth)
    assert "doubtful: no query has positives: nothing can be measured" in done.err
    assert camseek("datasets", "check", truth)["doubts"] == [
        "no query has positives: nothing can be measured"
    ]
    assert "no query has a positive" in text("evaluate", truth, code=1).err
    assert "or a ground-truth file" in text("datasets", "check", "roxford5k", code=2).err
