import copy
import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.config import Encoding, Limits, Resize, Settings
from camseek.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("sum", "sum"),
        ("spoc", "sum:prior=centre"),
        ("sum:prior=none", "sum"),
        ("ucrow", "ucrow"),
        ("crow", "crow"),
        ("gem", "gem"),
        ("gem:prior=centre,power=3", "gem:prior=centre"),
        ("gem:power=3", "gem"),
        ("gem:power=4.5", "gem:power=4.5"),
        ("cam", "cam"),
        ("cam:classes=32,power=3,maps=minmax", "cam:classes=32,power=3,maps=minmax"),
        (" cam:maps=clipped ", "cam"),
    ],
)
def test_encodings_have_one_canonical_form(text, canonical):
    assert str(Encoding.parse(text)) == canonical
    assert Encoding.parse(canonical) == Encoding.parse(text)


def test_defaults_of_a_name():
    assert Encoding.parse("gem").power == 3
    assert (Encoding.parse("cam").classes, Encoding.parse("cam").power) == (64, 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("vlad", "no encoding 'vlad'"),
        ("", "no encoding ''"),
        ("crow:power=3", "no option 'power'"),
        ("gem:classes=3", "no option 'classes'"),
        ("gem:power=x", "power cannot be 'x'"),
        ("gem:power=nan", "outside 1 to 16"),
        ("gem:power=0.5", "outside 1 to 16"),
        ("cam:classes=0", "below 1"),
        ("cam:classes=1.5", "classes cannot be"),
        ("cam:maps=soft", "maps cannot be 'soft'"),
        ("sum:prior=left", "prior cannot be 'left'"),
    ],
)
def test_what_cannot_be_is_told(text, complaint):
    with pytest.raises(SettingsError, match=complaint) as caught:
        Encoding.parse(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"name": "vlad"}, "no encoding 'vlad'"),
        ({"name": 3}, "no encoding 3"),
        ({"name": ["cam"]}, "no encoding"),
        ({"name": "gem:power=4"}, "no encoding 'gem:power=4'"),
        ({"name": "cam", "maps": "x"}, "maps cannot be 'x'"),
        ({"name": "sum", "prior": 1}, "prior cannot be 1"),
        ({"name": "sum", "weights": ["none"]}, "weights cannot be"),
        ({"name": "gem", "power": "3"}, "power cannot be '3'"),
        ({"name": "gem", "power": True}, "power cannot be True"),
        ({"name": "gem", "power": 1j}, "power cannot be"),
        ({"name": "gem", "power": np.array([3.0, 4.0])}, "power cannot be"),
        ({"name": "gem", "power": math.nan}, "power nan is outside 1 to 16"),
        ({"name": "gem", "power": math.inf}, "outside 1 to 16"),
        ({"name": "gem", "power": 10**400}, "outside 1 to 16"),
        ({"name": "gem", "power": 0.99}, "outside 1 to 16"),
        ({"name": "cam", "classes": 2.5}, "classes cannot be 2.5"),
        ({"name": "cam", "classes": 2.0}, "classes cannot be 2.0"),
        ({"name": "cam", "classes": True}, "classes cannot be True"),
        ({"name": "cam", "classes": "64"}, "classes cannot be '64'"),
        ({"name": "cam", "classes": 0}, "classes 0 is below 1"),
        ({"name": "rmac", "scales": 7}, "scales 7 is outside 1 to 6"),
        ({"name": "crow", "power": 3}, "encoding crow has no option 'power'"),
        ({"name": "crow", "power": True}, "power cannot be True"),
        ({"name": "crow", "power": math.nan}, "no option 'power'"),
        ({"name": "crow", "power": np.array([3.0, 4.0])}, "no option 'power'"),
        ({"name": "gem", "classes": 8}, "encoding gem has no option 'classes'"),
        ({"name": "spoc", "scales": 2}, "encoding spoc has no option 'scales'"),
    ],
)
def test_values_are_checked_however_it_is_made(wrong, complaint):
    with pytest.raises(SettingsError, match=complaint) as caught:
        Encoding(**wrong)
    assert caught.value.remedy


