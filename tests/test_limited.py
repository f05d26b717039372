"""Calls in a process with limits."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from camseek import children, limited
from camseek.backbones.onnx_backbone import over_limit
from camseek.errors import DamagedModelError, ModelError, PictureError
from camseek.limited import LimitError, call

needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")


def test_plain_values_go_and_come() -> None:
    assert call("json:loads", {"s": '{"a": [1, null]}'}, seconds=60, memory=10**9) == {"a": [1, None]}


def test_our_errors_come_back_as_they_were() -> None:
    with pytest.raises(ModelError, match="there is no model in /nowhere") as caught:
        call("camseek.backbones.onnx_backbone:try_model", {"folder": "/nowhere"}, seconds=60, memory=10**9)
    assert type(caught.value) is ModelError
    assert caught.value.remedy


@needs_limits
@pytest.mark.parametrize(
    ("function", "arguments", "reason", "said"),
    [
        (
            "re:fullmatch",
            {"pattern": "(a+)+b", "string": "a" * 80},
            "time",
            "1 seconds of processor",
        ),
        ("builtins:bytes", {"source": 10**11}, "memory", "more than 1.0 GB of memory"),
        ("os:abort", {}, "crashed", "SIGABRT"),
        ("os:_exit", {"status": 3}, "crashed", "code 3"),
        ("json:loads", {"s": "["}, "crashed", "code 1"),
    ],
)
def test_what_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch, function: str, arguments: dict, reason: str, said: str
) -> None:
    monkeypatch.setattr(limited, "_PATIENCE", 200.0)  # however busy this machine is
    with pytest.raises(LimitError, match=said) as caught:
        call(function, arguments, seconds=1, memory=10**9)
    assert caught.value.reason == reason


def answering(monkeypatch, answer, code=0):
    """Has the process say something else than what it was asked."""
    body = f"import os\nos.read(0, 1)\nos.write(1, {answer!r})\nos._exit({code})"
    monkeypatch.setattr(limited, "_START", body)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"7",
        b"\xff",
        b"[" * 50_000,
        b"9" * 5_000,
        b'{"error": "CamseekError"}',
        b'{"error": "annotations", "message": "a", "remedy": "b"}',
        b'{"error": {"kind": "annotations", "message": "a", "remedy": "b"}}',
        b'{"error": {"kind": "Any", "message": "a", "remedy": "b"}}',
        b'{"error": {"kind": ["ModelError"], "message": "a", "remedy": "b"}}',
        b'{"error": {"kind": "ModelError", "message": 7, "remedy": "b"}}',
        b'{"error": {"kind": "ModelError", "message": "a"}}',
        b'{"memory": 1}',
    ],
)  # fmt: skip
def test_a_process_that_answers_nonsense(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    answering(monkeypatch, answer)
    with pytest.raises(LimitError, match="it answered nonsense") as caught:
        call("json:loads", {"s": "1"}, seconds=60, memory=10**9)
    assert caught.value.reason == "crashed"


def test_an_answer_counts_only_where_the_process_ended_well(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, b'{"result": 1}', code=3)
    with pytest.raises(LimitError, match="code 3"):
        call("json:loads", {"s": "1"}, seconds=60, memory=10**9)


def test_answers_are_heard_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x" * 3_000_000  # longer than what a pipe holds, both ways
    assert call("json:loads", {"s": f'"{text}"'}, seconds=60, memory=10**9) == text
    monkeypatch.setattr(limited, "_START", "import os\nwhile True: os.write(1, bytes(1 << 20))")
    with pytest.raises(LimitError, match="more than 16 MB") as caught:
        call("json:loads", {"s": "1"}, seconds=60, memory=10**9)
    assert caught.value.reason == "crashed"


def test_a_process_that_waits_for_ever() -> None:
    with pytest.raises(LimitError, match="more than 1 seconds") as caught:
        call(
            "multiprocessing.connection:wait",
            {"object_list": [], "timeout": 1000},
            seconds=0.1,
            memory=10**9,
        )
    assert caught.value.reason == "time"


@pytest.mark.skipif(os.name == "nt", reason="signals end processes otherwise there")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_a_process_that_somebody_ends_says_nothing_of_a_model(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setattr(limited, "_START", f"import os, signal\nos.kill(os.getpid(), signal.{number})")
    with pytest.raises(LimitError, match=f"ended from outside .*{number}") as caught:
        call("json:loads", {"s": "1"}, seconds=60, memory=10**9)
    assert caught.value.reason == "outside"
    error = over_limit(Path("net.onnx"), caught.value)
    assert type(error) is ModelError
    assert "cannot try net.onnx" in error.message
    assert "free some memory" in error.remedy
    crashed = over_limit(Path("net.onnx"), LimitError("crashed", "it ended its process (code 3)"))
    assert type(crashed) is DamagedModelError


@needs_limits
def test_it_goes_first_where_memory_runs_out_and_ends_with_its_caller(tmp_path: Path) -> None:
    # time.sleep takes no argument by name, and would end the process at once.
    (tmp_path / "waiting.py").write_text("import time\ndef wait(seconds): time.sleep(seconds)\n")
    program = """
        import os, sys, threading, time
        sys.path.append(sys.argv[1])
        from camseek import limited
        whole = limited.start
        def start(code):
            process = whole(code)
            print(process.pid, flush=True)
            return process
        limited.start = start
        limits = {"seconds": 600, "memory": 10**9}
        job = "waiting:wait", {"seconds": 600}
        waiting = threading.Thread(target=limited.call, args=job, kwargs=limits)
        waiting.start()
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as caller:
        try:
            assert caller.stdout
            pid = int(caller.stdout.readline())
            wait_for(lambda: Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n")
            time.sleep(0.5)
            assert not ended(pid)
        finally:
            caller.kill()
    wait_for(lambda: ended(pid))


def wait_for(there) -> None:
    for _ in range(600):
        if there():
            return
        time.sleep(0.05)
    pytest.fail("it never comes")


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMSEEK_PYTHON", str(tmp_path / "none"))
    with pytest.raises(LimitError, match="No such file") as caught:
        call("json:loads", {"s": "1"}, seconds=1, memory=10**9)
    assert caught.value.reason == "start"
    assert "allow more processes" in over_limit(Path("net.onnx"), caught.value).remedy


def test_what_the_end_of_a_process_means() -> None:
    assert [children.end_of(code) for code in (0, 1, 3, -6, -11)] == ["crashed"] * 5
    if os.name != "nt":
        assert [children.end_of(code) for code in (-27, -24)] == ["time"] * 2
        assert [children.end_of(code) for code in (-1, -3, -9, -15)] == ["outside"] * 4
        assert children.named(-9) == "signal 9, SIGKILL"
    assert children.named(3) == "code 3"


def test_errors_are_told_by_their_nearest_kind() -> None:
    class OwnError(DamagedModelError):
        pass

    told = children.told_error(OwnError("what", remedy="do"))
    assert told == {"kind": "DamagedModelError", "message": "what", "remedy": "do"}
    error = children.error_of(told, ModelError)
    assert type(error) is DamagedModelError
    assert (error.message, error.remedy) == ("what", "do")
    assert children.error_of(told, PictureError) is None


def test_a_program_that_is_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.delenv("CAMSEEK_PYTHON", raising=False)
    with pytest.raises(LimitError, match="no Python") as caught:
        call("json:loads", {"s": "1"}, seconds=1, memory=10**9)
    assert caught.value.reason == "start"
    assert "CAMSEEK_PYTHON" in caught.value.remedy
    monkeypatch.setenv("CAMSEEK_PYTHON", sys.executable)
    assert call("json:loads", {"s": "1"}, seconds=60, memory=10**9) == 1
