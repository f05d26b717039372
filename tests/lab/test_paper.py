"""The paper's experiments on small sets in the official forms of Oxford5k and Paris6k."""

import functools
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from camseek.backbones import load_model
from camseek.config import Encoding, Limits, Resize, Settings
from camseek.datasets import read_dataset
from camseek.encoding.encoder import Encoder
from camseek.encoding.pooling import channel_weights, sum_pool
from camseek.encoding.whitening import fit_whitening
from camseek.errors import ModelError, OutputError, SettingsError
from camseek.extraction.extractor import Extractor, RegionRules
from camseek.extraction.reading import PictureReader
from camseek.job import Job
from camseek.lab import paper
from camseek.lab.measuring import measure
from camseek.lab.measuring.held_out import fit_held_out, held_out
from camseek.lab.paper import columns as columns_module
from camseek.lab.paper import numbers, runner, whitenings
from camseek.lab.paper.experiments import FIGURES, PAPER_MODELS, TABLES
from camseek.lab.paper.networks import Network
from camseek.lab.paper.work import Work
from camseek.lab.protocol import Protocol
from camseek.searching import Plan

SIZE = Resize.parse("96")
SMALL = {"dimensions": 8, "workers": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory, miniatures):
    folder = tmp_path_factory.mktemp("data")
    miniatures.oxford(folder / "oxford5k")
    miniatures.paris(folder / "paris6k")
    return folder


@pytest.fixture
def sets(data):
    return paper.paper_columns(str(data), size=SIZE)


@pytest.fixture
def passes(monkeypatch):
    """Counts measurements and passes for whitenings."""
    counted = []

    def counting(name, real):
        return lambda *args, **options: counted.append(name) or real(*args, **options)

    monkeypatch.setattr(runner, "measure", counting("measure", runner.measure))
    # Asked for once for each pass.
    monkeypatch.setattr(whitenings, "picture_paths", counting("samples", whitenings.picture_paths))
    monkeypatch.setattr(runner, "tally", counting("tally", runner.tally))
    return counted


HEAD = [Network(name="efficientnet-lite0", layer="head")]
# The embedded network in the place of the paper's: its numbers stand beside.
VGG = [replace(HEAD[0], slot="VGG-16")]


def _run(sets, work, tables=("1a",), figures=(), networks=None, **options):
    asked = paper.Asked(tables=tables, figures=figures)
    return paper.run_paper(sets, networks or HEAD, asked, work=work, **SMALL | options)


def _ours(report, setting, column, table=0):
    lines = [line for line in report.tables[table].lines if line.setting == setting]
    return [line.entries[column].ours for line in lines if line.entries[column].ours is not None]


