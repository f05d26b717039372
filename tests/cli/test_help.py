"""What the program says of itself: verbs by task, examples that work, what was meant, completion."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from camseek.cli.app import camseek as program
from camseek.cli.examples import EXAMPLES, TASKS


def _verbs(group, *before):
    for name, command in group.commands.items():
        yield " ".join((*before, name))
        if isinstance(command, click.Group):
            yield from _verbs(command, *before, name)


VERBS = list(_verbs(program))


def test_every_verb_has_a_task():
    assert sorted(verb for verbs in TASKS.values() for verb in verbs) == sorted(program.commands)


def test_every_verb_has_two_examples():
    assert sorted(EXAMPLES) == sorted(VERBS)
    assert {verb: lines for verb, lines in EXAMPLES.items() if len(lines) != 2} == {}


@pytest.mark.parametrize(
    ("verb", "line"), [(verb, line) for verb, lines in EXAMPLES.items() for line in lines]
)
def test_examples_are_understood(verb, line, text):
    context = program.make_context("camseek", [*verb.split(), *shlex.split(line)])
    while isinstance(context.command, click.Group) and (rest := [*context._protected_args, *context.args]):
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    assert context.command_path.startswith(f"camseek {verb}")
    assert f"    camseek {verb} {line}".rstrip() in text(*verb.split(), "--help").out.splitlines()


def test_examples_work(tmp_path, photos, encoded, text, monkeypatch, milvus):
    """Those of finding and keeping, in a folder that has what they name, one after the other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMSEEK_COLLECTION", str(tmp_path / "my.camseek"))
    (photos(["a.jpg", "b.jpg", "2019/c.jpg", "thumbs/d.jpg"]) / "e.png").write_bytes(encoded(9, format="PNG"))
    photos(3, "held-out")
    photos(2, "paintings")
    Path("photo.jpg").write_bytes(encoded(1, (400, 400)))
    keep = [verb for verb in TASKS["Keep a collection"] if verb != "remove"]
    find = [verb for verb in TASKS["Find"] if verb != "open"]  # it ends when it is told to
    for verb in [*keep, *find, "classes", "fit", "remove"]:
        for line in EXAMPLES[verb]:
            # The tests' server has another port than the example, which names the usual one.
            here = line.replace("milvus://127.0.0.1:19530/museum", milvus)
            words = [found for word in shlex.split(here) for found in _as_a_shell(word)]
            told = text(verb, *words)
            assert told.out or verb == "duplicates", (verb, line)
    assert Path("hits.html").stat().st_size > 1000


def _as_a_shell(word):
    return sorted(map(str, Path().glob(word))) if "/*" in word else [word]


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_nothing_is_cut_off_at_80_columns(verb, text, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    told = text(*verb.split(), "--help").out
    for line in told.splitlines():
        assert len(line) <= 80, line
        assert line.startswith("Usage:") or not line.endswith("..."), line
    assert "RANGE" not in told


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("serch", "a.jpg"), "'search'"),
        (("search", "a.jpg", "--colection", "c"), "'--collection'"),
        (("model", "imprt", "a.onnx"), "Did you mean 'import'?"),
        (("index", ".", "--collection", "c", "--encoding", "Gme"), "did you mean gem?"),
        (("index", ".", "--collection", "c", "--encoding", "gem:powr=2"), "did you mean power?"),
        (("index", ".", "--collection", "c", "--encoding", "gem:prior=center"), "did you mean centre?"),
    ],
)
def test_what_was_meant(arguments, meant, failing):
    error = failing(*arguments, code=2)
    assert meant in error["message"]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("datasets", "show", "Oxfrd5k"), "did you mean oxford5k?"),
        (("evaluate", "roxfrd5k=/nowhere"), "did you mean roxford5k?"),
        (("model", "show", "eficientnet-lite0"), "did you mean efficientnet-lite0?"),
        (("explain", "a.jpg", "--model", "eficientnet-lite0"), "did you mean efficientnet-lite0?"),
    ],
)
def test_what_was_meant_by_a_name(arguments, meant, failing):
    assert meant in failing(*arguments)["message"]


def test_what_was_meant_by_a_class(photos, camseek, failing, collection):
    folder = photos(1)
    camseek("index", folder, "--collection", collection)
    search = ("search", folder / "0.jpg", "--collection", collection, "--attend")
    assert "did you mean strawberry?" in failing(*search, "strawbery")["remedy"]
    assert "did you mean granny smith" in failing(*search, "grany smith")["remedy"].casefold()
    assert "explain" in failing(*search, "qqqqqqqqq")["remedy"]


def test_nothing_asked_shows_where_to_begin(text):
    told = text(code=2).err
    for line in (
        "camseek index PHOTOS --collection my.camseek",
        "camseek search PICTURE --collection my.camseek",
        "camseek search PICTURE --collection my.camseek --report hits.html",
    ):
        assert f"\n    {line}\n" in told


class TestCompletion:
    def proposed(self, *words):
        """What bash is told when the last of these words is being typed."""
        environment = os.environ | {
            "_CAMSEEK_COMPLETE": "bash_complete",
            "COMP_WORDS": shlex.join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        command = [sys.executable, "-c", "from camseek.cli import main; main()"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.split()

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (("camseek", "se"), ["plain,search", "plain,serve"]),
            (("camseek", "model", "im"), ["plain,import"]),
            (("camseek", "search", "--coll"), ["plain,--collection"]),
            (("camseek", "search", "a.jpg", "--collection", "x"), ["dir,x"]),
            (("camseek", "search", "ph"), ["file,ph"]),
            (("camseek", "index", ".", "--encoding", "c"), ["plain,crow", "plain,cam"]),
            (("camseek", "evaluate", "t.json", "--encoding", "g"), ["plain,gem"]),
            (("camseek", "datasets", "show", "ox"), ["plain,oxford5k", "plain,oxford105k"]),
            (("camseek", "search", "a", "--model", "eff"), ["plain,efficientnet-lite0", "dir,eff"]),
            (("camseek", "search", "a", "--aggregation", "on"), ["plain,online"]),
        ],
    )
    def test_what_is_proposed(self, words, expected):
        assert self.proposed(*words) == expected

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_shells_code(self, shell, tmp_path):
        """What the guide has people write into a file, read by the shell where it is there."""
        environment = os.environ | {"_CAMSEEK_COMPLETE": f"{shell}_source"}
        command = [sys.executable, "-c", "from camseek.cli import main; main()"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert "_CAMSEEK_COMPLETE" in done.stdout
        (tmp_path / "code").write_text(done.stdout)
        if shutil.which(shell) and shell != "zsh":  # zsh's is for an interactive one
            subprocess.run([shell, tmp_path / "code"], check=True, timeout=60)
