"""Reading files that give less than they are asked for, and the words for files that cannot be read."""

import errno
import hashlib
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from camseek.config import Resize
from camseek.errors import NotPermittedError, UnreadableFileError
from camseek.images import decode, fingerprint, unreadable, whole_reads

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "HEIF")


class OneByte:
    """The least that a file can be: no more than a byte a time, no readinto, no close."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def read(self, size=-1):
        return self._file.read(1 if size else 0)

    def seek(self, offset, whence=0):
        self._file.seek(offset, whence)

    def tell(self):
        return self._file.tell()


@pytest.mark.parametrize("format", FORMATS)
def test_a_byte_at_a_time(samples, format):
    file = OneByte(samples[format])
    assert fingerprint(file) == hashlib.sha256(samples[format]).digest()
    found = decode(file, resize=Resize.parse("50"))
    np.testing.assert_array_equal(
        found.pixels, decode(io.BytesIO(samples[format]), resize=Resize.parse("50")).pixels
    )


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "JPEG2000"])
def test_unbuffered_files_and_members_of_archives(tmp_path, samples, format):
    (tmp_path / "picture").write_bytes(samples[format])
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "picture", "picture")
    expected = decode(io.BytesIO(samples[format]), resize=Resize.parse("50")).pixels
    with open(tmp_path / "picture", "rb", buffering=0) as file:
        np.testing.assert_array_equal(decode(file, resize=Resize.parse("50")).pixels, expected)
        assert not file.closed
    with zipfile.ZipFile(tmp_path / "archive") as archive, archive.open("picture") as file:
        np.testing.assert_array_equal(decode(file, resize=Resize.parse("50")).pixels, expected)


def test_what_gives_nothing_yet_or_too_much_is_told():
    class Waiting(OneByte):
        def read(self, size=-1):
            return None

    class Generous(OneByte):
        def read(self, size=-1):
            return bytes(size + 1)

    for kind in (Waiting, Generous):
        with pytest.raises(UnreadableFileError, match="it "):
            fingerprint(kind(b"x"))


def test_buffered_files_are_left_as_they_are(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    with open(tmp_path / "a", "rb") as file:
        assert whole_reads(file) is file


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_what_is_not_permitted_says_so(number):
    error = unreadable(OSError(number, os.strerror(number)))
    assert isinstance(error, NotPermittedError)
    assert (error.code, error.message) == ("not_permitted", "there is no permission to read it")
    assert error.remedy == "change its permissions"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.message, again.remedy) == (NotPermittedError, error.message, error.remedy)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.ELOOP])
def test_what_cannot_be_read_for_another_reason_is_no_question_of_permission(number):
    error = unreadable(OSError(number, os.strerror(number)))
    assert (type(error), error.code) == (UnreadableFileError, "unreadable")
