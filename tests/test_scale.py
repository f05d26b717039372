"""The tables of docs/scale.md are what the command prints, of constants that others printed."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def scale():
    """benchmarks/scale.py."""
    spec = importlib.util.spec_from_file_location("scale", ROOT / "benchmarks/scale.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scale"]


def test_the_page_has_what_the_command_prints(scale, capsys):
    scale.main([])
    printed = capsys.readouterr().out
    assert printed.count("\n| ") > 25
    assert printed in (ROOT / "docs/scale.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("page", "row"),
    [
        (
            "benchmarks/README.md",
            "| codes of descriptors: their file, MB                |                    269 |",
        ),
        (
            "benchmarks/README.md",
            "| words: their file, GB                               |                   5.16 |",
        ),
        (
            "benchmarks/README.md",
            "| a search by descriptors, ms (of all processors, ms) |              295 (469) |",
        ),
        (
            "benchmarks/README.md",
            "| a search by words, ms (of all processors, ms)       |            705 (1,087) |",
        ),
        (
            "benchmarks/README.md",
            "| both first stages, ms                               |                  1,000 |",
        ),
        (
            "benchmarks/README.md",
            "| most memory of both meanwhile, codes included, MB   |                    377 |",
        ),
        ("benchmarks/README.md", "| verified (the default) |        618 |"),
        ("benchmarks/README.md", "| all    |      500 |                 49.9 |          88.9 |"),
        ("docs/upgrading.md", "| descriptors and sketches before | 5,648 |"),
        ("docs/upgrading.md", "| when all is made, and while what was in use before is kept | 11,433 |"),
    ],
)
def test_constants_are_of_what_was_printed(page, row):
    """Where one of these is measured anew, the constants of benchmarks/scale.py are, too."""
    assert row in (ROOT / page).read_text("utf-8")


def test_constants(scale):
    value = {name: item.value for name, item in scale.CONSTANTS.items()}
    assert value["codes"] == 269
    assert value["words"] == 5160
    assert value["own"] == 377 - 269
    assert value["first"] == pytest.approx((469 + 1087) / 1000)
    assert value["first_wall"] == 1.0
    assert value["verify_wall"] == pytest.approx(0.618, abs=0.0011)
    assert value["verify"] == 2 * value["verify_wall"]
    assert value["encode"] == pytest.approx(2 * 88.9 / 500, abs=0.001)
    assert value["encode_again"] == pytest.approx(2 * 49.9 / 500, abs=0.001)
    assert value["beside"] == 11_433 - 5_648


def test_more_of_anything_takes_more(scale):
    usual = scale.Plan(10**8, scale.Wish())
    assert scale.Plan(2 * 10**8, scale.Wish()).machines > usual.machines
    assert scale.Plan(10**8, scale.Wish(queries=10)).replicas > usual.replicas
    assert scale.Plan(10**8, scale.Wish(latency=1)).shards > usual.shards
    assert scale.Plan(10**8, scale.Wish(memory=16)).shards > usual.shards
    assert scale.Plan(10**8, scale.Wish(copies=3)).disk_month > usual.disk_month
    assert scale.Plan(1, scale.Wish()).shards == scale.Plan(1, scale.Wish()).machines == 1
    for plan in (usual, scale.Plan(1, scale.Wish())):
        assert plan.latency <= plan.wish.latency
        assert plan.each <= plan.most


@pytest.mark.parametrize(
    "wrong",
    [["--pictures", "0"], ["--latency", "0.6"], ["--load", "1.1"], ["--cores", "0"], ["--copies", "-1"]],
)
def test_what_cannot_be(scale, wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        scale.main(wrong)
    assert ended.value.code == 2
    assert "give numbers above 0" in capsys.readouterr().err
