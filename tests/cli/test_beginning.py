"""Interrupts while the program is still being loaded."""

import json
import subprocess
import sys

import pytest

# The program is interrupted when it comes to load a module.
PROGRAM = """
import importlib.abc, os, signal, sys

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(100000):
                pass

sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, HANDLER)
from camseek.__main__ import main
main()
"""


def run(module, *arguments, handler="signal.default_int_handler"):
    program = PROGRAM.replace("MODULE", repr(module)).replace("HANDLER", handler)
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("module", ["camseek.cli", "click", "camseek.cli.upgrade"])
def test_an_interrupt_is_told_in_words_from_the_beginning_on(module):
    told = run(module, "token", "--help")
    assert (told.returncode, told.stdout) == (130, "")
    assert told.stderr == "camseek: interrupted; nothing was written\n"


def test_programs_are_told_too():
    told = run("camseek.cli.app", "info", "none.camseek", "--json")
    assert told.returncode == 130
    assert json.loads(told.stdout)["error"]["code"] == "interrupted"


def test_where_interrupts_are_ignored_they_stay_so():
    told = run("click", "--version", handler="signal.SIG_IGN")
    assert (told.returncode, told.stderr) == (0, "")


def test_a_verb_that_loads_more_is_interrupted_as_always():
    told = run("camseek.service.tokens", "token", "anna", "--token-file", "none")
    assert told.returncode == 130
    assert "camseek: interrupted; nothing was written" in told.stderr
