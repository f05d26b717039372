import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from camseek.datasets.matlab import read_matlab
from camseek.errors import DamagedTruthError, GroundTruthError, UnsupportedTruthError


def saved(data: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, data, **options)
    return file.getvalue()


def read(content: bytes) -> Any:
    return read_matlab(content, b"/gnd.mat")


CONTENT: dict[str, Any] = {
    "imlist": np.array([["all_souls_000001", "a", ""]], object),
    "gnd": np.array(
        [[(np.array([[1, 2]], np.uint16), np.array([[1.5, 2, 3, 4]])), (np.empty((0, 0)), np.ones((1, 4)))]],
        dtype=[("ok", object), ("bbx", object)],
    ),
    "title": "Größe",
    "numbers": np.arange(6, dtype=np.int32).reshape(2, 3),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_texts_numbers_cells_and_structures(compressed: bool) -> None:
    told = read(saved(CONTENT, do_compression=compressed))
    assert told == {
        "imlist": ["all_souls_000001", "a", ""],
        "gnd": [{"ok": [1, 2], "bbx": [1.5, 2, 3, 4]}, {"ok": [], "bbx": [1, 1, 1, 1]}],
        "title": "Größe",
        "numbers": [0, 3, 1, 4, 2, 5],  # column by column
    }


@pytest.mark.parametrize("kind", "bBhHiIlLfd")
def test_every_number_s_type(kind: str) -> None:
    assert read(saved({"x": np.array([[1, 2, 3]], kind)}))["x"] == [1, 2, 3]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_cut_short(compressed: bool) -> None:
    content = saved(CONTENT, do_compression=compressed)
    whole = read(content)
    for length in range(0, len(content), 7):
        with contextlib.suppress(GroundTruthError):
            assert read(content[:length]) != whole  # between two variables the cut cannot be seen


@given(st.integers(128, 10_000), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(place: int, value: int) -> None:
    content = bytearray(saved({"gnd": CONTENT["gnd"]}))
    content[128 + place % (len(content) - 128)] = value
    with contextlib.suppress(GroundTruthError):
        read(bytes(content))


@pytest.mark.parametrize("content", [b"", b"<html>", bytes(200)])
def test_what_is_no_mat_file(content: bytes) -> None:
    with pytest.raises(DamagedTruthError, match=r"/gnd\.mat: damaged: it is no sound MAT-file"):
        read(content)


@pytest.mark.parametrize("start", [b"\x89HDF\r\n", b"MATLAB 7.3 MAT-file"])
def test_version_7_3_is_told_by_name(start: bytes) -> None:
    with pytest.raises(UnsupportedTruthError, match=r"not supported: it is a MAT-file of version 7\.3"):
        read(start + bytes(200))


def test_what_is_not_read() -> None:
    from scipy.sparse import csc_matrix

    with pytest.raises(UnsupportedTruthError, match="not supported: it holds a sparse matrix"):
        read(saved({"x": csc_matrix(np.eye(3))}))


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, sides: list[int], *rest: bytes, name: bytes = b"x") -> bytes:
    """A variable of a class and a shape, whatever follows."""
    flags = element(6, struct.pack("<II", kind, 0))
    shape = element(5, struct.pack(f"<{len(sides)}i", *sides))
    return element(14, b"".join([flags, shape, element(1, name), *rest]))


def file_of(*variables: bytes) -> bytes:
    return saved({})[:128] + b"".join(variables)


def compressed(variable: bytes) -> bytes:
    data = zlib.compress(variable, 9)
    return struct.pack("<II", 15, len(data)) + data


def cells_within_cells(depth: int) -> bytes:
    inner = matrix(6, [1, 1], element(9, bytes(8)), name=b"")
    for _ in range(depth):
        inner = matrix(1, [1, 1], inner, name=b"")
    return inner


HOSTILE = {
    "one bomb": (compressed(matrix(6, [9_000_000, 1], element(9, bytes(72_000_000)))), "bytes"),
    "many bombs": (compressed(matrix(4, [1, 1], element(16, bytes(2_000_000)))) * 30, "32,000,000 bytes"),
    "many numbers": (matrix(6, [600_000, 1], element(2, bytes(600_000))), "500,000 values"),
    "many empty cells": (matrix(1, [600_000, 1], element(14, b"") * 600_000), "500,000 values"),
    "many empty variables": (element(14, b"") * 600_000, "500,000 values"),
    "structures without fields": (
        matrix(2, [600_000, 1], element(5, bytes([4, 0, 0, 0])), element(1, b""), bytes(600_000)),
        "500,000 values",
    ),
    "a long text": (matrix(4, [1, 1], element(16, b"a" * 15_000_000)) * 3, "500,000 values"),
    "deep": (cells_within_cells(200), "64 levels"),
    "an absurd shape": (matrix(1, [2**31 - 1] * 32, element(14, b"")), "cut short"),
    "a shape without end": (matrix(1, [2] * 100_000, element(14, b"")), "flags or sides"),
    "a negative shape": (matrix(1, [-1, 1], element(14, b"")), "sides"),
    "a structure's field names without length": (
        matrix(2, [1, 1], element(5, bytes(4)), element(1, b"abc")),
        "no length",
    ),
    "characters beyond Unicode": (matrix(4, [1, 1], element(18, b"\xff" * 8)), "no sound MAT-file"),
}


@pytest.mark.parametrize(("variables", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_what_would_unfold_is_refused_before_it_does(variables: bytes, reason: str) -> None:
    with pytest.raises(GroundTruthError, match=reason):
        read(file_of(variables))


def test_cells_within_cells_as_deep_as_is_read() -> None:
    value = read(file_of(cells_within_cells(20)))[""]
    for _ in range(20):
        (value,) = value
    assert value == [0.0]
