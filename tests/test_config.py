import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.config import Encoding, Plan, Resize, Settings
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
    "wrong", [{"name": "vlad"}, {"name": "cam", "maps": "x"}, {"name": "sum", "prior": 1}]
)
def test_values_are_checked_however_it_is_made(wrong):
    with pytest.raises(SettingsError, match="cannot be"):
        Encoding(**wrong)


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


@pytest.mark.parametrize("data", [{}, {**Settings().to_json(), "new": 1}])
def test_unknown_and_missing_keys_are_errors(data):
    with pytest.raises(SettingsError, match="unknown or missing keys"):
        Settings.from_json(data)


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


@given(st.sampled_from(["longer", "smaller", "squeezed"]), st.integers(1, 999), st.integers(1, 999))
def test_the_share_still_covers_the_size(kind, width, height):
    resize = {"longer": Resize.parse("320"), "smaller": Resize.parse("smaller:240")}.get(
        kind, Resize.parse("320x200")
    )
    share = resize.share(width, height)
    for fitted, side in zip(resize.fit(width, height), (width, height), strict=True):
        assert min(fitted, side) <= side * share + 1


@pytest.mark.parametrize(
    "values",
    [
        {"aggregation": "sideways"},
        {"classes": 8},
        {"aggregation": "predefined"},
        {"predefined": (1,)},
        {"attend": (1,)},
        {"expand_with_query": True},
        {"expand": -1},
        {"rerank": -1},
        {"shortlist": 0},
        {"aggregation": "online", "classes": 0},
        {"aggregation": "online", "classes": 1, "attend": (1, 2)},
    ],
)
def test_a_plan_that_cannot_be(values):
    with pytest.raises(SettingsError):
        Plan(**values)


@pytest.mark.parametrize("predefined", [(1, 1), (-1,)])
def test_predefined_classes_stand_once(predefined):
    with pytest.raises(SettingsError, match="twice or is negative"):
        Settings(encoding=Encoding.parse("cam"), predefined=predefined)


def test_predefined_classes_need_class_vectors():
    with pytest.raises(SettingsError, match="do not go with the encoding"):
        Settings(predefined=(1,))
