import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.config import Encoding, Settings
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
        maps=st.sampled_from(["clipped", "minmax"]),
    ),
    st.integers(32, 4096),
)
def test_settings_survive_json(encoding, longer_side):
    assert Encoding.parse(str(encoding)) == encoding
    settings = Settings(encoding=encoding, longer_side=longer_side)
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("data", [{}, {**Settings().to_json(), "new": 1}])
def test_unknown_and_missing_keys_are_errors(data):
    with pytest.raises(SettingsError, match="unknown or missing keys"):
        Settings.from_json(data)


@pytest.mark.parametrize("side", [31, 5000])
def test_sizes_have_bounds(side):
    with pytest.raises(SettingsError, match="outside 32 to 4096"):
        Settings(longer_side=side)
