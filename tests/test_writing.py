import os
import stat

import pytest

from camseek.writing import whole_file, write_whole


def listed(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("replace", [False, True])
def test_a_new_file(tmp_path, replace):
    write_whole(tmp_path / "new", b"text", replace=replace)
    assert (tmp_path / "new").read_bytes() == b"text"
    assert listed(tmp_path) == ["new"]


def test_permissions_stay_whatever_new_files_get(tmp_path):
    place = tmp_path / "shared"
    place.write_bytes(b"old")
    place.chmod(0o664)
    before = os.umask(0o077)
    try:
        write_whole(place, b"text", replace=True)
        write_whole(tmp_path / "own", b"text", replace=False)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (place, tmp_path / "own")]
    assert modes == [0o664, 0o600]


def test_what_is_there_stays(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "old", b"text", replace=False)
    assert (tmp_path / "old").read_bytes() == b"old"
    assert listed(tmp_path) == ["old"]


def test_what_comes_meanwhile_stays(tmp_path):
    with pytest.raises(FileExistsError), whole_file(tmp_path / "new", replace=False) as file:
        file.write(b"text")
        (tmp_path / "new").write_bytes(b"theirs")
    assert (tmp_path / "new").read_bytes() == b"theirs"
    assert listed(tmp_path) == ["new"]


def test_without_second_names(tmp_path, monkeypatch):
    def link(*_):
        raise PermissionError(1, "a disk of a camera")

    monkeypatch.setattr(os, "link", link)
    write_whole(tmp_path / "new", b"text", replace=False)
    assert (tmp_path / "new").read_bytes() == b"text"
    with pytest.raises(FileExistsError), whole_file(tmp_path / "other", replace=False) as file:
        file.write(b"text")
        (tmp_path / "other").write_bytes(b"theirs")
    assert listed(tmp_path) == ["new", "other"]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "old", replace=True) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "old").read_bytes() == b"old"
    assert listed(tmp_path) == ["old"]


def test_permissions_stay(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "old").chmod(0o600)
    write_whole(tmp_path / "old", b"text", replace=True)
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600


@pytest.mark.parametrize("there", [True, False], ids=["link", "dangling"])
def test_a_link_is_replaced_and_not_followed(tmp_path, there):
    if there:
        (tmp_path / "goal").write_bytes(b"goal")
    (tmp_path / "link").symlink_to(tmp_path / "goal")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "link", b"text", replace=False)
    write_whole(tmp_path / "link", b"text", replace=True)
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"text"
    assert (tmp_path / "goal").exists() is there
    assert not there or (tmp_path / "goal").read_bytes() == b"goal"
