"""Every command and every line of Python in the README runs as written, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
# Python stands between tildes: continuous integration counts the other fences.
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
HIT = re.compile(r"^ *(\d+) +-?\d+\.\d+ .*?(/\S+)$", re.M)
SETUP, TESTS = (body for language, body in BLOCKS[:2] if language == "sh")
COMMANDS = [body for language, body in BLOCKS[2:] if language == "sh"]
PYTHON = re.findall(r"^~~~python\n(.*?)^~~~$", README, re.M | re.S)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the checkout, a repository of its own, in which the first block has run."""
    target = tmp_path_factory.mktemp("readme") / "camseek"
    lines = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    ignored = (line.strip("/") for line in lines if line and not line.startswith("#"))
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(".git", *ignored))
    git(target, "init", "--quiet")
    git(target, "add", "--all")
    git(target, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "all")
    result = run(SETUP, target, os.environ["PATH"])
    assert result.returncode == 0, result.stdout + result.stderr
    (target / ".venv" / "setup.out").write_text(result.stdout + result.stderr)
    return target


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def run(block, folder, path):
    # Not the environment under test: what the block installs is what it uses.
    # What is imported is compiled all the same; what is not would take half of the time of installing.
    environment = {**os.environ, "PATH": path, "PIP_NO_COMPILE": "1"}
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
    said = (copy / ".venv" / "setup.out").read_text()
    [report] = re.findall(r"^report: (.*)$", said, re.M)
    assert Path(report).parent == copy
    page = Path(report).read_text("utf-8")
    assert page.startswith("<!doctype html>")
    hits = HIT.findall(said)
    assert [int(rank) for rank, _ in hits] == [*range(1, 6), *range(1, 8)]
    # The region shows a carton of soya drink; seven pictures of the collection show bananas.
    assert all("Alpro-Fresh-Soy-Milk" in path for _, path in hits[:5])
    assert all("Banana" in path for _, path in hits[5:])


def test_the_second_block_is_what_continuous_integration_runs():
    ci = (ROOT / ".ci/run").read_text("utf-8")
    assert "awk '/^```/ { n++; next } n == 3' README.md" in ci
    assert "tools/check.py" in TESTS


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_the_other_commands(copy, number):
    said = run_installed(COMMANDS[number], copy)
    assert said
    if "Cabbage.jpg" in COMMANDS[number]:
        # An example that does not answer well is no advertisement.
        assert all("Cabbage" in path for _, path in HIT.findall(said)[:7])


def test_the_lines_of_python(copy):
    assert PYTHON
    for number, block in enumerate(PYTHON):
        script = copy / ".venv" / f"block{number}.py"
        script.write_text(block)
        said = run_installed(f"python {script}", copy)
        assert said.count("Alpro-Fresh-Soy-Milk") == 5
        assert "0 new; 70 pictures in all" in said


def test_the_page_for_python(copy):
    """Its blocks go on from each other."""
    page = (ROOT / "docs/python.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S))
    (copy / ".venv" / "page.py").write_text(code)
    said = run_installed("python .venv/page.py", copy)
    assert re.search(r"^1 \d+\.\d+ camseek:banana", said, re.M)
    assert "no query: " in said


def test_the_tutorial_in_a_notebook(copy):
    page = (ROOT / "docs/tutorials/researcher.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S))
    (copy / ".venv" / "tutorial.py").write_text(code)
    said = run_installed("python .venv/tutorial.py", copy)
    assert "1 present" in said
    assert "['joined', 'late interaction', 'verification']" in said
    assert re.search(r"^gem 0\.\d+$", said, re.M)


def test_nothing_is_left_behind(copy):
    """What all of these made is known to .gitignore."""
    assert git(copy, "status", "--porcelain") == ""


def test_every_verb_is_documented():
    from camseek.cli.app import camseek

    pages = "".join((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/guide.md"))
    for verb in camseek.commands:
        assert f"camseek {verb}" in pages


def test_the_demo_pictures_are_small_and_licensed():
    demo = ROOT / "examples/groceries"
    assert sum(path.stat().st_size for path in demo.rglob("*") if path.is_file()) <= 3_000_000
    assert "MIT License" in (demo / "LICENSE").read_text("utf-8")
