"""What a model reaches on the test part, for the model card."""

import numpy as np
import torch

from recbole_sam.models.scores.target_rank import rank_among_all

K = 10
AT_ONCE = 8_000_000
"""Scores in memory together."""


def test_metrics(trained):
    """Hit rate and NDCG of the test items among all items.

    Args:
        trained (Trained): a checkpoint with its data.

    Returns:
        dict: ``HR@10``, ``NDCG@10`` and ``samples``; what `compare` finds by full ranking. Of equal scores
        the target's comes last.
    """
    samples, model = trained.test.inter_feat, trained.model
    ranks = []
    step = max(1, AT_ONCE // len(trained.item_tokens))
    with torch.no_grad():
        for start in range(0, len(samples), step):
            some = samples[start : start + step]
            scores = model.full_sort_predict(some).view(len(some), -1)
            scores[:, 0] = -torch.inf
            target = scores.gather(1, some[model.ITEM_ID].unsqueeze(1))
            ranks.append(rank_among_all(target, scores).numpy())
    ranks = np.concatenate(ranks)
    hit = ranks <= K
    return {
        f"HR@{K}": round(float(hit.mean()), 4),
        f"NDCG@{K}": round(float((hit / np.log2(ranks + 1)).mean()), 4),
        "samples": len(ranks),
    }