class TestNumbers:
    """METHOD.md, "The paper's numbers", read off by hand."""

    @pytest.mark.parametrize(
        ("table", "slot", "label", "expected"),
        [
            ("1a", "VGG-16", "raw sum-pooling", (0.396, 0.526, None, None)),
            ("1a", "VGG-16", "raw + CroW", (0.420, 0.549, None, None)),
            ("1a", "VGG-16", "raw + PCA", (0.589, 0.662, None, None)),
            ("1a", "VGG-16", "raw + CroW + PCA", (0.607, 0.685, None, None)),
            ("1a", "VGG-16", "64 CAMs", (0.712, 0.805, 0.672, 0.733)),
            ("1a", "ResNet-50", "raw sum-pooling", (0.389, 0.508, None, None)),
            ("1a", "ResNet-50", "64 CAMs", (0.699, 0.804, None, None)),
            ("1a", "DenseNet-161", "raw sum-pooling", (0.339, 0.495, None, None)),
            ("1a", "DenseNet-161", "64 CAMs", (0.695, 0.799, None, None)),
            ("1b", "VGG-16", "raw + PCA", (0.420, None, None, None)),
            ("1b", "VGG-16", "1 CAM", (0.667, None, None, None)),
            ("1b", "VGG-16", "8 CAMs", (0.709, None, None, None)),
            ("1b", "VGG-16", "32 CAMs", (0.711, None, None, None)),
            ("1b", "VGG-16", "64 CAMs", (0.712, None, None, None)),
            ("2a", "VGG-16", "SPoC", (0.531, None, 0.501, None)),
            ("2a", "VGG-16", "uCroW", (0.666, 0.767, 0.629, 0.695)),
            ("2a", "VGG-16", "CroW", (0.682, 0.796, 0.632, 0.710)),
            ("2a", "VGG-16", "R-MAC", (0.669, 0.830, 0.616, 0.757)),
            ("2a", "VGG-16", "BoW, 25k words", (0.738, 0.820, 0.593, 0.648)),
            ("2a", "VGG-16", "Razavian, 32k", (0.843, 0.853, None, None)),
            ("2a", "VGG-16", "OnA, 64 CAMs", (0.736, 0.855, None, None)),
            ("2b", "VGG-16", "CroW, QE 10", (0.722, 0.855, 0.678, 0.797)),
            ("2b", "VGG-16", "R-MAC, R 1000, QE 5", (0.770, 0.877, 0.726, 0.817)),
            ("2b", "VGG-16", "BoW, R 100, QE 10", (0.788, 0.848, 0.651, 0.641)),
            ("2b", "VGG-16", "OnA, QE 10", (0.760, 0.873, None, None)),
            ("2b", "VGG-16", "OfA, QE 10", (0.730, 0.836, 0.712, 0.791)),
            ("2b", "VGG-16", "OnA, R 100, QE 10", (0.780, 0.874, None, None)),
            ("2b", "VGG-16", "OfA, R 100, QE 10", (0.773, 0.838, 0.750, 0.780)),
            ("2b", "VGG-16", "OnA, R 1000, QE 5", (0.811, 0.874, None, None)),
            ("2b", "VGG-16", "OfA, R 1000, QE 5", (0.801, 0.855, 0.769, 0.800)),
        ],
    )
    def test_row(self, table, slot, label, expected):
        [row] = [row for row in TABLES[table].rows if (row.slot, row.label) == (slot, label)]
        assert tuple(row.paper) == expected

    def test_costs(self):
        seconds = [row.seconds for row in TABLES["1b"].rows]
        assert seconds == [0.5, 0.5, 0.6, 0.9, 1.5]
        assert TABLES["1b"].rows[0].against == (0.589, 0.662, None, None)

    def test_dimensions(self):
        rows = {(row.slot, row.label): row.dimensions for table in TABLES.values() for row in table.rows}
        assert rows["VGG-16", "BoW, 25k words"] == "25k"
        assert rows["VGG-16", "Razavian, 32k"] == "32k"
        assert rows["ResNet-50", "raw sum-pooling"] == "2048"
        assert rows["DenseNet-161", "raw sum-pooling"] == "2208"
        assert rows["DenseNet-161", "64 CAMs"] == rows["VGG-16", "OnA, R 1000, QE 5"] == "512"
        # Rows that the paper does not have have no number of its own either.
        alone = [row for table in TABLES.values() for row in table.rows if not row.dimensions]
        assert {row.label for row in alone} == {
            "64 CAMs, no PCA",
            "R-MAC, samples as the others",
            "OfA, R 100",
            "OnA, R 100",
            "OfA, R 1000",
            "OnA, R 1000",
        }
        assert all(row.paper == numbers.NONE and row.experiment is not None for row in alone)

    def test_grid(self):
        assert {name: list(panels) for name, panels in FIGURES.items()} == {
            "4": ["OfA", "OnA"],
            "5a": [],
            "5b": ["OfA, predefined classes"],
        }
        for panel in (*FIGURES["4"].values(), *FIGURES["5b"].values()):
            assert list(panel) == [f"N_pca {count}" for count in (1, 16, 32, 48, 64)]
            assert all(list(line) == [1, *range(4, 65, 4)] for line in panel.values())
            for name, line in panel.items():
                assert {item.sample_classes for item in line.values()} == {int(name.removeprefix("N_pca "))}
                assert all(item.encoding.classes == count for count, item in line.items())
        assert not any(item.predefined for line in FIGURES["4"]["OnA"].values() for item in line.values())
        assert all(
            item.predefined for line in FIGURES["5b"].values() for it in line.values() for item in it.values()
        )
        assert numbers.PARIS_CLASSES[0] == "vault"
        assert numbers.PARIS_CLASSES[-1] == "triumphal arch"