def test_an_option_it_does_not_have_is_told_with_those_it_has():
    for make in (lambda: Encoding.parse("gem:scales=2"), lambda: Encoding(name="gem", scales=2)):
        with pytest.raises(SettingsError, match="encoding gem has no option 'scales'") as caught:
            make()
        assert caught.value.remedy == "its options: power, prior"
    with pytest.raises(SettingsError) as caught:
        Encoding(name="crow", power=3)
    assert caught.value.remedy == "its options: none"


@pytest.mark.parametrize("name", ["sum", "ucrow", "crow", "gem", "rmac", "cam", "spoc"])
def test_the_constructor_has_the_defaults_of_the_name(name):
    made = Encoding(name=name)
    assert made == Encoding.parse(name)
    assert hash(made) == hash(Encoding.parse(name))
    assert str(made) == ("sum:prior=centre" if name == "spoc" else name)
    assert Encoding(**{field.name: getattr(made, field.name) for field in fields(made)}) == made
    assert replace(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_the_alias_takes_the_options_of_what_it_stands_for():
    assert Encoding.parse("spoc:weights=channel") == Encoding(name="sum", prior="centre", weights="channel")
    assert Encoding(name="spoc", weights="channel").name == "sum"


def test_encodings_are_replaced():
    assert str(replace(Encoding(name="gem"), power=4)) == "gem:power=4"
    assert replace(Encoding(name="gem"), name="cam") == Encoding(name="cam", power=3)
    with pytest.raises(SettingsError, match="encoding crow has no option 'power'"):
        replace(Encoding(name="gem"), name="crow")


def test_numbers_of_numpy_become_pythons():
    made = Encoding(name="cam", power=np.float32(2), classes=np.int64(8))
    assert (type(made.power), type(made.classes)) == (float, int)
    assert made == Encoding.parse("cam:power=2,classes=8")


def test_another_number_of_classes():
    assert str(Encoding.parse("cam:power=3").with_classes(8)) == "cam:classes=8,power=3"
    gem = Encoding.parse("gem")
    assert gem.with_classes(8) is gem
    for encoding in (gem, Encoding.parse("cam")):
        for count in (0, 2.5, True):
            with pytest.raises(SettingsError, match="classes"):
                encoding.with_classes(count)


@given(
    st.builds(
        Encoding,
        name=st.just("cam"),
        power=st.floats(1, 16),
        classes=st.integers(1, 1000),
        maps=st.sampled_from(["clipped", "minmax", "flipped"]),
    ),
    st.sampled_from(["32", "640", "4096", "smaller:720", "1024x720"]),
)
def test_settings_survive_json(encoding, size):
    assert Encoding.parse(str(encoding)) == encoding
    settings = Settings(encoding=encoding, size=Resize.parse(size))
    assert Settings.from_json(settings.to_json()) == settings


OPTIONS = {
    "sum": ["prior", "weights"],
    "spoc": ["prior", "weights"],
    "ucrow": [],
    "crow": [],
    "gem": ["power", "prior"],
    "rmac": ["scales"],
    "cam": ["classes", "power", "maps"],
}
VALUES = {
    "prior": st.sampled_from(["none", "centre"]),
    "weights": st.sampled_from(["none", "channel"]),
    "power": st.floats(1, 16),
    "classes": st.integers(1, 10**6),
    "scales": st.integers(1, 6),
    "maps": st.sampled_from(["clipped", "minmax", "flipped"]),
}


@given(
    st.sampled_from(list(OPTIONS)).flatmap(
        lambda name: st.fixed_dictionaries(
            {"name": st.just(name)}, optional={key: VALUES[key] for key in OPTIONS[name]}
        )
    )
)
def test_every_encoding_survives_its_text(values):
    encoding = Encoding(**values)
    assert Encoding.parse(str(encoding)) == encoding


def test_settings_of_an_earlier_camseek_take_defaults():
    assert Settings.from_json({}) == Settings()
    whole = Settings(encoding="cam", size="smaller:720", layer="conv5", predefined=[3, 1]).to_json()
    for key in whole:
        less = {name: value for name, value in whole.items() if name != key}
        if key != "encoding":  # predefined classes go with cam alone
            assert Settings.from_json(less) == replace(
                Settings.from_json(whole), **{key: getattr(Settings(), key)}
            )


def test_settings_of_a_later_camseek():
    with pytest.raises(SettingsError, match=r"a later camseek made these settings.*: new, other") as caught:
        Settings.from_json({**Settings().to_json(), "other": 1, "new": 1})
    assert caught.value.remedy == "upgrade camseek"


@pytest.mark.parametrize(
    "damaged", [None, [], "gem", {"encoding": 5}, {"size": 640}, {"layer": None}, {"predefined": "12"}]
)
def test_damaged_settings(damaged):
    with pytest.raises(TypeError, match="cannot be"):
        Settings.from_json(damaged)


def test_texts_and_numbers_are_parsed():
    made = Settings(encoding="gem", size="smaller:720")
    assert (made.encoding, made.size) == (Encoding.parse("gem"), Resize.parse("smaller:720"))
    assert Settings(size=320).size == Settings(size=np.int32(320)).size == Resize.parse("320")
    assert replace(made, encoding="spoc", size=96).encoding == Encoding.parse("spoc")
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(FrozenInstanceError):
        made.layer = "other"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"encoding": None}, "the encoding cannot be None"),
        ({"encoding": 3}, "the encoding cannot be 3"),
        ({"encoding": b"gem"}, "the encoding cannot be b'gem'"),
        ({"encoding": "vlad"}, "no encoding 'vlad'"),
        ({"encoding": {"name": "gem"}}, "the encoding cannot be"),
        ({"size": None}, "the size cannot be None"),
        ({"size": True}, "the size cannot be True"),
        ({"size": 640.5}, "the size cannot be 640.5"),
        ({"size": (640, 480)}, "the size cannot be"),
        ({"size": -640}, "no size '-640'"),
        ({"size": 0}, "no pixels"),
        ({"size": 10**6}, "no size '1000000'"),
        ({"size": 16}, "outside 32 to 4096"),
        ({"layer": None}, "the layer cannot be None"),
        ({"layer": ""}, "the layer cannot be ''"),
        ({"predefined": 3}, "predefined classes cannot be 3"),
        ({"predefined": None}, "predefined classes cannot be None"),
        ({"predefined": "12"}, "predefined classes cannot be '12'"),
        ({"predefined": b"12"}, "predefined classes cannot be b'12'"),
        ({"predefined": {1, 2}}, r"predefined classes cannot be \{1, 2\} \(set\)"),
        ({"predefined": {1: 2}}, "predefined classes cannot be"),
        ({"predefined": [1, 2.5]}, "a predefined class cannot be 2.5"),
        ({"predefined": [1, True]}, "a predefined class cannot be True"),
        ({"predefined": ["1"]}, "a predefined class cannot be '1'"),
    ],
)
def test_settings_that_cannot_be(wrong, complaint):
    with pytest.raises(SettingsError, match=complaint) as caught:
        Settings(**{"encoding": "cam"} | wrong)
    assert caught.value.remedy


