"""``camseek evaluate`` with its options, on a small data set in its official form."""

from xml.etree import ElementTree

import pytest

SMALL = ("--size", "128", "--encoding", "cam:classes=8", "--region-reading", "cells")


@pytest.fixture(scope="module")
def oxford(tmp_path_factory, miniatures):
    return f"oxford5k={miniatures.oxford(tmp_path_factory.mktemp('oxford'))}"


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
            (("--aggregation", "online", "--classes", "3"), {"aggregation": "online", "classes": 3}),
            (("--attend", "church", "--attend", "9"), {"aggregation": "online", "attend": [497, 9]}),
            (
                ("--expand", "3", "--expand-with-query", "--rerank", "5"),
                {"expand": 3, "expand_with_query": True, "rerank": 5},
            ),
        ],
    )
    def test_plans(self, oxford, camseek, options, plan):
        scores, protocol = only(camseek("evaluate", oxford, *SMALL, *options))
        assert plan.items() <= protocol["plan"].items()
        assert scores["mAP"] != only(camseek("evaluate", oxford, *SMALL))[0]["mAP"]

    def test_a_list_of_classes(self, oxford, camseek, tmp_path):
        (tmp_path / "list.txt").write_text("church\n9\n")
        told = camseek("evaluate", oxford, *SMALL, "--class-list", tmp_path / "list.txt")
        plan = only(told)[1]["plan"]
        assert (plan["aggregation"], plan["predefined"]) == ("predefined", [497, 9])

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
        assert only(told)[1]["plan"]["rerank"] == 4


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
    def test_is_written(self, oxford, camseek, tmp_path):
        place = tmp_path / "plot.svg"
        camseek("evaluate", oxford, *SMALL, "--encoding", "gem", "--plot", place)
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
