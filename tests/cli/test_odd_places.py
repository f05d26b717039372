"""Closed standard files, a working folder that has gone, and names that a terminal could obey."""

import os
import shutil
import subprocess
import sys

import pytest

from camseek.names import name_text


@pytest.fixture
def shell(tmp_path):
    """Runs a line of the shell in which camseek is this one."""

    def run(line, **options):
        environment = {**os.environ, "C": f"{sys.executable} -m camseek"}
        options = {"cwd": tmp_path, "timeout": 120} | options
        return subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, check=False, env=environment, **options
        )

    return run


class TestStandardFiles:
    def test_stderr_is_closed(self, shell, photos, camseek):
        photos(2)
        done = shell("$C index photos --collection c 2>&- <&-")
        assert done.returncode == 0
        assert "2 added" in done.stdout
        assert shell("$C check --collection c 2>&-").stdout == "sound: 2 pictures\n"

    def test_stdout_is_closed(self, shell, photos):
        photos(1)
        done = shell("$C index photos --collection c >&-")
        assert done.returncode == 1
        assert "camseek: cannot write the output: stdout is closed" in done.stderr
        assert "Traceback" not in done.stderr
        assert shell("$C check --collection c").returncode == 0

    def test_all_are_closed_and_nothing_lands_in_a_file(self, shell, photos, tmp_path):
        photos(1)
        assert shell("$C index photos --collection c >&- 2>&- <&-").returncode == 1
        assert shell("$C explain photos/0.jpg --report r.png >&- 2>&- <&-").returncode == 1
        assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
        assert shell("$C check --collection c").returncode == 0


def test_the_working_folder_has_gone(shell, photos, tmp_path):
    photos(1)
    assert shell("$C index photos --collection c").returncode == 0
    gone = f"mkdir gone && cd gone && rmdir ../gone && $C index a --collection {tmp_path}/c"
    done = shell(gone)
    assert done.returncode == 1
    assert "camseek: the working folder has gone; go to a folder that is there" in done.stderr
    assert "Traceback" not in done.stderr
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)
    assert (
        shell(f"mkdir gone && cd gone && rmdir ../gone && $C check --collection {tmp_path}/c").returncode == 0
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"a b", "a b"),
        ("ü".encode(), "ü"),
        ("a\u3000b\u202fc".encode(), "a\u3000b\u202fc"),
        (b"\xff", r"\xff"),
        (rb"\xff", r"\\xff"),
        (b"\x1b[31m", r"\u001b[31m"),
        (b"new\nline", r"new\u000aline"),
        ("\u0085".encode(), r"\u0085"),
        ("\u202egnp.exe".encode(), r"\u202egnp.exe"),
        ("\U000e0001".encode(), r"\U000e0001"),
    ],
)
def test_names_are_told_to_the_byte(name, text):
    assert name_text(name) == text


def test_no_verb_prints_a_command_of_the_terminal(photos, text, collection):
    names = ["\x1b[2J.jpg", "\u202egpj.jpg", "\u009b31m.jpg", os.fsdecode(b"\xff\x1b.jpg")]
    folder = photos(names)
    (folder / "\x1b]0;owned\x07.jpg").write_text("no picture")
    told = [text("index", folder, "--collection", collection)]
    told += [text("search", folder / names[0], "--collection", collection)]
    told += [text("info", "--collection", collection), text("remove", folder, "--collection", collection)]
    told += [text("info", "--collection", f"{collection}\x1b[2J", code=1)]
    for one in told:
        assert not [char for char in one.out + one.err if not char.isprintable() and char != "\n"]
    assert r"\xff\u001b.jpg" in told[1].out