@pytest.mark.parametrize("ids", [[4, 2], (4, 2), np.array([4, 2]), range(4, 1, -2)])
def test_predefined_classes_are_kept_as_a_tuple(ids):
    kept = Settings(encoding="cam", predefined=ids).predefined
    assert kept == (4, 2)
    assert {type(kept), *map(type, kept)} == {tuple, int}


def test_settings_as_callers_give_them():
    made = Settings(encoding="gem", size=96)
    assert Settings.of(None) is None
    assert Settings.of(made) is made
    assert Settings.of("gem:power=4") == Settings.of(Encoding.parse("gem:power=4"))
    assert Settings.of("gem:power=4") == Settings(encoding="gem:power=4")
    assert Settings.of({}) == Settings()
    assert (
        Settings.of({"encoding": "gem", "size": 96}) == Settings.of(MappingProxyType(made.to_json())) == made
    )


@pytest.mark.parametrize("wrong", [3, b"gem", ["gem"], ("encoding", "gem"), Settings, Resize.parse("640")])
def test_what_settings_are_not_made_of(wrong):
    with pytest.raises(TypeError, match=f"settings cannot be .*{type(wrong).__name__}.*: give Settings"):
        Settings.of(wrong)


def test_a_setting_that_there_is_none_of():
    with pytest.raises(SettingsError, match="there is no setting encodings, 3") as caught:
        Settings.of({"encodings": "gem", 3: 4, "size": 96})
    assert caught.value.remedy == "use encoding, size, layer, predefined"


