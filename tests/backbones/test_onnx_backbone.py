import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from camseek.backbones import load_model
from camseek.encoding.activations import probabilities


@pytest.fixture(scope="module")
def backbone():
    return load_model(threads=1)


@pytest.fixture(scope="module")
def backbone16():
    return load_model(threads=1, layer="expand16")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def assert_close(a, b):
    assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def test_attributes(backbone, backbone16):
    assert (backbone.layer, backbone.channels, backbone.stride) == ("head", 1280, 32)
    assert (backbone16.layer, backbone16.channels, backbone16.stride) == ("expand16", 672, 16)
    assert backbone.checksum == backbone.card.model.sha256
    assert backbone.classifier_weights.shape == (1000, 1280)
    assert backbone.classifier_bias.shape == (1000,)
    assert len(backbone.class_names) == 1000
    assert backbone.class_names[0] == "tench"
    assert backbone.class_names[954] == "banana"


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 5000), (5000, 1), (33, 31), (31, 33), (427, 640), (640, 427), (32, 32)]
)
def test_shapes_and_masks(backbone, backbone16, height, width):
    pixels = noise(height, width)
    rows, columns = -(-height // 32), -(-width // 32)
    found = backbone.run(pixels)
    assert found.features is found.classifier_maps
    assert found.features.shape == (1, 1280, rows, columns)
    assert found.features.dtype == np.float32
    assert found.features.min() >= 0
    assert found.scores.shape == (1, 1000)
    assert found.mask.shape == (1, rows, columns)
    assert found.mask.all()  # less than a cell of padding
    assert found.classifier_mask.all()

    found16 = backbone16.run(pixels)
    assert found16.features.shape == (1, 672, 2 * rows, 2 * columns)
    assert found16.features.min() >= 0
    assert found16.classifier_maps.shape == (1, 1280, rows, columns)
    assert found16.classifier_mask.all()
    expected = np.zeros((1, 2 * rows, 2 * columns), bool)
    expected[:, : -(-height // 16), : -(-width // 16)] = True
    np.testing.assert_array_equal(found16.mask, expected)
    np.testing.assert_array_equal(found16.scores, found.scores)


@pytest.mark.parametrize(("height", "holds"), [(32, True), (17, True), (16, False), (15, False), (1, False)])
def test_cells_wholly_in_padding(backbone16, height, holds):
    mask = backbone16.run(noise(height, 64)).mask
    assert mask.shape == (1, 2, 4)
    assert mask[0, 0].all()
    assert mask[0, 1].all() == mask[0, 1].any() == holds


def test_prepare(backbone):
    pixels = noise(33, 31)
    prepared = backbone.prepare(pixels)
    assert prepared.shape == (1, 3, 64, 32)
    assert prepared.dtype == np.float32
    for y, x, channel in [(0, 0, 0), (32, 30, 2), (5, 7, 1)]:
        assert prepared[0, channel, y, x] == (float(pixels[y, x, channel]) - 127) / 128
    assert not prepared[:, :, 33:].any()
    assert not prepared[:, :, :, 31:].any()


def test_prepare_takes_views(backbone):
    pixels = noise(64, 96)
    turned = np.rot90(pixels)
    np.testing.assert_array_equal(backbone.prepare(turned), backbone.prepare(turned.copy()))
    pixels.flags.writeable = False
    backbone.prepare(pixels)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3)])
def test_no_pixels(backbone, shape):
    with pytest.raises(ValueError, match="shape"):
        backbone.run(np.zeros(shape, np.uint8))


def test_scores_are_the_classifier_on_the_means(backbone):
    found = backbone.run(noise(200, 300))
    means = found.classifier_maps.mean(axis=(2, 3))
    expected = means @ backbone.classifier_weights.T + backbone.classifier_bias
    np.testing.assert_allclose(found.scores, expected, atol=1e-4)


def test_mean_colour_and_padding_are_the_same(backbone):
    pixels = noise(40, 64)
    grown = np.full((64, 64, 3), 127, np.uint8)
    grown[:40] = pixels
    np.testing.assert_array_equal(backbone.run(pixels).features, backbone.run(grown).features)


def test_threads_may_share_a_backbone(backbone):
    pictures = [noise(64 + 32 * (i % 3), 96 + 32 * (i % 5), seed=i) for i in range(24)]
    alone = [backbone.run(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(backbone.run, pictures))
    for one, other in zip(alone, together, strict=True):
        assert_close(other.features, one.features)
        assert_close(other.scores, one.scores)


def test_number_of_threads_changes_nothing(backbone):
    pixels = noise(224, 320)
    one, two = backbone.run(pixels), load_model(threads=2).run(pixels)
    assert_close(two.features, one.features)
    assert_close(two.scores, one.scores)


def test_same_picture_same_bits(backbone):
    pixels = noise(100, 150)
    np.testing.assert_array_equal(backbone.run(pixels).features, backbone.run(pixels).features)


def test_names_fit_the_scores(backbone):
    y, x = np.mgrid[:224, :224]
    pixels = np.full((224, 224, 3), 255, np.uint8)
    pixels[(y - 112) ** 2 + (x - 112) ** 2 < 70**2] = (255, 140, 0)
    found = probabilities(backbone.run(pixels).scores)[0]
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert backbone.class_names[int(found.argmax())] == "ping-pong ball"


def test_probabilities():
    scores = np.array([[0.0, np.log(3.0)], [1000.0, 1000.0], [-1000.0, 0.0]], np.float32)
    expected = [[0.25, 0.75], [0.5, 0.5], [0.0, 1.0]]
    np.testing.assert_allclose(probabilities(scores), expected, atol=1e-6)
    assert probabilities(scores).dtype == np.float32


def test_import_is_light_and_loading_is_silent():
    script = (
        "import sys; from camseek.backbones import load_model;"
        "assert 'onnxruntime' not in sys.modules; load_model(threads=2)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
