"""Files that are read whole."""

import os
from pathlib import Path

import pytest

from camseek.files import IrregularFileError, LargeFileError, open_regular, read_regular, reason_of


def test_a_file_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == read_regular(os.fsencode(path), 9) == b"12345"
    with pytest.raises(LargeFileError) as caught:
        read_regular(path, 4)
    assert reason_of(caught.value) == "it has more than 4 bytes"


def test_a_hole_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(LargeFileError):
        read_regular(path, 1_000_000)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs Linux's /proc")
def test_a_file_that_hides_its_size() -> None:
    with pytest.raises(LargeFileError):
        read_regular("/proc/self/maps", 10)


@pytest.mark.parametrize(
    ("make", "what"), [(os.mkfifo, "a named pipe"), (os.mkdir, "a folder")], ids=["pipe", "folder"]
)
def test_what_is_no_file_never_blocks(tmp_path: Path, make: object, what: str) -> None:
    path = tmp_path / "thing"
    make(path)  # type: ignore[operator]
    with pytest.raises(IrregularFileError, match=f"it is {what}, not a file"):
        open_regular(path)


def test_a_device_is_no_file() -> None:
    with pytest.raises(IrregularFileError, match="a device"):
        read_regular("/dev/zero", 10)
