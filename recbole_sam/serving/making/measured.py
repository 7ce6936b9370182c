"""What a model reaches on the test part, for the model card."""

import numpy as np
import torch

K = 10
AT_ONCE = 8_000_000
"""Scores in memory together."""


def test_metrics(trained):
    """Hit rate and NDCG of the test items among all items.

    Args:
        trained (Trained): a checkpoint with its data.

    Returns:
        dict: ``HR@10``, ``NDCG@10`` and ``samples``; what RecBole's full ranking of the test part gives.
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
            ranks.append((scores > target).sum(dim=1).numpy() + 1)
    ranks = np.concatenate(ranks)
    hit = ranks <= K
    return {
        f"HR@{K}": round(float(hit.mean()), 4),
        f"NDCG@{K}": round(float((hit / np.log2(ranks + 1)).mean()), 4),
        "samples": len(ranks),
    }
