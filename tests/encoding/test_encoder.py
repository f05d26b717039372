"""What the composition of the stages promises to those that store and whiten its vectors."""

from typing import get_args

import numpy as np
import pytest

from camseek import Encoding
from camseek.config import EncodingName
from camseek.encoding.activations import Activations
from camseek.encoding.encoder import Choices, Encoder

CLASSES, CHANNELS, ROWS, COLUMNS = 7, 5, 6, 8


@pytest.fixture
def activations():
    generator = np.random.default_rng(0)
    maps = np.maximum(generator.normal(size=(1, CHANNELS, ROWS, COLUMNS)), 0).astype(np.float32)
    every = np.ones((1, ROWS, COLUMNS), bool)
    scores = generator.normal(size=(1, CLASSES)).astype(np.float32)
    return Activations(features=maps, classifier_maps=maps, scores=scores, mask=every, classifier_mask=every)


def encoder(name, **settings):
    weights = np.random.default_rng(1).normal(size=(CLASSES, CHANNELS)).astype(np.float32)
    return Encoder(Encoding(name=name, **settings), weights, np.zeros(CLASSES, np.float32))


@pytest.mark.parametrize("name", get_args(EncodingName))
def test_every_encoding_says_whether_a_picture_has_one_vector(activations, name):
    made = encoder(name)
    assert (made.parts(activations).shape[1] == 1) is made.encoding.one_vector
    if made.encoding.one_vector:
        # What is stored is then what a whitening takes: a fit need not read the pictures again.
        np.testing.assert_allclose(made.describe(activations), made.parts(activations)[:, 0], atol=1e-6)


@pytest.mark.parametrize("name", get_args(EncodingName))
def test_the_class_weighted_encoding_beside_another_has_its_power_only_of_gem(name):
    beside = encoder(name).class_weighted().encoding
    assert beside == Encoding(name="cam", power=3.0 if name == "gem" else 1.0)


def test_each_choice_of_classes_is_described_as_if_it_were_alone(activations):
    made, choices = encoder("cam"), [(0, 3), (3,), (6, 1, 0)]
    found = made.describe_each(activations, Choices.of(choices))
    for one, chosen in zip(found, choices, strict=True):
        alone = made.describe(activations, classes=np.array([chosen], np.int64))[0]
        np.testing.assert_allclose(one, alone, atol=1e-6)


def test_which_and_how_many_classes_decide_nothing_where_they_are_said(activations):
    few, many = encoder("cam", classes=2).unchosen(), encoder("cam", classes=64).unchosen()
    assert few.key == many.key
    chosen = np.array([[2, 4]], np.int64)
    np.testing.assert_array_equal(
        few.describe(activations, classes=chosen), many.describe(activations, classes=chosen)
    )
