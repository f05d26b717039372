import os
import socket
import subprocess
import sys
import textwrap
from unittest import mock

import pytest

import camseek
from camseek.errors import SourceError
from camseek.images import walk
from camseek.images.walk import FoundFile
from camseek.patterns import Patterns


@pytest.fixture
def tree(tmp_path):
    """Makes files from ``{name: content}``; gives the folder as bytes."""

    def make(files):
        for name, content in files.items():
            path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        return os.fsencode(tmp_path)

    return make


def names(found, root):
    return [os.path.relpath(file.path, root) for file in found.files]


def patterns(include=(), exclude=()):
    return Patterns(tuple(include), tuple(exclude))


JPEG = b"\xff\xd8\xff\xe0" + bytes(40)


def test_pictures_by_name_and_by_content(tree):
    root = tree({"a.jpg": b"not looked into", "b/c": JPEG, "b/notes.txt": JPEG, "d.txt": b"text", "e": b""})
    found = walk(root)
    assert names(found, root) == [b"a.jpg", b"b/c", b"b/notes.txt"]
    assert found.ignored == 2
    assert found.unknown == found.skipped == []


def test_a_picture_by_name_is_not_opened(tree):
    root = tree({"a.jpg": JPEG})
    with mock.patch("camseek.images.walk.open_regular", side_effect=AssertionError):
        assert len(walk(root).files) == 1


def test_size_and_times(tree):
    root = tree({"a.jpg": JPEG})
    path = os.path.join(root, b"a.jpg")
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    status = os.stat(path)
    assert walk(root).files == [FoundFile(path, 44, 1_234_567_890_123_456_789, status.st_ctime_ns)]


def test_sorted_by_the_bytes_of_the_whole_path(tree):
    root = tree(dict.fromkeys(("b.jpg", "a/z.jpg", "a.jpg", "A.jpg", "é.jpg", "a-b.jpg"), JPEG))
    paths = [file.path for file in walk(root).files]
    assert paths == sorted(paths)
    assert len(paths) == 6


def test_names_of_every_kind_are_distinct(tree):
    odd = [
        b"with space.jpg",
        b"new\nline.jpg",
        b"100%_a.jpg",
        b"100%_b.jpg",
        "é.jpg".encode(),
        "e\N{COMBINING ACUTE ACCENT}.jpg".encode(),
        b"\xff\xfe.jpg",
        b"-rf.jpg",
        b"*.jpg",
        b"[a].jpg",
    ]
    root = tree(dict.fromkeys(odd, JPEG))
    assert names(walk(root), root) == sorted(odd)


def test_hidden_and_thumbnail_folders_are_left_out(tree):
    root = tree({".a.jpg": JPEG, ".b/c.jpg": JPEG, "@eaDir/d.jpg": JPEG, "e/.f/g.jpg": JPEG, "h.jpg": JPEG})
    found = walk(root)
    assert names(found, root) == [b"h.jpg"]
    assert found.ignored == 0


def test_hidden_ones_come_in_where_a_pattern_spells_the_dot(tree):
    root = tree({".b/c.jpg": JPEG, ".d/e.jpg": JPEG, "@eaDir/f.jpg": JPEG, "h.jpg": JPEG})
    assert names(walk(root, patterns(include=[".b/*"])), root) == [b".b/c.jpg"]
    assert names(walk(root, patterns(include=["@eaDir"])), root) == [b"@eaDir/f.jpg"]
    assert names(walk(root, patterns(include=["*"])), root) == [b"h.jpg"]


def test_a_root_that_is_hidden_is_walked(tmp_path):
    hidden = tmp_path / ".photos"
    hidden.mkdir()
    (hidden / "a.jpg").write_bytes(JPEG)
    assert len(walk(os.fsencode(hidden)).files) == 1


def test_a_collection_is_not_entered(tree):
    root = tree({"c/collection.sqlite": b"", "c/a.jpg": JPEG, "c/d/b.jpg": JPEG, "e/f.jpg": JPEG})
    assert names(walk(root), root) == [b"e/f.jpg"]
    beside = os.path.join(root, b"c")
    assert names(walk(beside), beside) == [b"a.jpg", b"d/b.jpg"]


