"""Trailing windows against their definition, sample by sample."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.series import FloatArray
from predictor.windows import trailing_count, trailing_max

SERIES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=40),
    elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)),
)


@given(SERIES, st.integers(1, 60))
def test_the_highest_is_that_of_what_was_observed_in_the_window(values: FloatArray, window: int) -> None:
    found = trailing_max(values, window)

    for at in range(values.shape[-1]):
        seen = values[..., max(at - window + 1, 0) : at + 1]
        expected = np.where(np.isfinite(seen), seen, -np.inf).max(axis=-1)
        np.testing.assert_array_equal(found[..., at], np.where(np.isneginf(expected), np.nan, expected))


@given(SERIES, st.integers(1, 60))
def test_the_count_is_that_of_the_window(values: FloatArray, window: int) -> None:
    flags = np.isfinite(values)

    found = trailing_count(flags, window)

    for at in range(values.shape[-1]):
        expected = flags[..., max(at - window + 1, 0) : at + 1].sum(axis=-1)
        np.testing.assert_array_equal(found[..., at], expected)
