"""How far the server's answers may be from the evaluated ones."""

from __future__ import annotations

import numpy as np
import pytest

from components.canary.trial import filled_up, largest_difference


def test_differences_of_probabilities_are_absolute_and_of_large_numbers_relative():
    assert largest_difference(np.array([0.5, 0.25]), np.array([0.5, 0.2])) == pytest.approx(0.05)
    assert largest_difference(np.array([-5000.5]), np.array([-5000.0])) == pytest.approx(1e-4)


def test_an_answer_that_is_no_number_differs():
    assert np.isnan(largest_difference(np.array([np.nan, 1.0]), np.array([0.0, 1.0])))


def test_answers_that_leave_out_the_end_of_a_row_are_filled_up_and_others_do_not_fit():
    words = [np.array([0.5]), np.array([0.5, 0.9, 0.1]), np.array([]), np.array([1.0] * 4)]
    made = filled_up(words, (3,))
    assert made.tolist() == [[0.5, 0, 0], [0.5, 0.9, 0.1], [0, 0, 0], [np.inf] * 3]
    assert filled_up([np.array(2.5)], ()).tolist() == [2.5]
    assert largest_difference(made, np.ones((4, 3))) == np.inf
