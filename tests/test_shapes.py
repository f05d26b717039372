"""The tests check every shape annotation: this checks that they do."""

import jaxtyping
import numpy as np
import pytest

from camseek.encoding.activations import Activations
from camseek.encoding.regions import CellGrid
from camseek.numerics import l2_normalise


def test_a_function_refuses_another_kind_of_array():
    with pytest.raises(jaxtyping.TypeCheckError):
        l2_normalise(np.zeros((2, 3), np.int32))


def test_a_dataclass_refuses_another_shape():
    fields = Activations.__dataclass_fields__
    with pytest.raises(jaxtyping.TypeCheckError):
        Activations(**dict.fromkeys(fields, np.zeros(3, np.float32)))


def test_what_annotates_no_shape_is_left_alone():
    """The type checker has seen it, and each call would take a hundred times longer."""
    assert not hasattr(CellGrid.__init__, "__wrapped__")
    assert hasattr(Activations.__init__, "__wrapped__")
