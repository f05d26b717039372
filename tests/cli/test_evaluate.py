"""``camseek evaluate`` with its options, on a small data set in its official form."""

import json
import os
from xml.etree import ElementTree

import pytest

SMALL = ("--size", "128", "--encoding", "cam:classes=8", "--region-reading", "cells")


@pytest.fixture(scope="module")
def oxford(tmp_path_factory, miniatures):
    return f"oxford5k={miniatures.oxford(tmp_path_factory.mktemp('oxford'))}"


def then(protocol):
    """The stages after the first one, by name: each with its settings."""
    plan = protocol["plan"]
    assert plan["first"]["stage"] == "Nearest"
    stages = {stage.pop("stage"): stage for stage in map(dict, plan["then"])}
    assert len(stages) == len(plan["then"])
    return stages


def only(told):
    """The numbers and the protocol of the one encoding."""
    ((name, scores),) = told["encodings"].items()
    return scores, told["settings"]["protocols"][name]


class TestOptions:
    def test_a_public_data_set_brings_its_protocol(self, oxford, camseek):
        told = camseek("evaluate", oxford, *SMALL)
        scores, protocol = only(told)
        assert (told["database"], told["queries"], scores["ap_form"]) == (26, 9, "trapezoid")
        assert protocol["region_reading"] == "cells"
        assert told["settings"]["queries_in_database"] == 9

    def test_average_precision_by_option(self, oxford, camseek):
        mean = camseek("evaluate", oxford, *SMALL, "--ap", "mean")
        assert only(mean)[0]["ap_form"] == "mean"
        assert only(mean)[0]["mAP"] > only(camseek("evaluate", oxford, *SMALL))[0]["mAP"]

    @pytest.mark.parametrize(
        ("options", "plan"),
        [
            (
                ("--aggregation", "online", "--classes", "3"),
                {"DescribeAnew": {"classes": 3, "predefined": [], "attend": [], "shortlist": None}},
            ),
            (
                ("--attend", "church", "--attend", "9"),
                {"DescribeAnew": {"classes": None, "predefined": [], "attend": [497, 9], "shortlist": None}},
            ),
            (
                ("--expand", "3", "--expand-with-query", "--rerank", "5"),
                {"MatchRegions": {"count": 5}, "Expand": {"count": 3, "with_query": True}},
            ),
        ],
    )
    def test_plans(self, oxford, camseek, options, plan):
        scores, protocol = only(camseek("evaluate", oxford, *SMALL, *options))
        stages = then(protocol)
        assert list(stages) == list(plan)
        assert all(wanted.items() <= stages[name].items() for name, wanted in plan.items())
        assert scores["mAP"] != only(camseek("evaluate", oxford, *SMALL))[0]["mAP"]

    def test_a_list_of_classes(self, oxford, camseek, tmp_path):
        (tmp_path / "list.txt").write_text("church\n9\n")
        told = camseek("evaluate", oxford, *SMALL, "--class-list", tmp_path / "list.txt")
        assert then(only(told)[1])["DescribeAnew"]["predefined"] == [497, 9]

    def test_setups(self, tmp_path, miniatures, camseek, text):
        truth = f"roxford5k={miniatures.roxford(tmp_path)}"
        setups = only(camseek("evaluate", truth, *SMALL))[0]["setups"]
        assert list(setups) == ["easy", "medium", "hard"]
        out = text("evaluate", truth, *SMALL).out
        assert "mP@10" in out
        assert "medium" in out

    def test_four_of_four(self, tmp_path, miniatures, camseek, text):
        truth = f"ukbench={miniatures.ukbench(tmp_path)}"
        score = only(camseek("evaluate", truth, *SMALL))[0]["N-S"]
        assert f"{score:.3f}" in text("evaluate", truth, *SMALL).out

    def test_with_a_collection(self, oxford, camseek, collection):
        place = oxford.partition("=")[2]
        camseek("index", place + "/jpg", "--collection", collection, *SMALL[:4])
        told = camseek("evaluate", oxford, "--collection", collection, "--expand", "3", "--rerank", "4")
        assert (told["database"], told["distractors"]) == (26, 0)
        assert then(only(told)[1])["MatchRegions"]["count"] == 4


