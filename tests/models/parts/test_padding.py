import torch

from recbole_sam.models.parts.padding import causal_mask, left_pad

HISTORIES = torch.tensor([[5, 6, 7, 0], [8, 0, 0, 0], [1, 2, 3, 4]])
LENGTHS = torch.tensor([3, 1, 4])


def test_newest_item_stands_last():
    moved = left_pad(HISTORIES, LENGTHS)
    assert moved.tolist() == [[0, 5, 6, 7], [0, 0, 0, 8], [1, 2, 3, 4]]


def test_a_wider_window_gets_more_padding():
    moved = left_pad(HISTORIES, LENGTHS, width=6)
    assert moved.tolist() == [[0, 0, 0, 5, 6, 7], [0, 0, 0, 0, 0, 8], [0, 0, 1, 2, 3, 4]]


def test_a_narrower_window_keeps_the_newest_items():
    moved = left_pad(HISTORIES, LENGTHS, width=2)
    assert moved.tolist() == [[6, 7], [0, 8], [3, 4]]


def test_what_stands_in_the_padding_is_not_read():
    noisy = HISTORIES.masked_fill(HISTORIES == 0, 9)
    assert torch.equal(left_pad(noisy, LENGTHS), left_pad(HISTORIES, LENGTHS))


def test_an_empty_history_is_all_padding():
    assert left_pad(HISTORIES[:1], torch.tensor([0])).tolist() == [[0, 0, 0, 0]]


def test_causal_mask():
    real = torch.tensor([[False, True, True, True], [False, False, True, True]])
    allowed = causal_mask(real) == 0
    assert allowed.shape == (2, 1, 4, 4)
    for user in range(2):
        for i in range(4):
            for j in range(4):
                expected = j == i or (j < i and bool(real[user, j]))
                assert allowed[user, 0, i, j] == expected
    assert causal_mask(real)[~allowed].eq(float("-inf")).all()
