import math
from dataclasses import replace

import numpy as np
import pytest

from camseek.encoding.likeness import QueryCells, likeness
from camseek.encoding.sketch import Sketch, Sketcher, fit_axes
from sketched import CHANNELS, DIMENSIONS, SKETCHER, activations_of, cells_of, grid_of, maps_of


def sketch(count, seed=0):
    """A sketch of random codes."""
    codes = np.random.default_rng(seed).integers(0, 256, (count, DIMENSIONS // 4), np.uint8)
    return Sketch((4 * max(count, 1), 4), 4, np.arange(max(count, 1))[None] < count, codes, SKETCHER.axes)


def query(rows, columns, seed=7):
    maps = maps_of(rows, columns, seed=seed)
    return QueryCells.of(SKETCHER, activations_of(maps), grid_of(rows, columns))


def looped(sought, one):
    """The likeness of one picture, cell by cell, in double precision."""
    total = weights = 0.0
    for cell in sought.values.astype(np.float64):
        best = -1.0
        for other in SKETCHER.values(one.codes).astype(np.float64):
            best = max(best, sum(cell * other) / math.sqrt(sum(cell**2)) / math.sqrt(sum(other**2)))
        total, weights = total + sum(cell**2) * best, weights + sum(cell**2)
    return total / weights


def test_loops_give_the_same():
    sought, pictures = query(6, 5), [sketch(9, 1), sketch(1, 2), sketch(30, 3)]
    expected = [looped(sought, one) for one in pictures]
    np.testing.assert_allclose(likeness(sought, pictures), expected, atol=1e-5)


def test_others_beside_it_change_nothing():
    sought, pictures = query(5, 7), [sketch(count, count) for count in (3, 0, 17, 1, 0, 8)]
    alone = np.concatenate([likeness(sought, [one]) for one in pictures])
    np.testing.assert_allclose(likeness(sought, pictures), alone, atol=1e-6)


def test_the_picture_itself_is_most_alike():
    maps = maps_of(4, 4, seed=3)
    own = SKETCHER.sketch(activations_of(maps), grid_of(4, 4))
    sought = QueryCells.of(SKETCHER, activations_of(maps), grid_of(4, 4))
    found = likeness(sought, [own, *(sketch(11, seed) for seed in range(20))])
    assert found.argmax() == 0
    assert found[0] > found[1:].max() + 0.1


def test_the_outermost_cells_are_left_out_where_there_are_more_than_four():
    assert len(query(5, 5).values) == 9
    assert len(query(5, 4).values) == 20
    assert len(query(1, 1).values) == 1
    maps = maps_of(5, 6)
    padded = np.pad(maps, ((0, 0), (0, 0), (0, 2), (0, 3)), constant_values=9)
    found = QueryCells.of(SKETCHER, activations_of(padded), grid_of(5, 6)).values
    np.testing.assert_allclose(found, SKETCHER.project(cells_of(maps[:, :, 1:-1, 1:-1])), atol=1e-5)


def test_several_pictures_are_one_query():
    one, two, pictures = query(5, 5), query(6, 6, seed=8), [sketch(9, 1), sketch(12, 2)]
    both = QueryCells.together([one, two])
    squares = [float((part.values**2).sum()) for part in (one, two)]
    expected = np.average([likeness(part, pictures) for part in (one, two)], axis=0, weights=squares)
    np.testing.assert_allclose(likeness(both, pictures), expected, atol=1e-5)


def test_what_shows_nothing_is_like_nothing():
    blank = QueryCells(SKETCHER, np.zeros((4, DIMENSIONS), np.float32))
    assert likeness(blank, [sketch(3)]).tolist() == [-1]
    assert likeness(query(5, 5), [sketch(0), sketch(0)]).tolist() == [-1, -1]
    assert likeness(query(5, 5), []).shape == (0,)
    # A cell of zeros is at right angles to every other.
    sought = query(5, 5)
    flat = replace(sought, values=np.concatenate([sought.values, blank.values]))
    np.testing.assert_allclose(likeness(flat, [sketch(9, 1)]), likeness(sought, [sketch(9, 1)]), atol=1e-6)


def test_a_sketch_on_other_axes_is_refused():
    cells = np.abs(np.random.default_rng(5).normal(size=(300, CHANNELS))).astype(np.float32)
    other = Sketcher(fit_axes(cells, dimensions=DIMENSIONS))
    foreign = other.sketch(activations_of(maps_of(3, 3)), grid_of(3, 3))
    with pytest.raises(ValueError, match="another sketcher"):
        likeness(query(5, 5), [sketch(4), foreign])
