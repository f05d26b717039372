"""The developers' tools."""

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def check(monkeypatch):
    """``tools/check.py``, which finds this checkout's source."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    spec = importlib.util.spec_from_file_location("check", ROOT / "tools" / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_another_copy_is_not_tested(check, monkeypatch, tmp_path):
    check.require_own_source()
    other = tmp_path / "camseek"
    other.mkdir()
    (other / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"the tests would run .*camseek.*pip install --editable"):
        check.require_own_source()


def test_no_copy_is_not_tested_either(check, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(SystemExit, match="no camseek at all"):
        check.require_own_source()


def test_the_quick_tests_are_there(check):
    assert [place for place in check.QUICK if not (ROOT / place).exists()] == []


class _Runs:
    """Stands in for what starts processes."""

    def __init__(self, monkeypatch, failing=None):
        self.commands, self.terminated, self._failing = [], 0, failing
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setattr(subprocess, "Popen", self.start)

    def run(self, command, **options):
        self.commands.append(command)
        failed = Path(command[0]).name == self._failing
        return subprocess.CompletedProcess(command, int(failed), "what is wrong\n" * failed, "")

    def start(self, command, **options):
        self.commands.append(command)
        return self

    def wait(self):
        return int(self._failing == "pytest")

    def terminate(self):
        self.terminated += 1


@pytest.mark.parametrize("arguments", [["--quick", "-x"], ["-x"]])
def test_what_is_run(check, monkeypatch, arguments):
    monkeypatch.setattr(check, "require_own_source", lambda: None)
    monkeypatch.setattr(sys, "argv", ["check.py", *arguments])
    runs = _Runs(monkeypatch)
    assert check.main() == 0
    tests, *others = runs.commands
    checks = ["ruff", "ruff", "pyright", "lint-imports", *([] if "--quick" in arguments else ["mkdocs"])]
    assert [Path(command[0]).name for command in others] == checks
    quick = list(check.QUICK) if "--quick" in arguments else []
    assert tests == [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *quick, "-x"]


@pytest.mark.parametrize("failing", ["ruff", "pyright", "lint-imports", "mkdocs", "pytest"])
def test_whatever_fails_is_told_and_ends_all(check, monkeypatch, capsys, failing):
    monkeypatch.setattr(check, "require_own_source", lambda: None)
    monkeypatch.setattr(sys, "argv", ["check.py"])
    runs = _Runs(monkeypatch, failing)
    assert check.main() == 1
    assert runs.terminated
    assert ("what is wrong" in capsys.readouterr().out) == (failing != "pytest")


def test_the_hooks_run_what_is_pinned():
    """Nothing is fetched, and nothing is run that the dev extra does not bring."""
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert "repo: local" in text
    assert text.count("repo:") == 1
    with open(ROOT / "pyproject.toml", "rb") as file:
        extra = " ".join(tomllib.load(file)["project"]["optional-dependencies"]["dev"])
    entries = [line.split("entry:")[1].split()[0] for line in text.splitlines() if "entry:" in line]
    packages = {"ruff": "ruff==", "pyright": "pyright[nodejs]==", "lint-imports": "import-linter=="}
    assert set(entries) == set(packages)
    assert all(package in extra for package in packages.values())
    assert text.count("language: system") == len(entries)
