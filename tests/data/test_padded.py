import numpy as np

from recbole_sam.data.padded import padded


def test_runs_become_rows():
    values = np.arange(10, dtype=np.int32)
    table = padded(values, np.array([3, 0, 9]), np.array([2, 0, 1]), 3)
    assert table.dtype == np.int32
    assert table.tolist() == [[3, 4, 0], [0, 0, 0], [9, 0, 0]]


def test_more_rows_than_are_filled_in_at_once():
    starts = np.arange(40_000)
    lengths = starts % 4
    table = padded(np.arange(40_010), starts, lengths, 3)
    for row in (0, 16_383, 16_384, 32_769, 39_999):
        expected = [row + k if k < lengths[row] else 0 for k in range(3)]
        assert table[row].tolist() == expected


def test_values_of_several_numbers():
    table = padded(np.ones((4, 2)), np.array([1]), np.array([2]), 3)
    assert table.tolist() == [[[1, 1], [1, 1], [0, 0]]]
