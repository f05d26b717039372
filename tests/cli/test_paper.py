"""``camseek paper`` on small sets in the official forms of Oxford5k and Paris6k."""

import json

import pytest

SMALL = ("--size", "96", "--layer", "head", "--dimensions", "8")


@pytest.fixture(scope="module")
def data(tmp_path_factory, miniatures):
    folder = tmp_path_factory.mktemp("data")
    miniatures.oxford(folder / "oxford5k")
    miniatures.paris(folder / "paris6k")
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(autouse=True)
def _no_imported_models(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))


def test_three_columns_a_set(data, work, text):
    told = text("paper", "--data", data, "--table", "1a", "--work", work, *SMALL)
    lines = told.out.splitlines()
    assert lines[0].startswith("Table 1a: ")
    assert lines[2].count("difference") == 4
    [absent] = [line for line in lines if line.startswith("VGG-16 ") and "64 CAMs  " in line]
    # The paper's number, and nothing invented for a network that is not there.
    assert absent.split()[-12:] == [
        "0.712",
        "-",
        "-",
        "0.805",
        "-",
        "-",
        "0.672",
        "-",
        "-",
        "0.733",
        "-",
        "-",
    ]
    # The paper's numbers are no measure of another network.
    ours = [line for line in lines if line.startswith("efficientnet-lite0 head ") and "64 CAMs  " in line]
    paper, mean, difference = ours[0].split()[-12:-9]
    assert (paper, difference) == ("-", "-")
    assert 0 < float(mean) <= 1
    assert (absent.split()[-13], ours[0].split()[-13]) == ("512", "8")
    assert "  VGG-16: no model of the name vgg16-cam; camseek model import makes one" in lines
    assert any(line.startswith("  Oxford105k: ") for line in lines)
    assert "not there: Oxford105k" in told.err
    assert "cells kept from earlier" in told.err


def test_json_and_resuming(data, work, camseek, text):
    text("paper", "--data", data, "--table", "1a", "--work", work, *SMALL)
    told = camseek("paper", "--data", data, "--table", "1a", "--work", work, *SMALL)
    assert (told["measured"], told["kept"]) == (0, 12)
    assert [table["table"] for table in told["tables"]] == ["1a"]
    assert told["ap_form"] == "trapezoid"


def test_own_sets_in_markdown(data, work, text):
    given = ("--truth", f"oxford5k={data / 'oxford5k'}", "--truth", f"paris6k={data / 'paris6k'}")
    told = text("paper", *given, "--table", "1b", "--markdown", "--work", work, *SMALL)
    lines = told.out.splitlines()
    heading = next(line for line in lines if line.startswith("| network "))
    assert heading == (
        "| network | setting | Dim | paper s | ours s | of a pass | Oxford5k, paper | Paris6k, paper "
        "| oxford5k | paris6k |"
    )
    rows = [line for line in lines if line.startswith("| efficientnet-lite0 head | 64 CAMs |")]
    assert len(rows) == 1
    assert rows[0].startswith("| efficientnet-lite0 head | 64 CAMs | 8 | - | 0.")
    assert any(line.startswith("| VGG-16 | 64 CAMs | 512 | 1.5 | - | - | 0.712 |") for line in lines)
    assert any(line.startswith("- oxford5k: whitening fitted on ") for line in lines)
    assert "of paris6k, 8 dimensions." in told.out


def test_figures(data, work, tmp_path, camseek, failing, text):
    out = tmp_path / "figures"
    arguments = ("paper", "--data", data, "--figure", "5a", "--figure", "5b", "--out", out, "--work", work)
    told = camseek(*arguments, *SMALL)
    assert told["tables"] == []
    assert len(told["files"]) == 2
    files = sorted(path.name for path in out.iterdir())
    assert files == [
        "figure5a-efficientnet-lite0-paris6k.svg",
        "figure5b-efficientnet-lite0-head-oxford5k.svg",
    ]
    [panel] = told["figures"][1]["panels"].values()
    assert [line["line"] for line in panel] == [f"N_pca {count}" for count in (1, 16, 32, 48, 64)]
    assert [len(line["points"]) for line in panel] == [17] * 5
    assert all((out / name).read_text().startswith("<svg") for name in files)
    error = failing(*arguments, *SMALL)
    assert error["message"] == f"{out / files[0]} is there already"
    said = text(*arguments, *SMALL, "--force")
    assert "Figure 5a: classes of the queries of Paris6k, efficientnet-lite0" in said.out
    assert "vault" in said.out
    assert "(9 queries)" in said.out
    assert sum(line.startswith("N_pca ") for line in said.out.splitlines()) == 5


def test_wrong_usage(failing, tmp_path, data):
    assert "--data" in failing("paper", code=2)["message"]
    assert "--out" in failing("paper", "--data", data, "--figure", "4", code=2)["message"]
    failing("paper", "--data", data, "--table", "3", code=2)
    assert failing("paper", "--truth", tmp_path / "none.json")["code"] == "ground_truth"
    assert failing("paper", "--data", data, "--model", "nowhere")["code"] == "model"
    (tmp_path / "file").write_text("")
    out = ("--figure", "5a", "--out", tmp_path / "file" / "below")
    assert failing("paper", "--data", data, *out)["code"] == "output"


def test_without_any_set_the_papers_numbers_stand_alone(tmp_path, text, work):
    told = text("paper", "--data", tmp_path, "--work", work, "--json")
    tables = json.loads(told.out)["tables"]
    assert [table["table"] for table in tables] == ["1a", "1b", "2a", "2b"]
    numbers = [number for table in tables for row in table["rows"] for number in row["numbers"].values()]
    assert all(number["ours"] is None and number["difference"] is None for number in numbers)
    assert sum(number["paper"] is not None for number in numbers) > 60
    assert told.json["missing"][0].startswith("Oxford5k: ")
