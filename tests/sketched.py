"""Maps of few channels, and a sketcher of them."""

import numpy as np

from camseek.encoding.activations import Activations
from camseek.encoding.regions import CellGrid
from camseek.encoding.sketch import Sketcher, fit_axes

CHANNELS, DIMENSIONS = 16, 8


def maps_of(rows, columns, *, seed=0, channels=CHANNELS):
    values = np.random.default_rng(seed).normal(0.2, 1, (1, channels, rows, columns))
    return np.maximum(values, 0).astype(np.float32)


def cells_of(maps):
    return np.ascontiguousarray(maps[0].reshape(maps.shape[1], -1).T)


def activations_of(maps):
    mask = np.ones((1, *maps.shape[2:]), bool)
    return Activations(
        features=maps,
        classifier_maps=maps,
        scores=np.zeros((1, 3), np.float32),
        mask=mask,
        classifier_mask=mask,
    )


def grid_of(rows, columns, stride=4):
    size = (columns * stride, rows * stride)
    return CellGrid(size, size, stride)


def fitted(dimensions=DIMENSIONS, channels=CHANNELS):
    cells = maps_of(40, 50, seed=9, channels=channels)[0].reshape(channels, -1).T
    return fit_axes(np.ascontiguousarray(cells), dimensions=dimensions)


SKETCHER = Sketcher(fitted())
