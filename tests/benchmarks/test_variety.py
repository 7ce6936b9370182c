"""The measures of `benchmarks.variety`, against plain loops."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks import variety


def test_the_distance_of_a_list_is_the_mean_over_its_pairs():
    texts = F.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    pairs = [1 - float(texts[a] @ texts[b]) for a in range(5) for b in range(5) if a != b]
    assert variety.distance(texts) == pytest.approx(sum(pairs) / 20, abs=1e-6)


def test_gains_are_ndcg():
    found = np.array([[4, 2, 9], [1, 2, 3], [7, 8, 5]])
    assert variety.gains(found, np.array([2, 6, 5])) == pytest.approx([1 / math.log2(3), 0, 1 / math.log2(4)])


def test_a_hundredth_of_the_items_is_near_to_a_phrase():
    random = torch.Generator().manual_seed(2)
    texts, phrases = (F.normalize(torch.randn(n, 6, generator=random), dim=1) for n in (300, 40))
    found = variety.thresholds(phrases, texts)
    for phrase, threshold in zip(phrases, found, strict=True):
        assert sum(float(phrase @ text) >= float(threshold) - 1e-6 for text in texts) == 3
