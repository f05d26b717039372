"""Every command and every line of Python in the README runs as written, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
SETUP, TESTS = (body for language, body in BLOCKS[:2] if language == "sh")
COMMANDS = [body for language, body in BLOCKS[2:] if language == "sh"]
PYTHON = [body for language, body in BLOCKS if language == "python"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the checkout in which the first block has run."""
    target = tmp_path_factory.mktemp("readme") / "camseek"
    shutil.copytree(
        ROOT, target, ignore=shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "*.camseek")
    )
    result = run(SETUP, target, os.environ["PATH"])
    assert result.returncode == 0, result.stdout + result.stderr
    (target / "setup.out").write_text(result.stdout + result.stderr)
    return target


def run(block, folder, path):
    # Not the environment under test: what the block installs is what it uses.
    environment = {**os.environ, "PATH": path}
    environment.pop("PYTHONPATH", None)
    command = ["bash", "-euo", "pipefail", "-c", block]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def run_installed(block, copy):
    result = run(block, copy, f"{copy / '.venv/bin'}{os.pathsep}{os.environ['PATH']}")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_first_block_sets_up_searches_and_says_where_the_report_lies(copy):
    said = (copy / "setup.out").read_text()
    [report] = re.findall(r"^report: (.*)$", said, re.M)
    assert Path(report).parent == copy
    page = Path(report).read_text("utf-8")
    assert page.startswith("<!doctype html>")
    hits = re.findall(r"^ *(\d+) +(-?\d\.\d+) +(/\S+)$", said, re.M)
    assert [int(rank) for rank, _, _ in hits] == list(range(1, len(hits) + 1))
    # The region shows a carton of soya drink.
    assert all("Alpro-Fresh-Soy-Milk" in path for _, _, path in hits[:5])


def test_the_second_block_is_what_continuous_integration_runs():
    ci = (ROOT / ".ci/run").read_text("utf-8")
    assert "awk '/^```/ { n++; next } n == 3' README.md" in ci
    assert "tools/check.py" in TESTS


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_the_other_commands(copy, number):
    assert run_installed(COMMANDS[number], copy)


def test_the_lines_of_python(copy):
    assert PYTHON
    for number, block in enumerate(PYTHON):
        script = copy / f"block{number}.py"
        script.write_text(block)
        said = run_installed(f"python {script}", copy)
        assert "Alpro-Fresh-Soy-Milk" in said


def test_the_page_for_python(copy):
    """Its blocks go on from each other."""
    page = (ROOT / "docs/python.md").read_text("utf-8")
    (copy / "page.py").write_text("\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)))
    said = run_installed("python page.py", copy)
    assert "1 1.0 camseek:banana" in said
    assert "no query: " in said


def test_every_verb_is_documented():
    from camseek.cli.app import camseek

    pages = "".join((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/guide.md"))
    for verb in camseek.commands:
        assert f"camseek {verb}" in pages


def test_the_demo_pictures_are_small_and_licensed():
    demo = ROOT / "examples/groceries"
    assert sum(path.stat().st_size for path in demo.rglob("*") if path.is_file()) <= 3_000_000
    assert "MIT License" in (demo / "LICENSE").read_text("utf-8")
