import torch

from recbole_sam.models.scores.target_rank import rank, rank_among_all


def test_ranks_against_a_loop():
    scores = torch.randint(0, 5, (20, 9), generator=torch.Generator().manual_seed(0)).float()
    expected = [1 + sum(bool(other >= row[0]) for other in row[1:]) for row in scores]
    assert rank(scores[:, :1], scores[:, 1:]).tolist() == expected
    assert rank_among_all(scores[:, :1], scores).tolist() == expected
    assert min(expected) == 1 and max(expected) == 9
