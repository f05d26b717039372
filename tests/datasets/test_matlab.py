import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from camseek.datasets.matlab import read_matlab
from camseek.errors import GroundTruthError


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


@pytest.mark.parametrize("content", [b"", b"<html>", bytes(200), b"\x89HDF\r\n" + bytes(200)])
def test_what_is_no_mat_file(content: bytes) -> None:
    with pytest.raises(GroundTruthError, match=r"/gnd\.mat: it is no sound MAT-file"):
        read(content)


def test_what_is_not_read() -> None:
    from scipy.sparse import csc_matrix

    with pytest.raises(GroundTruthError, match="class 5"):
        read(saved({"x": csc_matrix(np.eye(3))}))
