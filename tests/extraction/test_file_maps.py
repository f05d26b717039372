"""Files of stored pictures, read again: a collection may come from anybody, and name any file."""

import os

import pytest

from camseek.config import Limits, Resize
from camseek.extraction import extractor as extractor_module
from camseek.extraction.extractor import Extraction, Extractor, FileMaps
from camseek.extraction.reading import PictureReader
from camseek.images import fingerprint
from camseek.store import StoredPicture


@pytest.fixture
def maps(model):
    class NoTraces:
        def get(self, kind, records):
            return {}

    return FileMaps(Extractor(model, PictureReader.of(model, Resize.parse("64"), Limits())), NoTraces())


@pytest.fixture
def photo(tmp_path, encoded):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(1))
    return path


def stored(path, length=None, content=None):
    """A picture of one file; what a collection says of it."""
    name = os.fsencode(path)
    if content is None:
        with open(path, "rb") as file:
            content = fingerprint(file)
    lengths = {name: os.path.getsize(path) if length is None else length}
    return StoredPicture(1, content, (64, 48), (name,), lengths)


@pytest.fixture
def hashed(monkeypatch):
    """How many bytes were asked for, of each file that was read whole."""
    asked, real = [], extractor_module.fingerprint

    def spy(file, **options):
        asked.append(options)
        return real(file, **options)

    monkeypatch.setattr(extractor_module, "fingerprint", spy)
    return asked


def test_the_file_as_it_was(maps, photo):
    assert isinstance(maps.maps(stored(photo)), Extraction)


def test_another_content(maps, photo):
    assert maps.maps(stored(photo, content=bytes(32))) == "its file has changed since it was indexed"


def test_another_length_is_not_read(maps, photo, hashed):
    assert maps.maps(stored(photo, length=7)) == "its file has changed since it was indexed"
    assert hashed == []


@pytest.mark.parametrize("length", [0, 7])
def test_one_of_another_length_is_not_even_opened(maps, tmp_path, monkeypatch, length):
    """Some files do something when they are read: the kernel's log says that it is empty."""
    path = tmp_path / "log"
    path.write_bytes(b"")
    monkeypatch.setattr(extractor_module, "open_file", lambda path, **bounds: pytest.fail("it was opened"))
    assert maps.maps(stored(path, length=length)) == "its file has changed since it was indexed"


def test_a_file_outside_is_not_opened(maps, photo, monkeypatch):
    picture = StoredPicture(1, bytes(32), (64, 48), (os.fsencode(photo),))
    monkeypatch.setattr(extractor_module, "open_file", lambda path, **bounds: pytest.fail("it was opened"))
    assert maps.maps(picture) == "its file lies in none of the collection's folders"


def test_a_sparse_terabyte(maps, tmp_path, hashed):
    path = tmp_path / "large.jpg"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    assert "has changed" in maps.maps(stored(path, content=bytes(32), length=1000))
    assert hashed == []
    # Also where the collection says so itself.
    assert "more than 4,294,967,296 bytes" in maps.maps(stored(path, content=bytes(32)))


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="a system without /proc")
@pytest.mark.parametrize("path", ["/proc/self/maps", "/proc/kmsg", "/proc/self/mem"])
def test_files_of_the_system(maps, path):
    """They say that they are empty, and may never end."""
    reason = maps.maps(stored(path, content=bytes(32), length=0))
    assert isinstance(reason, str)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file(maps, tmp_path, kind):
    path = tmp_path / "odd.jpg"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
    assert "not a file" in maps.maps(stored(path, content=bytes(32), length=0))