def test_links(tree, tmp_path):
    root = tree({"real/a.jpg": JPEG, "real/b": JPEG})
    os.symlink(b"a.jpg", os.path.join(root, b"real/link.jpg"))
    os.symlink(b"b", os.path.join(root, b"real/linked"))
    os.symlink(b"real", os.path.join(root, b"folder"))
    os.symlink(b"..", os.path.join(root, b"real/up"))
    os.symlink(b"gone.jpg", os.path.join(root, b"broken.jpg"))
    os.symlink(b"round", os.path.join(root, b"round"))
    found = walk(root)
    assert names(found, root) == [b"real/a.jpg", b"real/b", b"real/link.jpg", b"real/linked"]
    assert found.files[2].size == 44  # the target's
    broken = [os.path.join(root, name) for name in (b"broken.jpg", b"round")]
    assert [(path, code) for path, _, code in found.skipped] == [(path, "broken_link") for path in broken]

    linked_root = os.path.join(root, b"folder")
    assert len(walk(linked_root).files) == 4
    assert walk(linked_root + b"/").files == walk(linked_root).files


def test_pipes_sockets_and_devices_are_never_opened(tree):
    root = tree({"a.jpg": JPEG})
    os.mkfifo(os.path.join(root, b"pipe"))
    os.mkfifo(os.path.join(root, b"pipe.jpg"))
    os.symlink(b"pipe", os.path.join(root, b"to-pipe"))
    os.symlink(b"/dev/null", os.path.join(root, b"null.jpg"))
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(root, os.O_RDONLY)
        try:  # through the descriptor: the name may be longer than a socket's address
            server.bind(f"/proc/self/fd/{folder}/socket")
        finally:
            os.close(folder)
        found = walk(root)
    assert names(found, root) == [b"a.jpg"]
    assert {(os.path.basename(path), code) for path, _, code in found.skipped} == {
        (name, "not_a_file") for name in (b"pipe", b"pipe.jpg", b"to-pipe", b"null.jpg", b"socket")
    }
    reasons = {os.path.basename(path): reason for path, reason, _ in found.skipped}
    assert reasons[b"pipe"] == "it is a named pipe, not a file"
    assert reasons[b"null.jpg"] == "it is a device, not a file"


def test_an_empty_file_with_a_pictures_name_cannot_be_one(tree):
    root = tree({"a.jpg": b""})
    found = walk(root)
    assert found.skipped == [(os.path.join(root, b"a.jpg"), "it is empty", "not_a_picture")]
    assert found.files == []
    assert found.ignored == 0


def test_include(tree):
    root = tree({"a.jpg": JPEG, "b.png": JPEG, "c/d.jpg": JPEG, "c/e/f.png": JPEG, "g.txt": b"text"})
    assert names(walk(root, patterns(include=["*.jpg"])), root) == [b"a.jpg", b"c/d.jpg"]
    assert names(walk(root, patterns(include=["*.JPG"])), root) == []  # case-sensitive
    assert names(walk(root, patterns(include=["c/*"])), root) == [b"c/d.jpg", b"c/e/f.png"]
    assert names(walk(root, patterns(include=["c"])), root) == [
        b"c/d.jpg",
        b"c/e/f.png",
    ]  # a folder stands for all
    assert names(walk(root, patterns(include=["e/"])), root) == [b"c/e/f.png"]
    assert walk(root, patterns(include=["*.jpg"])).ignored == 0


def test_exclude_wins_and_prunes(tree):
    root = tree({"a.jpg": JPEG, "c/d.jpg": JPEG, "c/e/f.jpg": JPEG, "g/e/h.jpg": JPEG, "t.txt": b""})
    assert names(walk(root, patterns(exclude=["e"])), root) == [b"a.jpg", b"c/d.jpg"]
    assert names(walk(root, patterns(exclude=["c/e"])), root) == [b"a.jpg", b"c/d.jpg", b"g/e/h.jpg"]
    assert names(walk(root, patterns(include=["*.jpg"], exclude=["a.*", "g/"])), root) == [
        b"c/d.jpg",
        b"c/e/f.jpg",
    ]
    assert walk(root, patterns(exclude=["*.txt"])).ignored == 0
    scanned = []
    scandir = os.scandir

    def spy(path):
        scanned.append(path)
        return scandir(path)

    with mock.patch("os.scandir", spy):
        walk(root, patterns(exclude=["c"]))
    assert os.path.join(root, b"c") not in scanned


def test_patterns_match_names_that_are_not_utf8(tree):
    root = tree({b"\xff1.jpg": JPEG, b"\xff2.jpg": JPEG})
    assert names(walk(root, patterns(include=["*1.jpg"])), root) == [b"\xff1.jpg"]
    assert names(walk(root, patterns(exclude=[os.fsdecode(b"\xff1.jpg")])), root) == [b"\xff2.jpg"]