class TestExperiments:
    def test_plans(self):
        rows = {row.label: row.experiment for row in TABLES["2b"].rows}
        assert rows["CroW, QE 10"].plan == Plan.of(expand=10, expand_with_query=True)
        assert rows["OfA, R 1000, QE 5"].plan == Plan.of(expand=5, rerank=1000)
        online = rows["OnA, R 100, QE 10"]
        assert online.plan == Plan.of("online", shortlist=None, expand=10, rerank=100)
        assert str(online.encoding) == "cam"
        assert online.encoding.classes == 64
        assert rows["R-MAC, R 1000, QE 5"] is None
        # Re-ranking without expansion, beside both.
        assert rows["OfA, R 100"].plan == Plan.of(rerank=100)
        assert rows["OnA, R 1000"].plan == Plan.of("online", shortlist=None, rerank=1000)
        plain = {row.label: row.experiment for row in TABLES["1a"].rows}
        assert plain["64 CAMs, no PCA"] == replace(plain["64 CAMs"], whitened=False)

    def test_channel_weights_are_the_research_codes_raw_crow(self, model):
        """f_k = CW_k Σ_ij χ_k,ij, l2-normalised (METHOD step 4 with a flat map)."""
        pixels = np.random.default_rng(3).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        activations = model.run(pixels)
        encoding = Encoding.parse("sum:weights=channel")
        assert str(encoding) == "sum:weights=channel"
        encoder = Encoder(encoding, model.classifier_weights, model.classifier_bias)
        maps, fires = activations.features[0], (activations.features[0] > 0).mean(axis=(1, 2))
        weights = np.array([np.log(fires.sum() / share) if share else 0.0 for share in fires])
        expected = weights * maps.sum(axis=(1, 2))
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(encoder.describe(activations)[0], expected, atol=1e-6)
        plain = sum_pool(activations.features, activations.mask)
        assert not np.allclose(plain[0], expected, atol=1e-3)
        assert channel_weights(activations.features, activations.mask).shape == plain.shape


