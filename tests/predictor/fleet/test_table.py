from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.fleet.table import DemandTable

moves = st.tuples(st.just("move"), st.integers(0, 40), st.just(0))
writes = st.tuples(st.just("write"), st.integers(-60, 10), st.integers(1, 30))


@settings(max_examples=200, deadline=None)
@given(actions=st.lists(st.one_of(moves, writes), max_size=25), keep=st.integers(5, 30))
def test_a_table_holds_what_was_written_to_the_steps_it_keeps(actions: list[tuple[str, int, int]], keep: int) -> None:
    table, known, step = DemandTable(2, keep, 1000), dict[int, float](), 1000
    for number, (kind, offset, length) in enumerate(actions):
        if kind == "move":
            step += offset
            table.move_to(step)
            continue
        values = np.arange(length, dtype=np.float64) + 100 * number
        values[::4] = np.nan
        table.write(1, step + offset, values)
        for index, value in enumerate(values):
            if np.isfinite(value) and step - keep < step + offset + index <= step:
                known[step + offset + index] = float(value)

    expected = [known.get(at, np.nan) for at in range(step - keep + 1, step + 1)]
    np.testing.assert_array_equal(table.values[1], np.array(expected, np.float32))
    np.testing.assert_array_equal(table.until(step - 2, 3)[1], np.array(expected[-5:-2], np.float32))
    assert np.isnan(table.values[0]).all()
    assert table.last_seen[1] == max(known, default=-1)


def test_a_sample_that_is_missing_later_does_not_undo_one_that_was_seen() -> None:
    table = DemandTable(1, 10, 100)
    table.write(0, 98, np.array([1.0, 2.0, 3.0]))

    table.write(0, 98, np.array([np.nan, 5.0, np.nan]))

    assert table.values[0, -3:].tolist() == [1.0, 5.0, 3.0]


def test_a_shortened_table_keeps_its_newest_steps() -> None:
    table = DemandTable(1, 300, 300)
    table.write(0, 1, np.arange(1.0, 301.0))

    table.shorten(20)
    table.move_to(305)

    assert table.keep == 20
    assert table.values[0, :15].tolist() == list(range(286, 301))


def test_rows_come_and_go() -> None:
    table = DemandTable(2, 5, 10)
    table.write(1, 10, np.array([7.0]))

    table.add_rows(1)
    table.write(2, 9, np.array([8.0]))
    table.keep_rows([1, 2])

    assert len(table) == 2
    assert table.last_seen.tolist() == [10, 9]
    assert table.known_steps(10).tolist() == [1, 2]
    assert table.values[0, -1] == pytest.approx(7.0)