@pytest.mark.parametrize("side", ["31", "5000", "smaller:31", "smaller:5000", "50000x64", "64x31"])
def test_sizes_have_bounds(side):
    with pytest.raises(SettingsError, match="outside 32 to 4096"):
        Settings(size=Resize.parse(side))


def test_a_size_says_what_a_picture_becomes():
    assert Resize.parse("640").fit(1280, 720) == (640, 360)
    assert Resize.parse("640").fit(100, 50) == (100, 50)
    assert Resize.parse("smaller:720").fit(1440, 2880) == (720, 1440)
    assert Resize.parse("smaller:100").fit(10000, 200) == (400, 8)
    assert Resize.parse("smaller:720").fit(1024, 682) == (1081, 720)
    assert Resize.parse("1024x720").fit(300, 200) == (1024, 720)
    assert Resize.parse("720x1024").fit(200, 300) == (720, 1024)
    assert str(Resize.parse("720x1024")) == "1024x720"


@pytest.mark.parametrize("text", ["", "0", "larger:3", "smaller:3x4", "1x2x3", "-4", "640.5", "64x0", "x"])
def test_no_size(text):
    with pytest.raises(SettingsError, match="size"):
        Resize.parse(text)


@pytest.mark.parametrize(
    "values",
    [
        ("larger", 3, 3),
        (None, 3, 3),
        (["longer"], 3, 3),
        ("longer", 640, 480),
        ("longer", 0, 0),
        ("longer", -3, -3),
        ("longer", 640.0, 640.0),
        ("longer", True, True),
        ("smaller", 720, 720),
        ("squeezed", 720, 1024),
        ("squeezed", "1024", "720"),
    ],
)
def test_a_size_that_its_text_could_not_say(values):
    with pytest.raises(SettingsError) as caught:
        Resize(*values)
    assert caught.value.remedy


def test_sizes_as_callers_give_them():
    made = Resize.parse("smaller:720")
    assert Resize.of(made) is made
    assert Resize.of("smaller:720") == Resize("smaller", np.int64(2880), 720) == made
    assert Resize.of(640) == Resize("longer", 640, 640)


@given(st.sampled_from(["longer", "smaller", "squeezed"]), st.integers(1, 999), st.integers(1, 999))
def test_the_share_still_covers_the_size(kind, width, height):
    resize = {"longer": Resize.parse("320"), "smaller": Resize.parse("smaller:240")}.get(
        kind, Resize.parse("320x200")
    )
    share = resize.share(width, height)
    for fitted, side in zip(resize.fit(width, height), (width, height), strict=True):
        assert min(fitted, side) <= side * share + 1


@pytest.mark.parametrize("predefined", [(1, 1), (-1,)])
def test_predefined_classes_stand_once(predefined):
    with pytest.raises(SettingsError, match="twice or is negative"):
        Settings(encoding=Encoding.parse("cam"), predefined=predefined)


def test_predefined_classes_need_class_vectors():
    with pytest.raises(SettingsError, match="do not go with the encoding"):
        Settings(predefined=(1,))


@pytest.mark.parametrize("wrong", [0, -1, 1e6, "5", True, None])
def test_limits_that_cannot_be(wrong):
    with pytest.raises(SettingsError, match="max_pixels") as caught:
        Limits(max_pixels=wrong)
    assert caught.value.remedy
    assert Limits(max_pixels=np.int64(5)) == Limits(max_pixels=5)
