"""Calls in a process with limits."""

import sys

import pytest

from camseek.errors import ModelError
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
def test_what_does_not_come_back(function: str, arguments: dict, reason: str, said: str) -> None:
    with pytest.raises(LimitError, match=said) as caught:
        call(function, arguments, seconds=1, memory=10**9)
    assert caught.value.reason == reason


def test_a_program_that_is_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.delenv("CAMSEEK_PYTHON", raising=False)
    with pytest.raises(LimitError, match="CAMSEEK_PYTHON") as caught:
        call("json:loads", {"s": "1"}, seconds=1, memory=10**9)
    assert caught.value.reason == "start"
    monkeypatch.setenv("CAMSEEK_PYTHON", sys.executable)
    assert call("json:loads", {"s": "1"}, seconds=60, memory=10**9) == 1
