"""Progress on stderr: a bar on a terminal, lines elsewhere."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from camseek.cli import progress


@pytest.fixture
def variants(tmp_path, encoded):
    """A folder of pictures that look the same and are others: bytes after a JPEG's end do not count."""

    def make(count, size):
        folder = tmp_path / "photos"
        folder.mkdir()
        content = encoded(0, size)
        for number in range(count):
            (folder / f"{number}.jpg").write_bytes(content + b"%d" % number)
        return folder

    return make


def on_a_terminal(*arguments, sleeps_at):
    """Runs a command whose stderr is a terminal of 120 columns; gives exit code, stdout and stderr.

    Once it has shown a certain text it is made to sleep for a second.
    """
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    command = [sys.executable, "-m", "camseek", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, text=True) as running:
        os.close(end)
        shown, slept = b"", False
        while True:
            try:
                some = os.read(terminal, 4096)
            except OSError:  # its other end is closed
                break
            if not some:
                break
            shown += some
            if sleeps_at in shown and not slept:
                slept = True
                running.send_signal(signal.SIGSTOP)
                time.sleep(1.05)
                running.send_signal(signal.SIGCONT)
        os.close(terminal)
        out = running.stdout.read()
    return running.returncode, out, shown.decode()


def test_a_bar_with_rate_and_time_left_on_a_terminal(variants, collection):
    folder = variants(80, (320, 240))
    arguments = ("index", folder, "--collection", collection)
    code, out, shown = on_a_terminal(*arguments, sleeps_at=b" 10/80")
    assert code == 0
    assert out.startswith("80 added")
    states = re.findall(r"pictures  \[[#-]+\] +(\d+)/80(.*?)(?=\r|\x1b|$)", shown)
    done = [int(number) for number, _ in states]
    assert done == sorted(done)
    assert len(set(done)) > 10
    # The time left is known after a second.
    halfway = [rest for number, rest in states if 0 < int(number) < 80 and re.search(r"\d\d:\d\d:\d\d", rest)]
    assert halfway
    assert all(re.search(r" \d+\.\d a second", rest) for rest in halfway)
    assert "80/80" in shown
    assert "pictures to read" not in shown


def test_plain_lines_elsewhere(variants, collection, text):
    folder = variants(3, (32, 32))
    lines = text("index", folder, "--collection", collection).err.splitlines()
    assert lines[0] == "3 pictures to read"
    assert re.fullmatch(r"3 of 3 pictures, [\d.]+ a second", lines[1])
    assert len(lines) == 2


def test_a_line_now_and_then(variants, collection, text, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    folder = variants(3, (32, 32))
    lines = text("index", folder, "--collection", collection).err.splitlines()
    assert len(lines) == 4
    for number, line in enumerate(lines[1:3], 1):
        assert re.fullmatch(rf"{number} of 3 pictures, [\d.]+ a second, \d+ s left", line)
    # Of the last one it is told once.
    assert re.fullmatch(r"3 of 3 pictures, [\d.]+ a second", lines[3])


def test_stdout_is_for_the_object_alone(variants, collection, text):
    told = text("index", variants(3, (32, 32)), "--collection", collection, "--json")
    assert told.json["added"] == 3
    assert "3 pictures to read" in told.err