def test_a_tree_deeper_than_the_interpreters_stack(tmp_path):
    root = os.fsencode(tmp_path)
    depth = 700
    home = os.open(".", os.O_RDONLY)
    try:
        os.chdir(root)
        for _ in range(depth):
            os.mkdir(b"d")
            os.chdir(b"d")
        with open(b"a.jpg", "wb") as file:
            file.write(JPEG)
    finally:
        os.chdir(home)
        os.close(home)
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(300)
        found = walk(root)
    finally:
        sys.setrecursionlimit(limit)
        subprocess.run(["rm", "-rf", root + b"/d"], check=True)
    assert names(found, root) == [b"d/" * depth + b"a.jpg"]


def test_a_path_longer_than_the_system_allows_is_unknown(tmp_path):
    root = os.fsencode(tmp_path)
    home = os.open(".", os.O_RDONLY)
    try:
        os.chdir(root)
        for _ in range(30):
            os.mkdir(b"d" * 200)
            os.chdir(b"d" * 200)
    finally:
        os.chdir(home)
        os.close(home)
    found = walk(root)
    subprocess.run(["rm", "-rf", os.path.join(root, b"d" * 200)], check=True)
    [(path, reason, code)] = found.unknown
    assert path.startswith(root + b"/ddd")
    assert (reason, code) == ("its path is longer than the system allows", "unreadable")


def test_a_file_that_vanishes_while_walking(tree):
    root = tree({"a.jpg": JPEG, "b": JPEG, "c.jpg": JPEG, "d/e.jpg": JPEG})
    scandir = os.scandir

    def remove_then_list(path):
        if path == root:
            entries = list(scandir(path))
            os.remove(os.path.join(root, b"a.jpg"))
            os.remove(os.path.join(root, b"b"))
            os.remove(os.path.join(root, b"d/e.jpg"))
            os.rmdir(os.path.join(root, b"d"))
            context = mock.MagicMock()
            context.__enter__.return_value = iter(entries)
            return context
        return scandir(path)

    with mock.patch("os.scandir", remove_then_list):
        found = walk(root)
    assert names(found, root) == [b"c.jpg"]
    assert found.unknown == found.skipped == []


def test_a_failing_disk_makes_a_folder_unknown(tree):
    root = tree({"a/b.jpg": JPEG, "c.jpg": JPEG})
    scandir = os.scandir

    def fail(path):
        if path.endswith(b"/a"):
            raise OSError(5, "Input/output error")
        return scandir(path)

    with mock.patch("os.scandir", fail):
        found = walk(root)
    assert found.unknown == [(os.path.join(root, b"a"), "the disk fails to read it", "unreadable")]
    assert names(found, root) == [b"c.jpg"]


@pytest.mark.parametrize("name", [b"missing", b"a.jpg"])
def test_a_root_that_is_no_folder(tree, name):
    root = tree({"a.jpg": JPEG})
    with pytest.raises(SourceError) as error:
        walk(os.path.join(root, name))
    assert error.value.remedy


def test_a_relative_root_is_the_callers_bug():
    with pytest.raises(ValueError, match="absolute"):
        walk(b"photos")


@pytest.mark.needs_root
def test_what_other_users_may_not_read_is_unknown(open_tmp_path):
    root = os.fsencode(open_tmp_path)
    for name, mode in ((b"open", 0o755), (b"closed", 0o700), (b"listed", 0o744)):
        os.mkdir(os.path.join(root, name))
        with open(os.path.join(root, name, b"a.jpg"), "wb") as file:
            file.write(JPEG)
        os.chmod(os.path.join(root, name), mode)
    with open(os.path.join(root, b"secret"), "wb") as file:
        file.write(JPEG)
    os.chmod(os.path.join(root, b"secret"), 0o600)
    script = textwrap.dedent("""
        import os, sys
        sys.path.insert(0, sys.argv[2])
        from camseek.images import walk
        found = walk(os.fsencode(sys.argv[1]))
        print([os.path.basename(os.path.dirname(file.path)) for file in found.files])
        print([(os.path.basename(path), *told) for path, *told in found.unknown])
        print(found.skipped, found.ignored)
    """)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    package = os.path.dirname(os.path.dirname(camseek.__file__))
    command = [*user, sys.executable, "-c", script, open_tmp_path, package]
    run = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert run.returncode == 0, run.stderr
    files, unknown, rest = run.stdout.splitlines()
    assert files == "[b'open']"
    told = ("there is no permission to read it", "not_permitted")
    assert unknown == str([(b"closed", *told), (b"a.jpg", *told), (b"secret", *told)])
    assert rest == "[] 0"


def test_patterns_that_matched_nothing(tree):
    root = tree({"a.jpg": JPEG, "b/c.jpg": JPEG, "d.txt": b"text"})
    found = walk(root, patterns(["*.jpg", "*.tif"], ["d.txt", "e/", "/b"]))
    assert names(found, root) == [b"a.jpg"]
    assert found.idle == ("*.tif", "e/")
    assert walk(root).idle == ()
