"""Patterns: what they match, and what people may give."""

import os

import pytest

from camseek.errors import SettingsError
from camseek.patterns import Patterns, Selection

ROOT = b"/home/u/my photos"
COMPOSED, DECOMPOSED = "caf\u00e9.jpg", "cafe\u0301.jpg"


def taken(names, include=(), exclude=()):
    selection = Selection(Patterns.of(ROOT, include, exclude))
    return [name for name in names if selection.would_take(os.fsencode(name))]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*.jpg", "a.jpg s/a.jpg s/t/a.jpg"),
        ("a.jpg", "a.jpg s/a.jpg s/t/a.jpg"),
        ("/a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("././s/a.jpg", "s/a.jpg"),
        ("s//a.jpg", "s/a.jpg"),
        ("s/./a.jpg", "s/a.jpg"),
        ("/home/u/my photos/s", "s/a.jpg s/b.png s/t/a.jpg"),
        ("/home/u/my photos/s/", "s/a.jpg s/b.png s/t/a.jpg"),
        ("/home/u/my photos/**/a.jpg", "a.jpg s/a.jpg s/t/a.jpg"),
        ("/home/u/other/s", ""),
        ("s", "s/a.jpg s/b.png s/t/a.jpg"),
        ("s/", "s/a.jpg s/b.png s/t/a.jpg"),
        ("t/", "s/t/a.jpg"),
        ("a.jpg/", ""),
        ("s/*", "s/a.jpg s/b.png s/t/a.jpg"),
        ("s/*.jpg", "s/a.jpg"),
        ("s/**", "s/a.jpg s/b.png s/t/a.jpg"),
        ("s/**/a.jpg", "s/a.jpg s/t/a.jpg"),
        ("**/a.jpg", "a.jpg s/a.jpg s/t/a.jpg"),
        ("**/t/*", "s/t/a.jpg"),
        ("?.png", "s/b.png"),
        ("[!a].*", "s/b.png"),
        ("*.JPG", ""),
        ("S", ""),
        ("#a", "#a"),
        ("!", None),
        (" b .jpg ", " b .jpg "),
    ],
)
def test_what_they_match(pattern, matched):
    names = ["a.jpg", "s/a.jpg", "s/b.png", "s/t/a.jpg", "#a", " b .jpg "]
    if matched is None:
        with pytest.raises(SettingsError):
            taken(names, [pattern])
        return
    found = taken(names, [pattern])
    assert found == ([matched] if matched in names else matched.split())
    assert taken(names, exclude=[pattern]) == [name for name in names if name not in found]
    # What was stored is what was given, and is read as it was.
    stored = Patterns.of(ROOT, [pattern], ())
    assert Patterns.of(ROOT, stored.include, ()) == stored


def test_exclude_wins_and_what_is_taken_back_counts():
    names = ["a.jpg", "b.jpg", "s/a.jpg"]
    assert taken(names, ["*.jpg"], ["a.jpg"]) == ["b.jpg"]
    assert taken(names, exclude=["*.jpg", "!a.jpg"]) == ["a.jpg", "s/a.jpg"]
    assert taken(names, exclude=["s", "!s/a.jpg"]) == ["a.jpg", "b.jpg"]
    assert taken(names, ["*.jpg", "!./s/**"]) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("pattern", [COMPOSED, DECOMPOSED, "*\u00e9.*", "*e\u0301.*"])
def test_accents_composed_or_not(pattern):
    names = [COMPOSED, DECOMPOSED, "cafe.jpg", "s/" + DECOMPOSED]
    assert taken(names, [pattern]) == [COMPOSED, DECOMPOSED, "s/" + DECOMPOSED]


def test_the_roots_own_name_composed_or_not():
    for root in ("/pho\u00f3", "/pho\u006f\u0301"):
        for given in ("/pho\u00f3/raw", "/pho\u006f\u0301/raw"):
            assert Patterns.of(root.encode(), (), [given]).exclude == ("/raw",)


def test_a_link_to_the_root(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = Patterns.of(os.fsencode(tmp_path / "link"), [f"{tmp_path}/link/a", f"{tmp_path}/real/b"], ())
    assert found.include == ("/a", "/b")


@pytest.mark.parametrize(
    "pattern", ["", "/", ".", "./", "..", "../x", "a/../b", "!", "\\", os.fsdecode(ROOT)]
)
def test_what_names_nothing_is_refused(pattern):
    with pytest.raises(SettingsError) as error:
        Patterns.of(ROOT, (), [pattern])
    assert ".gitignore" in error.value.remedy


def test_hidden_ones_come_in_where_a_pattern_spells_the_dot():
    names = [".b/c.jpg", ".d/e.jpg", "@eaDir/f.jpg", "h.jpg", "s/.b/c.jpg"]
    assert taken(names) == taken(names, ["*"]) == ["h.jpg"]
    assert taken(names, [".b"]) == [".b/c.jpg", "s/.b/c.jpg"]
    assert taken(names, ["/.b/*"]) == [".b/c.jpg"]
    assert taken(names, ["@eaDir"]) == ["@eaDir/f.jpg"]


def test_as_people_and_programs_see_them():
    patterns = Patterns(("*.jpg",), ("raw/", "b"))
    assert str(patterns) == "--include *.jpg --exclude raw/ --exclude b"
    assert patterns.to_json() == {"include": ["*.jpg"], "exclude": ["raw/", "b"]}
    assert patterns
    assert not Patterns()
    assert str(Patterns()) == "none"


@pytest.mark.parametrize("pattern", ["*a" * 5 + "b", "a/" + "?*" * 5, "**/a/" * 5, "a" * 5000])
def test_patterns_that_take_for_ever(pattern):
    """A collection's maker may have stored them: time would grow with a high power of a name's length."""
    with pytest.raises(SettingsError, match="stars"):
        Patterns(exclude=(pattern,))
    assert taken(["a" * 200], exclude=["*a*a*a*b"]) == ["a" * 200]


def test_more_patterns_than_anybody_writes():
    with pytest.raises(SettingsError, match="more than 1000"):
        Patterns(include=("a",) * 600, exclude=("b",) * 600)