class TestShortlist:
    def test_as_many_as_asked_are_described_anew(self, oxford, camseek, text):
        options = (*SMALL, "--aggregation", "online", "--classes", "3")
        some = camseek("evaluate", oxford, *options, "--shortlist", "4")
        assert then(only(some)[1])["DescribeAnew"]["shortlist"] == 4
        every = only(camseek("evaluate", oxford, *options))
        assert then(every[1])["DescribeAnew"]["shortlist"] is None
        # All 26, and more than all, is all.
        most = only(camseek("evaluate", oxford, *options, "--shortlist", "26"))[0]
        assert most["average_precisions"] == every[0]["average_precisions"]
        assert only(some)[0]["average_precisions"] != most["average_precisions"]
        told = text("evaluate", oxford, *options, "--shortlist", "4").out
        assert "online aggregation of the first 4\n" in told
        assert "online aggregation\n" in text("evaluate", oxford, *options).out

    def test_it_reaches_as_far_as_later_stages(self, oxford, camseek):
        options = ("--aggregation", "online", "--shortlist", "2", "--rerank", "5", "--expand", "3")
        stages = then(only(camseek("evaluate", oxford, *SMALL, *options))[1])
        assert stages["DescribeAnew"]["shortlist"] == 5

    @pytest.mark.parametrize("options", [(), ("--rerank", "3"), ("--aggregation", "offline")])
    def test_without_a_description_anew_there_is_none(self, oxford, failing, options):
        error = failing("evaluate", oxford, *SMALL, *options, "--shortlist", "4", code=2)
        assert "--shortlist goes with --aggregation online or predefined" in error["message"]

    def test_less_than_one_is_none(self, oxford, failing):
        options = ("--aggregation", "online", "--shortlist", "0")
        assert failing("evaluate", oxford, *SMALL, *options, code=2)["code"] == "usage"


class TestOneSearch:
    """A collection is measured with the very search that it answers people with."""

    @pytest.fixture
    def folder(self, tmp_path, miniatures):
        """Things on walls. Names and records differ in their order, and one picture has two names."""
        place = tmp_path / "photos"
        for number in range(10):
            name = f"{(7 * number) % 10}.png"
            miniatures.save(miniatures.scene(number, number % 3, number, 0.6), place / name)
        (place / "a.png").write_bytes((place / "4.png").read_bytes())
        return place

    @pytest.fixture
    def truth(self, tmp_path, folder, miniatures):
        """Each picture is the one positive of a query of its own: average precisions tell the rankings."""
        queries = []
        for number, region in enumerate((None, [60, 30, 144, 106])):
            miniatures.save(miniatures.scene(40 + number, number, number), tmp_path / f"query{number}.png")
            for name in sorted(os.listdir(folder)):
                item = {"id": f"{number} {name}", "image": f"query{number}.png", "region": region}
                queries.append(item | {"good": [name]})
        place = tmp_path / "truth.json"
        place.write_text(json.dumps({"database": "photos", "queries": queries}))
        return place

    @pytest.fixture
    def ranked(self, camseek, collection, tmp_path):
        """The names in the order of a search, for each query."""

        def call(*options):
            found = {}
            for number, region in enumerate(((), ("--region", "60,30,144,106"))):
                query = (tmp_path / f"query{number}.png", *region)
                told = camseek("search", *query, "--collection", collection, *options)
                found[number] = [os.path.basename(path) for hit in told["hits"] for path in hit["paths"]]
            return found

        return call

    @pytest.fixture
    def measured(self, camseek, collection, truth):
        """The names in the order that an evaluation must have had, for each query."""

        def call(*options):
            told = camseek("evaluate", truth, "--collection", collection, "--ap", "mean", *options)
            found = {}
            for key, precision in only(told)[0]["average_precisions"].items():
                number, name = key.split()
                found.setdefault(int(number), {})[name] = precision
            return {number: sorted(names, key=lambda name: -names[name]) for number, names in found.items()}

        return call

    @pytest.mark.parametrize("encoding", ["gem:prior=centre", "cam:classes=8"])
    @pytest.mark.parametrize(
        "options",
        [
            ("--expand", "3", "--expand-with-query"),
            ("--rerank", "10"),
            ("--rerank", "5", "--expand", "2"),
            ("--aggregation", "online", "--classes", "4", "--expand", "2"),
            ("--aggregation", "online", "--rerank", "4", "--expand", "2"),
            ("--attend", "church", "--attend", "9", "--rerank", "3"),
        ],
    )
    def test_the_rankings_are_those_of_search(
        self, folder, camseek, collection, measured, ranked, encoding, options
    ):
        camseek("index", folder, "--collection", collection, "--encoding", encoding)
        found = measured(*options)
        assert found == ranked(*options, "--top", "99")
        plain = measured()
        assert plain == ranked("--top", "99")
        # Each option decides something here.
        assert found != plain

    def test_a_shortlist(self, folder, camseek, collection, measured, ranked):
        camseek("index", folder, "--collection", collection, "--encoding", "gem:prior=centre")
        options = ("--aggregation", "online", "--classes", "2", "--shortlist", "6")
        found, plain = measured(*options), ranked("--top", "99")
        first = ranked(*options, "--top", "6")
        assert found == {number: names + plain[number][len(names) :] for number, names in first.items()}
        assert found != plain


