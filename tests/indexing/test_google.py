"""Pictures in Google's object storage, where gcsfs is installed: a server of this machine stands for it."""

import os

import fsspec
import pytest

from buckets import google
from camseek.errors import SourceError
from camseek.images import remote

# Before it is imported: it would ask Google what kind of bucket each is.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
pytest.importorskip("gcsfs")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture
def bucket(monkeypatch):
    objects = {}
    with google(objects) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        remote._driver.cache_clear()
        yield objects
    remote._driver.cache_clear()


def test_a_bucket_is_kept_in_step(engine, bucket, encoded):
    bucket |= {f"museum/photos/{number}.jpg": encoded(number) for number in range(3)}
    bucket |= {"museum/photos/a b%ü.png": encoded(3, format="PNG"), "museum/photos/text.txt": b"text"}
    bucket |= {"museum/other/4.jpg": encoded(4), "museum/photos/without": encoded(5)}
    report = engine.index("gs://museum/photos/")
    assert (report.added, report.ignored, report.skipped) == (5, 1, [])
    names = {name.removeprefix("gs://museum/photos/") for name in engine.descriptors()[0]}
    assert names == {"0.jpg", "1.jpg", "2.jpg", "a b%ü.png", "without"}

    again = engine.index("gs://museum/photos")
    assert (again.unchanged, again.encoded, again.removed) == (5, 0, 0)

    bucket["museum/photos/0.jpg"] = encoded(8)
    bucket["museum/photos/new.jpg"] = encoded(9)
    del bucket["museum/photos/1.jpg"]
    last = engine.index("gcs://museum/photos")
    assert (last.changed, last.added, last.removed, last.unchanged) == (1, 1, 1, 3)
    result = engine.search("gs://museum/photos/2.jpg", views=True)
    assert result.hits[0].path == "gs://museum/photos/2.jpg"
    assert not isinstance(result.views[0], str)


def test_what_is_not_there(engine, bucket, encoded):
    bucket["museum/0.jpg"] = encoded(0)
    with pytest.raises(SourceError, match="cannot be listed"):
        engine.index("gs://nobody/photos")
    [skipped] = engine.add(["gs://museum/none.jpg"]).skipped
    assert skipped.code == "unreadable"