class TestCells:
    def test_equal_separate_measurements(self, data, sets, tmp_path, model):
        """Whitening of Oxford5k is fitted on Paris6k's pictures, and the other way round."""
        report = _run(sets, tmp_path, tables=("1a", "2a", "2b"))
        truths = {name: read_dataset(name, data / name) for name in ("oxford5k", "paris6k")}

        @functools.cache
        def fitted(name, other, settings):
            of = held_out(truths[other], truths[name])
            return fit_held_out(model, of, settings, dimensions=8, job=Job(workers=2))[0]

        for name, other in (("oxford5k", "paris6k"), ("paris6k", "oxford5k")):
            for label, table, encoding, whitened, plan in (
                ("raw sum-pooling", 0, "sum", False, Plan()),
                ("raw + CroW + PCA", 0, "sum:weights=channel", True, Plan()),
                ("64 CAMs", 0, "cam", True, Plan()),
                ("64 CAMs, no PCA", 0, "cam", False, Plan()),
                ("R-MAC", 1, "rmac", True, Plan()),
                ("OnA, 64 CAMs", 1, "cam", True, Plan.of("online", shortlist=None)),
                ("OfA, R 100, QE 10", 2, "cam", True, Plan.of(rerank=100, expand=10)),
                ("OnA, R 100", 2, "cam", True, Plan.of("online", shortlist=None, rerank=100)),
            )[: 8 if name == "oxford5k" else 3]:
                settings = Settings(encoding=Encoding.parse(encoding), size=SIZE)
                whitening = fitted(name, other, settings) if whitened else None
                protocol = Protocol(settings=settings, plan=plan, whitening=whitening, ap_form="trapezoid")
                alone = measure(truths[name], {"it": protocol}, model=model, workers=2)
                [ours] = _ours(report, label, name, table)
                assert ours.mean == pytest.approx(alone.encodings[0].mean_average_precision), (label, name)
                assert (ours.queries, ours.left_out) == (9, 0)

    def test_r_mac_with_as_many_samples_as_the_others(self, sets, tmp_path, model):
        """Equal numbers of samples and of dimensions, beside R-MAC as its authors whiten it."""
        report = _run(sets, tmp_path, tables=("2a",), dimensions=512)
        lines = {line.setting: line for line in report.tables[0].lines if line.network == HEAD[0].title}
        pictures = {
            name: len(columns_module.picture_paths(item)) for name, item in zip("op", sets, strict=False)
        }
        wanted = {f"{count - 1}" for count in pictures.values()}
        for label in ("OfA, 64 CAMs", "CroW", "R-MAC, samples as the others"):
            found = {str(entry.ours.dimensions) for entry in lines[label].entries.values() if entry.ours}
            assert found == wanted
        more = {entry.ours.dimensions for entry in lines["R-MAC"].entries.values() if entry.ours}
        assert min(more) > max(pictures.values())
        for item, other in (("Oxford5k", "p"), ("Paris6k", "o")):
            own = f"{item}: whitening fitted on {pictures[other]} vectors of {pictures[other]} pictures of "
            assert sum(note.startswith(own) for note in report.notes) >= 1
            [told] = [
                note for note in report.notes if note.startswith(f"{item}: whitening of R-MAC fitted on ")
            ]
            assert int(told.split(" fitted on ")[1].split()[0]) > 10 * pictures[other]

    def test_difference(self, sets, tmp_path):
        report = _run(sets, tmp_path, tables=("1a", "1b"), networks=VGG)
        [cams] = [line for line in report.tables[0].lines if line.setting == "64 CAMs"]
        assert (cams.network, cams.dimensions) == ("VGG-16", "8")
        entry = cams.entries["paris6k"]
        assert entry.paper == 0.805
        assert entry.difference == pytest.approx(entry.ours.mean - 0.805)
        [faulty] = [
            line for line in report.tables[1].lines if line.setting == "raw + PCA" and line.cost is not None
        ]
        entry = faulty.entries["oxford5k"]
        # The number printed is a fault: the difference is from table 1a's.
        assert (entry.paper, entry.against) == (0.420, 0.589)
        assert entry.difference == pytest.approx(entry.ours.mean - 0.589)
        assert faulty.cost.seconds > 0
        assert faulty.cost.passes > 1
        assert faulty.paper_seconds == 0.5
        assert paper.Entry(paper=0.5).difference is None

    def test_the_papers_numbers_stand_beside_its_networks_alone(self, sets, tmp_path):
        """VGG-16's are no measure of another network."""
        report = _run(sets, tmp_path, tables=("1b",), networks=[*VGG, *HEAD])
        assert any(
            entry.paper is not None for line in report.tables[0].lines for entry in line.entries.values()
        )
        for line in report.tables[0].lines:
            if line.network == HEAD[0].title:
                assert line.paper_seconds is None
                assert all(
                    entry.paper is None and entry.difference is None for entry in line.entries.values()
                )
                assert line.entries["oxford5k"].ours is not None
                assert line.cost is not None

    def test_nothing_is_measured_twice(self, sets, tmp_path, passes):
        first = _run(sets, tmp_path, tables=("1a",), figures=("5a",))
        assert passes == ["samples", "measure", "samples", "measure", "tally"]
        assert first.cells == (12, 0)
        passes.clear()
        again = _run(sets, tmp_path, tables=("1a",), figures=("5a",))
        assert passes == []
        assert again.cells == (0, 12)
        assert again.tables == first.tables
        assert again.figures == first.figures
        # Another table shares what it can: of seven cells on each set 64 CAMs is not new.
        more = _run(sets, tmp_path, tables=("2a",))
        assert more.cells == (12, 2)

    def test_goes_on_after_an_interrupt(self, sets, tmp_path, passes, monkeypatch):
        real = runner.measure

        def stopped(truth, *args, **options):
            if truth.name == "paris6k":
                raise KeyboardInterrupt
            return real(truth, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(runner, "measure", stopped)
            with pytest.raises(KeyboardInterrupt):
                _run(sets, tmp_path)
        passes.clear()
        report = _run(sets, tmp_path)
        assert passes == ["measure"]
        assert report.cells == (6, 6)

    @pytest.mark.parametrize("change", ["picture", "labels", "dimensions", "damage"])
    def test_what_decides_a_cell_is_in_its_key(self, data, tmp_path, passes, change):
        folder = tmp_path / "data"
        shutil.copytree(data, folder)
        _run(paper.paper_columns(str(folder), size=SIZE), tmp_path / "work")
        options = {}
        if change == "picture":
            os.utime(next((folder / "oxford5k").rglob("*.jpg")), (1, 1))
        elif change == "labels":
            [junk, *_] = sorted((folder / "oxford5k").rglob("*_junk.txt"))
            junk.write_text("")
        elif change == "dimensions":
            options = {"dimensions": 7}
        else:
            [file, *_] = sorted((tmp_path / "work").glob("cell-*"))
            file.write_text(file.read_text()[:40])
        passes.clear()
        report = _run(paper.paper_columns(str(folder), size=SIZE), tmp_path / "work", **options)
        # A picture of Oxford5k that was only touched gives Paris6k the same whitening as before.
        assert report.cells[0] == {"picture": 6, "labels": 6, "dimensions": 6, "damage": 1}[change]
        assert "measure" in passes

    def test_work_that_cannot_be_written(self, sets, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write") as error:
            _run(sets, tmp_path / "file")
        assert "--work" in error.value.remedy


class TestSets:
    def test_missing_ones_are_named(self, data, tmp_path):
        shutil.copytree(data / "oxford5k", tmp_path / "data" / "oxford5k")
        sets = paper.paper_columns(str(tmp_path / "data"), size=SIZE)
        assert {item.name for item in sets if item.missing} == {"paris6k", "oxford105k", "paris106k"}
        report = _run(sets, tmp_path / "work")
        assert any(text.startswith("Paris6k: there is no folder") for text in report.missing)
        # No other set: what is not whitened is measured, the rest is not invented.
        assert _ours(report, "raw sum-pooling", "oxford5k")
        assert not _ours(report, "64 CAMs", "oxford5k")
        assert not _ours(report, "raw sum-pooling", "paris6k")
        assert "Oxford5k, efficientnet-lite0 head: no whitening, as there is no other set to fit it on" in (
            report.missing
        )
        assert any(
            "vgg16-cam" in text
            for text in _run(
                sets, tmp_path / "work", networks=[Network(name="VGG-16", slot="VGG-16", there=False), *HEAD]
            ).missing
        )

    def test_distractors(self, data, tmp_path, miniatures):
        """The larger set has the rows that the paper has numbers for, whitened on Paris6k too."""
        folder = tmp_path / "data"
        shutil.copytree(data, folder)
        miniatures.flickr(folder / "oxford5k")
        sets = paper.paper_columns(str(folder), size=SIZE)
        assert [item.name for item in sets if item.truth] == ["oxford5k", "paris6k", "oxford105k"]
        report = _run(sets, tmp_path / "work")
        assert _ours(report, "64 CAMs", "oxford105k")
        assert not _ours(report, "raw sum-pooling", "oxford105k")
        large = next(item for item in sets if item.name == "oxford105k")
        assert [item.name for item in columns_module.fitted_on(large, sets)] == ["paris6k"]
        assert len(columns_module.rows_of(large).paths) == len(columns_module.picture_paths(large)) + 4

    def test_own_ones_are_whitened_on_all_that_share_no_picture(self, photos, tmp_path):
        for name in ("one", "two", "three"):
            photos(3, name)
        texts = {
            "one/ground_truth.json": ("db: one", "one/0.jpg"),
            "one/ground_truth_again.json": ("db: one", "one/1.jpg"),
            "two/ground_truth.json": ("db: two", "two/0.jpg"),
            "asked.json": ("db: three", "two/0.jpg"),
        }
        for name, (_, image) in texts.items():
            place = tmp_path / name
            folder = {"asked.json": "three"}.get(name, ".")
            query = {"id": "q", "image": os.path.relpath(tmp_path / image, place.parent), "region": None}
            lists = {"good": ["2.jpg"], "ok": [], "junk": []}
            place.write_text(json.dumps({"database": folder, "queries": [query | lists]}))
        sets = paper.own_columns([str(tmp_path / name) for name in texts])
        named = {item.title: item for item in sets}
        assert list(named)[:3] == ["one", "one again", "two"]
        one, _, _, asked = sets
        fitted = {
            item.title: [other.title for other in columns_module.fitted_on(item, sets)] for item in sets
        }
        # "one again" is the same database; the queries of "asked" are pictures of "two".
        assert fitted["one"] == ["two", asked.title]
        assert fitted["two"] == ["one", asked.title]
        assert fitted[asked.title] == ["one"]
        assert all(item.truth.ap_form == "trapezoid" for item in sets)
        assert columns_module.theme(one, sets) is one
        again = paper.own_columns([str(tmp_path / "two/ground_truth.json")] * 3)
        assert [item.title for item in again] == ["two", "two 2", "two 3"]

    def test_a_damaged_picture_is_told_and_gives_no_sample(self, photos, encoded, tmp_path):
        truths = []
        for name in ("one", "two"):
            place = photos(5, name)
            (place / "broken.jpg").write_bytes(encoded(9)[:200])
            query = {"id": "q", "image": f"{name}/0.jpg", "region": None}
            query |= {"good": ["0.jpg", "1.jpg"], "ok": [], "junk": []}
            truths.append(tmp_path / f"{name}.json")
            truths[-1].write_text(json.dumps({"database": name, "queries": [query]}))
        sets = paper.own_columns([str(path) for path in truths], size=SIZE)
        report = _run(sets, tmp_path / "work", tables=("1a", "1b"))
        title = sets[0].title
        assert f"{title}: pictures that could not be used: 1" in report.missing
        fitted = next(text for text in report.notes if text.startswith(f"{title}: "))
        assert "fitted on 5 vectors of 5 pictures" in fitted
        assert "4 dimensions" in fitted
        assert sum(line.cost is not None for line in report.tables[1].lines) == 5
        assert all(line.paper_seconds is None for line in report.tables[1].lines)

    def test_the_papers_list_of_classes_is_that_of_paris(self, sets):
        oxford, paris = sets[:2]
        assert columns_module.theme(oxford, sets) is paris
        assert columns_module.theme(oxford, [oxford]) is oxford


class TestNetworks:
    def test_the_papers_that_are_there_and_the_embedded_one(self, monkeypatch, tmp_path):
        monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path))
        found = paper.choose_networks()
        assert [(item.title, item.there) for item in found] == [
            ("VGG-16", False),
            ("ResNet-50", False),
            ("DenseNet-161", False),
            ("efficientnet-lite0 expand16", True),
            ("efficientnet-lite0 head", True),
        ]
        assert [item.title for item in paper.choose_networks(layers=("head",))][3:] == [
            "efficientnet-lite0 head"
        ]
        with pytest.raises(ModelError):
            paper.choose_networks(["nowhere"])

    def test_the_papers_network_fills_its_rows(self, sets, tmp_path, monkeypatch):
        """A model that bears the name of ResNet-50 runs ResNet-50's rows, and no figure."""
        networks = [replace(HEAD[0], slot="ResNet-50")]
        report = _run(sets, tmp_path, tables=("1a", "2a"), figures=("5a",), networks=networks)
        lines = report.tables[0].lines
        assert [(line.network, line.setting) for line in lines] == [
            ("ResNet-50", "raw sum-pooling"),
            ("ResNet-50", "64 CAMs"),
        ]
        assert lines[1].entries["oxford5k"].paper == 0.699
        assert lines[1].entries["oxford5k"].ours is not None
        assert report.tables[1].lines == ()
        assert report.figures == ()
        assert PAPER_MODELS["ResNet-50"] == "resnet50"

    def test_without_a_classifier(self, sets, tmp_path):
        networks = [replace(HEAD[0], classifier=False)]
        report = _run(sets, tmp_path, networks=networks, figures=("5a",))
        assert _ours(report, "raw + PCA", "oxford5k")
        assert not _ours(report, "64 CAMs", "oxford5k")
        assert report.figures == ()
        assert any("no classifier" in text for text in report.missing)


