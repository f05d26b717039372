import numpy as np
import pytest

from camseek import Engine
from camseek.errors import (
    CancelledError,
    CollectionBusyError,
    DamagedPictureError,
    DecoderError,
    FailedPictureError,
    NotAPictureError,
    NotPermittedError,
    TooLargeError,
    UnreadableFileError,
    is_settled,
)
from camseek.extraction.faults import one_picture, tried
from camseek.results import Skipped


@pytest.mark.parametrize(
    ("raised", "expected", "said"),
    [
        (ZeroDivisionError("by zero"), FailedPictureError, "ZeroDivisionError: by zero"),
        (RuntimeError(), FailedPictureError, "RuntimeError"),
        (MemoryError(), UnreadableFileError, "not enough memory"),
        (DamagedPictureError("cut", remedy="x"), DamagedPictureError, "cut"),
        (CancelledError("stopped", remedy="x"), CancelledError, "stopped"),
        (CollectionBusyError("busy", remedy="x"), CollectionBusyError, "busy"),
        (DecoderError("none", remedy="x"), DecoderError, "none"),
    ],
)
def test_whose_fault_it_is(raised, expected, said):
    with pytest.raises(expected, match=said) as error, one_picture():
        raise raised
    assert type(error.value) is expected


def test_an_interrupt_is_nobodys_fault():
    with pytest.raises(KeyboardInterrupt):
        tried(b"a.jpg", lambda: (_ for _ in ()).throw(KeyboardInterrupt()))


def test_tried():
    assert tried(b"a.jpg", lambda: 7) == 7
    assert tried(b"a.jpg", lambda: 1 // 0) == Skipped(
        b"a.jpg", "it failed on its way: ZeroDivisionError: integer division or modulo by zero", "failed"
    )


@pytest.fixture
def fails(monkeypatch):
    """Has the network or an encoder fail for the pictures of one size."""

    def arrange(target, error, wide=96):
        owner, name = target
        real = getattr(owner, name)

        def failing(self, given, *rest, **options):
            shape = given.shape if hasattr(given, "shape") else given.features.shape[1:]
            if shape[1] == wide:
                raise error
            return real(self, given, *rest, **options)

        monkeypatch.setattr(owner, name, failing)

    return arrange


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), "unreadable"), (RuntimeError("bad allocation"), "failed")]
)
def test_one_picture_never_ends_a_run_and_is_tried_again(
    address, model, photos, encoded, monkeypatch, fails, error, code
):
    from camseek.backbones import Backbone

    folder = photos(3)
    (folder / "odd.jpg").write_bytes(encoded(9, (96, 48)))
    fails((Backbone, "run"), error)
    with Engine.open(address, model=model, create=True, workers=2) as engine:
        first = engine.index(folder)
        assert (first.added, [item.code for item in first.skipped]) == (3, [code])
        again = engine.index(folder)
        assert (again.unchanged, [item.code for item in again.skipped]) == (3, [code])
        given = engine.add({"given": encoded(8, (96, 48)), "other": encoded(7)})
        assert (given.added, [item.code for item in given.skipped]) == (1, [code])
        # A known one that fails now keeps what is known of it.
        monkeypatch.undo()
        assert engine.index(folder).added == 1
        fails((Backbone, "run"), error)
        (folder / "odd.jpg").write_bytes(encoded(10, (96, 48)))
        changed = engine.index(folder)
        assert (changed.removed, changed.unchanged, [item.code for item in changed.skipped]) == (0, 3, [code])
        monkeypatch.undo()
        assert engine.index(folder).changed == 1


def test_an_encoder_that_fails_is_the_pictures_fault_too(engine, photos, monkeypatch):
    from camseek.extraction import describer

    real, calls = describer.describe_to_store, []

    def failing(*given):
        calls.append(1)
        if len(calls) == 2:
            raise FloatingPointError("overflow")
        return real(*given)

    monkeypatch.setattr(describer, "describe_to_store", failing)
    report = engine.index(photos(4))
    assert (report.added, [item.code for item in report.skipped]) == (3, ["failed"])
    assert engine.index(photos(4, "again")).added == 4


def test_a_hit_whose_file_cannot_be_decoded_now_keeps_its_place(engine, photos, monkeypatch):
    from camseek.errors import DecoderCrashedError
    from camseek.extraction import reading
    from camseek.searching import looks

    folder = photos(4)
    engine.index(folder)
    query = folder / "0.jpg"
    before = engine.search(query, boxes=True)
    real = reading.read_picture

    def crashing(file, **options):
        picture = real(file, **options)
        if getattr(file, "name", b"") == before.hits[1].path_bytes:
            raise DecoderCrashedError("the decoder crashed on it (signal 11, SIGSEGV)", remedy="leave it out")
        return picture

    def named(path, **bounds):
        from camseek.images import open_file

        file = open_file(path, **bounds)
        return _Named(file, path)

    monkeypatch.setattr(reading, "read_picture", crashing)
    monkeypatch.setattr("camseek.extraction.extractor.open_file", named)
    after = engine.search(query, boxes=True)
    assert [hit.paths for hit in after.hits] == [hit.paths for hit in before.hits]
    assert "crashed" in after.hits[1].box_reason
    monkeypatch.undo()
    # What a look itself raises is that picture's, too.
    monkeypatch.setattr(looks.BoxLook, "see", lambda self, seen: 1 // 0)
    after = engine.search(query, boxes=True)
    assert [hit.paths for hit in after.hits] == [hit.paths for hit in before.hits]
    assert all("ZeroDivisionError" in hit.box_reason for hit in after.hits)
    assert np.isfinite([hit.score for hit in after.hits]).all()


class _Named:
    def __init__(self, file, name):
        self._file, self.name = file, name

    def __getattr__(self, key):
        return getattr(self._file, key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


def test_codes_say_whether_an_error_is_settled():
    unsettled = {UnreadableFileError, NotPermittedError, FailedPictureError}
    for kind in (*unsettled, DamagedPictureError, TooLargeError, NotAPictureError):
        assert is_settled(kind.code) == kind.settled == (kind not in unsettled)
    assert is_settled("a code of no picture's")