class TestWhitening:
    def test_on_a_folder(self, oxford, photos, camseek, text):
        folder = photos(6)
        options = (*SMALL, "--whitening-on", folder, "--dimensions", "3")
        note = only(camseek("evaluate", oxford, *options))[1]["whitening_note"]
        assert "6 vectors of 6 pictures" in note
        assert note.endswith("N_pca 1, 3 dimensions")
        assert "whitening fitted on 6 vectors" in text("evaluate", oxford, *options).out

    def test_on_another_set(self, oxford, tmp_path, miniatures, camseek):
        other = f"paris6k={miniatures.paris(tmp_path)}"
        options = ("--whitening-on", other, "--sample-classes", "2", "--dimensions", "5")
        _, protocol = only(camseek("evaluate", oxford, *SMALL, *options))
        assert "N_pca 2, 5 dimensions" in protocol["whitening_note"]
        assert protocol["whitening"]

    def test_on_the_evaluated_pictures_says_so(self, oxford, camseek):
        note = only(camseek("evaluate", oxford, *SMALL, "--whitening-on", oxford))[1]["whitening_note"]
        assert "the evaluated pictures themselves" in note

    def test_with_predefined_classes(self, oxford, photos, camseek, failing, tmp_path):
        """The whitening is fitted on the list's classes (paper section 4.3)."""
        (tmp_path / "list.txt").write_text("vault\nbell cote\nbannister\n")
        options = (*SMALL, "--whitening-on", photos(30), "--dimensions", "3", "--sample-classes", "2")
        plain = only(camseek("evaluate", oxford, *options))[1]
        listed = only(camseek("evaluate", oxford, *options, "--class-list", tmp_path / "list.txt"))[1]
        assert plain["whitening"] != listed["whitening"]
        assert ", N_pca 2, 3 dimensions" in plain["whitening_note"]
        assert ", N_pca 2 of the class list, 3 dimensions" in listed["whitening_note"]
        more = (*options[:-1], "4", "--class-list", tmp_path / "list.txt")
        assert "4 sample classes are more than" in failing("evaluate", oxford, *more)["message"]

    def test_encodings_that_differ_in_their_number_of_classes_share_it(self, oxford, photos, camseek):
        options = ("--encoding", "cam:classes=2", "--encoding", "gem", "--whitening-on", photos(5))
        told = camseek("evaluate", oxford, *SMALL, *options)["settings"]["protocols"]
        assert told["cam:classes=8"]["whitening"] == told["cam:classes=2"]["whitening"]
        assert told["gem"]["whitening"] != told["cam:classes=2"]["whitening"]

    def test_online_features_are_whitened_as_class_vectors(self, oxford, photos, camseek):
        options = ("--size", "128", "--aggregation", "online")
        told = camseek("evaluate", oxford, *options, "--whitening-on", photos(5))
        # The default encoding is gem: its power stays.
        assert list(told["encodings"]) == ["cam:power=3"]
        assert told["settings"]["protocols"]["cam:power=3"]["encoding"] == "cam:power=3"

    def test_other_encodings_have_no_classes_to_sum(self, oxford, failing):
        options = ("--encoding", "cam", "--encoding", "gem", "--aggregation", "online")
        assert "gem: only --encoding cam" in failing("evaluate", oxford, *options, code=2)["message"]


class TestPlot:
    def test_is_written(self, oxford, text, tmp_path):
        place = tmp_path / "plot.svg"
        told = text("evaluate", oxford, *SMALL, "--encoding", "gem", "--plot", place)
        assert told.err.splitlines()[-1] == f"plot: {place}"
        words = [item.text for item in ElementTree.parse(place).iter() if item.tag.endswith("}text")]
        assert {"cam:classes=8", "gem", "mean average precision, 95 % interval"} <= set(words)

    def test_is_refused_before_the_work(self, oxford, failing, tmp_path):
        assert failing("evaluate", oxford, "--plot", tmp_path / "none" / "plot.svg")["code"] == "output"


class TestRefusals:
    @pytest.mark.parametrize(
        "options",
        [
            ("--dimensions", "8"),
            ("--expand-with-query",),
            ("--classes", "4"),
            ("--aggregation", "predefined"),
        ],
    )
    def test_options_that_do_not_go_together(self, oxford, failing, options):
        assert failing("evaluate", oxford, *options, code=2)["code"] == "usage"

    def test_a_whitening_for_a_collection(self, oxford, failing, camseek, collection, photos):
        folder = photos(2)
        camseek("index", folder, "--collection", collection)
        options = ("--collection", collection, "--whitening-on", folder)
        assert failing("evaluate", oxford, *options, code=2)["code"] == "usage"

    def test_an_unknown_set(self, failing):
        assert "no data set 'oxford'" in failing("evaluate", "oxford=/nowhere")["message"]

    def test_an_unknown_class(self, oxford, failing):
        assert failing("evaluate", oxford, "--attend", "nonsense")["code"] == "settings"
