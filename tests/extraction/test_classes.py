"""Classes by the names that people and papers give them."""

import copy

import pytest

from camseek.backbones.wordnet import wordnet_names
from camseek.errors import SettingsError
from camseek.extraction.classes import resolve_classes, resolve_list
from camseek.lab.paper.numbers import PARIS_CLASSES

# METHOD.md, "Predefined classes".
PARIS_IDS = (884, 442, 421, 409, 498, 506, 718, 538, 708, 557, 497, 494, 839, 448, 835, 873)


def named(model, *names):
    """A model of other class names."""
    other = copy.copy(model)
    other.class_names = names
    return other


def is_found(model, name):
    try:
        return len(resolve_classes(model, [name])) == 1
    except SettingsError:
        return False


class TestWordNet:
    def test_the_papers_sixteen(self, model):
        assert resolve_classes(model, PARIS_CLASSES) == PARIS_IDS
        assert resolve_classes(model, ["Chime", "BELL COTE", " banister "]) == (494, 442, 421)
        assert resolve_classes(model, ["bell cot", "balustrade", "cinema", "gong"]) == (
            442,
            421,
            498,
            577,
        )

    def test_every_name_of_every_class_is_understood_or_asked_about(self, model):
        names = wordnet_names(model.class_names)
        assert len(names) == 1000
        assert all(names)
        asked = {name for known in names for name in known if not is_found(model, name)}
        for number, known in enumerate(names):
            for name in known - asked:
                [found] = resolve_classes(model, [name])
                assert found == number or name in model.class_names[found].casefold().split(" / ")
        assert asked == {
            "sand viper",
            "grass snake",
            "crawfish",
            "crane",
            "panther",
            "catamount",
            "sus scrofa",
            "polecat",
            "panda",
            "tub",
            "wagon",
            "horn",
            "maillot",
            "missile",
            "sunglasses",
        }

    @pytest.mark.parametrize(
        ("name", "remedy"),
        [
            ("crane", "134 (crane bird), 517 (construction crane)"),
            (
                "maillot",
                "638 (tights for gymnastics, a one-piece leotard, or a sport jersey), 639 (one-piece",
            ),
        ],
    )
    def test_ambiguous_names_are_asked_about_with_both_numbers(self, model, name, remedy):
        with pytest.raises(SettingsError, match=f"2 classes are called '{name}'") as error:
            resolve_classes(model, [name])
        assert remedy in error.value.remedy

    def test_what_camseek_prints_counts_first(self, model):
        """The harmonica is a harp too, the spiny lobster a crayfish; the harp is called nothing else."""
        assert resolve_classes(model, ["harp", "crayfish", "harmonica"]) == (594, 124, 593)
        assert all(
            resolve_classes(model, [name]) == (number,)
            for number, name in enumerate(model.class_names)
            if model.class_names.count(name) == 1
        )

    def test_unknown_ones_tell_what_is_near(self, model):
        with pytest.raises(SettingsError, match="no class 'qqqq'") as error:
            resolve_classes(model, ["qqqq"])
        assert "camseek explain" in error.value.remedy
        with pytest.raises(SettingsError) as error:
            resolve_classes(model, ["balustrate"])
        assert "balustrade" in error.value.remedy
        with pytest.raises(SettingsError) as error:
            resolve_classes(model, ["movie theat"])
        assert "movie theater" in error.value.remedy
        with pytest.raises(SettingsError) as error:
            resolve_classes(model, ["picture pal"])
        assert "did you mean movie theater?" in error.value.remedy


class TestOtherModels:
    def test_classes_of_its_own_have_no_other_names(self, model):
        other = named(model, "vault", "bell tower")
        assert wordnet_names(other.class_names) == (frozenset(),) * 2
        with pytest.raises(SettingsError):
            resolve_classes(other, ["bell cote"])

    def test_names_in_wordnets_form(self, model):
        """An imported model whose class file holds all of WordNet's names, or one."""
        lines = list(model.class_names)
        lines[442], lines[421], lines[884] = "bell cote, bell cot", "bannister", "something else"
        other = named(model, *lines)
        assert resolve_classes(other, ["bell cot", "handrail", "bell cote, bell cot"]) == (442, 421)
        with pytest.raises(SettingsError):
            resolve_classes(other, ["vault"])


class TestLists:
    def test_by_name(self, model):
        assert resolve_list(model, [(name, None) for name in PARIS_CLASSES]) == PARIS_IDS

    def test_a_name_beside_a_number(self, model):
        assert resolve_list(model, [("442", "bell cote"), ("421", "handrail / baluster")]) == (442, 421)
        with pytest.raises(SettingsError, match="class 442 is 'bell tower'"):
            resolve_list(model, [("442", "vault")])
