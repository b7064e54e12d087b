"""How far the server's answers may be from the evaluated ones."""

from __future__ import annotations

import numpy as np
import pytest

from components.canary.trial import largest_difference


def test_differences_of_probabilities_are_absolute_and_of_large_numbers_relative():
    assert largest_difference(np.array([0.5, 0.25]), np.array([0.5, 0.2])) == pytest.approx(0.05)
    assert largest_difference(np.array([-5000.5]), np.array([-5000.0])) == pytest.approx(1e-4)


def test_an_answer_that_is_no_number_differs():
    assert np.isnan(largest_difference(np.array([np.nan, 1.0]), np.array([0.0, 1.0])))