class TestFigures:
    @pytest.fixture
    def small(self, monkeypatch):
        """The figures with fewer numbers of classes and lines."""
        counts, samples = (1, 8, 64), ("N_pca 1", "N_pca 16")
        for name, panels in FIGURES.items():
            few = {
                panel: {
                    label: {count: item for count, item in line.items() if count in counts}
                    for label, line in lines.items()
                    if label in samples
                }
                for panel, lines in panels.items()
            }
            monkeypatch.setitem(FIGURES, name, few)
        return counts

    def test_classes(self, sets, tmp_path, model):
        report = _run(sets[:2], tmp_path, tables=(), figures=("5a",))
        # One list, that of Paris6k's queries, for both sets.
        [classes] = report.figures
        assert "Paris6k" in classes.title
        assert (classes.paper[0], classes.queries) == ("vault", 9)
        shares = [share for _, share in classes.shares]
        assert len(shares) == 64
        assert shares == sorted(shares, reverse=True)
        # Of the queries as they are searched with: their regions' cells.
        extractor = Extractor.of(model, SIZE, Limits())
        tally = dict.fromkeys(range(1000), 0)
        for query in sets[1].truth.queries:
            seen = extractor.extract(os.fsdecode(query.image), query.region, RegionRules(reading="cells"))
            for number in np.argsort(-seen.inside.scores[0], kind="stable")[:64].tolist():
                tally[number] += 1
        assert [round(share * 9) for share in shares] == sorted(tally.values(), reverse=True)[:64]

    @pytest.mark.usefixtures("small")
    def test_lines(self, sets, tmp_path):
        report = _run(sets[:2], tmp_path, tables=("2a",), figures=("4", "5b"))
        four, five = report.figures
        # The paper's sets share figure 4, Oxford5k dotted; figure 5b shows Oxford5k alone.
        assert list(four.panels) == ["OfA", "OnA"]
        for curves in four.panels.values():
            told = [(curve.column, curve.label, curve.dotted) for curve in curves]
            assert told == [
                ("Oxford5k", "N_pca 1", True),
                ("Oxford5k", "N_pca 16", True),
                ("Paris6k", "N_pca 1", False),
                ("Paris6k", "N_pca 16", False),
            ]
        assert list(five.panels) == ["OfA, predefined classes"]
        assert {curve.column for curve in five.panels["OfA, predefined classes"]} == {"Oxford5k"}
        for figure in report.figures:
            for curves in figure.panels.values():
                assert all([count for count, _ in curve.points] == [1, 8, 64] for curve in curves)
        # The tables' 64 CAMs are points of the figure.
        for panel in ("OfA", "OnA"):
            [ours] = _ours(report, f"{panel}, 64 CAMs", "oxford5k")
            assert dict(four.panels[panel][0].points)[64] == ours.mean
        assert len({item.file for item in report.figures}) == 2
        told = json.loads(json.dumps(report.to_json()))["figures"][0]["panels"]["OfA"][0]
        assert (told["line"], told["set"], len(told["points"])) == ("N_pca 1", "Oxford5k", 3)

    @pytest.mark.usefixtures("small")
    def test_predefined_classes(self, data, sets, tmp_path, model):
        """The whitening is fitted on the list's first N_pca classes of every picture (section 4.3)."""
        one_network = _opened(sets, tmp_path)
        oxford = sets[0]
        chosen = one_network.class_list(oxford).ids
        assert len(chosen) == 64
        wanted = FIGURES["5b"]["OfA, predefined classes"]["N_pca 16"][8]
        [protocol] = one_network.protocols(oxford, [wanted]).values()
        assert (protocol.settings.predefined, protocol.settings.encoding.classes) == (chosen, 8)
        assert "N_pca 16 of the class list, 8 dimensions" in protocol.whitening_note
        own = FIGURES["4"]["OfA"]["N_pca 16"][8]
        [plain] = one_network.protocols(oxford, [own]).values()
        assert plain.whitening.checksum != protocol.whitening.checksum
        # By hand, and by what ``evaluate --whitening-on`` fits.
        truths = {name: read_dataset(name, data / name) for name in ("oxford5k", "paris6k")}
        pictures = held_out(truths["paris6k"], truths["oxford5k"])
        settings = Settings(encoding=Encoding.parse("cam:classes=8"), size=SIZE, predefined=chosen)
        fitted, note = fit_held_out(model, pictures, settings, dimensions=8, sample_classes=16)
        assert "N_pca 16 of the class list" in note
        np.testing.assert_allclose(protocol.whitening.projection, fitted.projection, rtol=1e-3, atol=1e-4)
        encoder = Encoder(settings.encoding, model.classifier_weights, model.classifier_bias)
        rows = []
        for path in pictures.paths:
            seen = Extractor.of(model, SIZE, Limits()).try_file(path)
            rows.append(encoder.parts(seen.activations, classes=np.array([chosen[:16]]))[0])
        rows = np.concatenate(rows)
        expected = fit_whitening(rows[rows.any(axis=1)], dimensions=8)
        np.testing.assert_allclose(fitted.projection, expected.projection, rtol=1e-3, atol=1e-4)
        with pytest.raises(SettingsError, match="more than the class list has"):
            fit_held_out(model, pictures, settings, dimensions=8, sample_classes=65)
        # Vectors of a list that only this set has are not kept.
        assert all(not listed for known in one_network.whitener._vectors.values() for _, listed in known)

    @pytest.mark.usefixtures("small")
    def test_the_passes_are_shared(self, sets, tmp_path, monkeypatch):
        """However many N_C and N_pca there are: one pass to sample, one to measure, for each set."""
        seen = []
        real = Extractor.try_file
        monkeypatch.setattr(Extractor, "try_file", lambda self, path: seen.append(path) or real(self, path))
        report = _run(sets[:2], tmp_path, tables=(), figures=("4", "5b"))
        assert report.cells == (2 * 2 * 6 + 6, 0)
        pictures = sum(len(columns_module.rows_of(item).paths) for item in sets[:2])
        assert len(seen) == 2 * pictures

    def test_n_pca(self, sets, tmp_path, model):
        """The whitening of N_pca classes is fitted on so many class vectors of each picture."""
        one_network = _opened(sets, tmp_path)
        wanted = [FIGURES["4"]["OfA"][f"N_pca {count}"][4] for count in (1, 16, 64)]
        found = one_network.whitener.fit(sets[0], wanted)
        cam = replace(Encoding.parse("cam"), classes=1)
        assert [(item.family, item.classes) for item in found] == [(cam, 1), (cam, 16), (cam, 64)]
        encoder = Encoder(replace(cam, classes=16), model.classifier_weights, model.classifier_bias)
        reader = PictureReader.of(model, SIZE, Limits())
        rows = []
        for path in columns_module.picture_paths(sets[1]):
            with open(path, "rb") as file:
                rows.append(encoder.parts(model.run(reader.read(file).pixels))[0])
        rows = np.concatenate(rows)
        expected = fit_whitening(rows[rows.any(axis=1)], dimensions=8)
        np.testing.assert_allclose(
            found[wanted[1].samples][0].projection, expected.projection, rtol=1e-3, atol=1e-3
        )
        assert f"{int(rows.any(axis=1).sum())} vectors" in found[wanted[1].samples][1]
        assert "of Paris6k, N_pca 16, 8 dimensions" in found[wanted[1].samples][1]


