"""Which collection is meant: the command line, the environment, the user's defaults."""

import os

import pytest

from camseek.backbones import devices
from camseek.cli.app import camseek as program
from camseek.config import Device

OF_A_COLLECTION = [
    "index",
    "add",
    "remove",
    "search",
    "explain",
    "classes",
    "fit",
    "enrich",
    "upgrade",
    "shards",
    "evaluate",
    "info",
    "check",
    "list",
    "duplicates",
    "export",
]
ALONE = ["classes", "fit", "enrich", "upgrade", "shards", "info", "check", "list", "duplicates"]


@pytest.fixture
def defaults(tmp_path, monkeypatch):
    """Writes the user's defaults."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("CAMSEEK_CONFIG", str(path))

    def write(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def three(tmp_path, photos, camseek):
    """Three collections, of 1, 2 and 3 pictures."""
    places = []
    for number in (1, 2, 3):
        places.append(tmp_path / f"c{number}")
        camseek("index", photos(number, f"photos{number}"), "--collection", places[-1])
    return places


def test_the_command_line_goes_before_the_environment_and_that_before_the_defaults(
    three, defaults, camseek, monkeypatch
):
    one, two, three_ = three
    defaults(f'collection = "{three_}"')
    assert camseek("info")["pictures"] == 3
    monkeypatch.setenv("CAMSEEK_COLLECTION", str(two))
    assert camseek("info")["pictures"] == 2
    assert camseek("info", "--collection", one)["pictures"] == 1
    assert camseek("info", one)["pictures"] == 1
    monkeypatch.setenv("CAMSEEK_COLLECTION", "")
    assert camseek("info")["pictures"] == 3


def test_defaults_of_ones_own_home(three, defaults, camseek, monkeypatch, tmp_path):
    defaults('# where my pictures are\ncollection = "~/c2"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    assert camseek("check")["pictures"] == 2


@pytest.mark.parametrize("verb", ALONE)
def test_both_the_argument_and_the_option(verb, failing):
    error = failing(verb, "one", "--collection", "two", code=2)
    assert error["message"].startswith("two collections are given, one and --collection two;")


@pytest.mark.parametrize("verb", [*ALONE, "index", "add", "remove", "search"])
def test_none(verb, failing, defaults, monkeypatch):
    monkeypatch.delenv("CAMSEEK_COLLECTION", raising=False)
    path = defaults("")
    error = failing(verb, *[] if verb in ALONE else ["photos"], code=2)
    assert error["message"].startswith("no collection is given: say --collection FOLDER, ")
    assert "CAMSEEK_COLLECTION" in error["message"]
    assert str(path) in error["message"]


def test_a_verb_that_needs_none_takes_none_that_was_not_named(
    photos, three, defaults, camseek, monkeypatch, tmp_path
):
    """What the environment says does not change what ``explain`` shows."""
    picture, page = photos(1) / "0.jpg", tmp_path / "seen.png"
    defaults('collection = "/nowhere"')
    monkeypatch.setenv("CAMSEEK_COLLECTION", "/nowhere")
    assert camseek("explain", picture, "--report", page)["classes"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('colection = "/a"', "sets colection, which camseek does not know; did you mean collection?"),
        ("[search]\ntop = 3", "sets search, which camseek does not know"),
        ("collection = 3", "collection is no text"),
        ('collection = ""', "the collection '' is not absolute"),
        ('collection = "photos"', "the collection 'photos' is not absolute"),
        ('collection = "/a\\u0000b"', "is not absolute"),
        ("collection = /a", "is not TOML: "),
        (b'collection = "\xff"', "is not TOML: "),
        ("#" * 100_001, "it has more than 100,000 bytes"),
    ],
)
def test_defaults_that_cannot_be(content, said, defaults, failing):
    path = defaults(content)
    error = failing("info")
    assert error["code"] == "settings"
    assert str(path) in error["message"]
    assert said in error["message"]


def test_they_are_not_read_where_a_collection_is_named(three, defaults, camseek):
    defaults("no TOML")
    assert camseek("info", three[0])["pictures"] == 1


def test_defaults_that_cannot_be_read(tmp_path, failing, monkeypatch):
    monkeypatch.setenv("CAMSEEK_CONFIG", str(tmp_path))
    assert "cannot read" in failing("info")["message"]
    monkeypatch.setenv("CAMSEEK_CONFIG", os.path.join(__file__, "none"))
    assert failing("info", code=2)["code"] == "usage"


def test_every_verb_of_a_collection_says_it_alike():
    options = {
        name: [option.help for option in command.params if "--collection" in option.opts]
        for name, command in program.commands.items()
        if any("--collection" in option.opts for option in command.params)
    }
    del options["serve"]  # of several, under names
    assert sorted(options) == sorted(OF_A_COLLECTION)
    assert all(len(found) == 1 for found in options.values())
    for name, [told] in options.items():
        assert told.startswith("The collection's folder, or milvus://HOST:PORT/NAME.")
        assert ("CAMSEEK_COLLECTION" in told) == (name not in ("explain", "evaluate"))


class TestTheDevice:
    """What networks run on. There is no GPU where the tests run, and none is needed."""

    @pytest.fixture(autouse=True)
    def without_a_gpu(self, monkeypatch):
        monkeypatch.setattr(devices, "_fault", lambda: ("there is none", "buy one"))
        yield
        devices.set_usual(Device())

    def test_one_that_is_not_there(self, failing, photos, collection):
        error = failing("index", photos(1), "--collection", collection, "--device", "cuda")
        assert (error["code"], "there is none" in error["message"]) == ("device", True)
        assert not collection.exists()
        error = failing("index", photos(1), "--collection", collection, "--precision", "float16")
        assert error["code"] == "settings"

    def test_one_that_was_hoped_for(self, text, photos, collection):
        told = text(
            "index", photos(1), "--collection", collection, "--device", "auto", "--precision", "float16"
        )
        assert told.err.count("networks run on the processor: there is none") == 1

    def test_the_users_own(self, defaults, text, failing, photos, collection):
        defaults('device = "auto"\nprecision = "float16"')
        # What was written down once is not said each time.
        assert "networks run on" not in text("index", photos(2), "--collection", collection).err
        assert devices.usual() == Device("auto", "float16")
        text("info", "--collection", collection)
        text("search", photos(1, "q") / "0.jpg", "--collection", collection, "--device", "cpu")
        assert devices.usual() == Device()
        defaults('device = "gpu"')
        assert failing("search", "x.jpg", "--collection", collection)["code"] == "settings"
