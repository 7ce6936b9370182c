import numpy as np
import torch

from recbole_sam.data.histories import Sequences
from recbole_sam.data.training_items import TrainingItems


def test_the_newest_items_of_the_asked_users_in_their_order():
    users = np.array([2, 2, 2, 2, 5, 5, 5])
    sequences = Sequences(users, np.array([11, 12, 13, 14, 21, 22, 23]))
    spans = sequences.training_spans(np.array([2, 5, 5]), 6, 2)
    items = TrainingItems(sequences, *spans, longest=2)[torch.tensor([5, 0, 2, 3])]
    assert items.dtype == torch.int32
    # user 5 keeps one of three, user 2 the newest two of the three before the held-out one
    assert items.tolist() == [[21, 0], [0, 0], [12, 13], [0, 0]]