def _opened(sets, work):
    made = runner.Runner(sets, Work(work), 8, Job(workers=2), lambda _: None)
    return made.open(HEAD[0])


def test_json(sets, tmp_path):
    told = _run(sets, tmp_path, tables=("1b",), figures=("5a",), networks=VGG).to_json()
    assert json.loads(json.dumps(told)) == told
    [table] = told["tables"]
    row = next(row for row in table["rows"] if row["setting"] == "raw + PCA")
    assert row["numbers"]["oxford5k"]["paper"] == 0.420
    assert row["paper_seconds"] == 0.5
    assert row["cost"]["passes"] > 1
    assert row["numbers"]["paris6k"]["paper"] is None
    assert row["dimensions"] == "8"
    assert told["figures"][0]["figure"] == "5a"
    assert told["figures"][0]["queries"] == 9


def test_whitenings_survive(tmp_path):
    samples = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    whitening = fit_whitening(samples, dimensions=3)
    work = Work(tmp_path / "deep" / "work")
    assert work.get_whitening({"a": 1}) is None
    work.put_whitening({"a": 1}, whitening, "something")
    found, note = work.get_whitening({"a": 1})
    assert (found.checksum, note) == (whitening.checksum, "something")
    assert work.get_whitening({"a": 2}) is None
    [file] = (tmp_path / "deep" / "work").glob("*.bin")
    file.write_bytes(file.read_bytes()[:-1])
    assert work.get_whitening({"a": 1}) is None
    assert not list((tmp_path / "deep" / "work").glob("*.part"))


def test_the_embedded_model_has_the_layers_that_are_measured():
    assert load_model(layer="expand16").stride == 16
