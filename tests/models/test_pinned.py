"""What a refactoring must not change: parameter names, a seeded loss and seeded rankings.

Checkpoints are read by these names, and published numbers come from these draws.
"""

import hashlib

import pytest
import torch
from conftest import CAUSAL, experiment
from recbole.data.interaction import Interaction

PINNED = {
    "SAM": (
        "71364bc5e167", 3.429598,
        [[19, 15, 17, 16, 22], [24, 4, 3, 21, 7], [2, 22, 19, 9, 7], [8, 10, 20, 22, 5]]
    ),
    "SASRecText": (
        "03471aac2a65", 3.292042,
        [[9, 19, 8, 0, 10], [14, 24, 4, 16, 0], [7, 17, 6, 14, 24], [20, 8, 10, 18, 15]]
    ),
    "UniSRec": (
        "c68e52448782", 9.376813,
        [[9, 0, 12, 14, 1], [14, 16, 9, 24, 21], [7, 6, 17, 12, 0], [20, 11, 15, 10, 9]]
    ),
    "BSARec": (
        "970ef72d99bb", 3.223520,  # since 2026-11-30 padding attends to the whole window
        [[9, 1, 25, 11, 7], [14, 5, 20, 25, 11], [7, 25, 12, 21, 11], [20, 14, 11, 5, 4]]
    ),
    "ComiRec": (
        "8eb94ccca9b0", 3.257912,
        [[5, 8, 4, 9, 7], [1, 13, 11, 12, 18], [16, 7, 6, 15, 17], [19, 6, 2, 18, 7]]
    ),
    "MIND": (
        "aa79ff721835", 3.257785,
        [[16, 20, 9, 10, 1], [16, 20, 17, 25, 4], [4, 20, 9, 2, 17], [16, 9, 20, 6, 7]]
    ),
    "STOSA": (
        "7ac4f7a645f3", 1.190660,
        [[9, 16, 25, 19, 4], [14, 18, 16, 3, 4], [7, 18, 5, 16, 15], [20, 18, 2, 16, 3]]
    ),
    "EIMF": (
        "cc3a34a6a8ec", 3.620200,
        [[5, 8, 4, 9, 7], [1, 13, 11, 12, 18], [16, 7, 6, 15, 17], [19, 6, 2, 18, 7]]
    ),
    "WEARec": (
        "317310431113", 3.194890,
        [[9, 8, 11, 12, 3], [14, 13, 18, 3, 4], [7, 4, 12, 16, 15], [20, 6, 8, 25, 10]]
    ),
    "eSASRec": (
        "d15a9afd83af", 5.512236,
        [[9, 22, 23, 13, 1], [14, 13, 12, 17, 4], [7, 13, 22, 6, 2], [20, 22, 17, 13, 10]]
    ),
    "HSTU": (
        "4564572bebf5", 15.251667,
        [[9, 3, 20, 11, 21], [14, 23, 20, 12, 5], [7, 12, 25, 21, 3], [20, 21, 16, 2, 3]]
    ),
    "TedRec": (
        "2f71e1a1e0f6", 4.418365,
        [[15, 21, 6, 2, 1], [19, 10, 11, 23, 8], [15, 21, 6, 2, 22], [15, 21, 6, 2, 22]]
    ),
}  # fmt: skip


STAGE_1 = {"interest_grouping": "routing", "interest_generator": "extractive"}
FIRST = {
    "SAM": {
        "interest_readout": "mean", "learned_queries": 0, "n_layers": 1, "text_scale": 1.0, **CAUSAL,
        **STAGE_1,
    },
    "EIMF": STAGE_1,
    "SASRecText": {"text_scale": 1.0},
    "UniSRec": {"text_scale": 1.0},
}  # fmt: skip
"""Settings of the first version that are no defaults any more."""


@pytest.mark.parametrize("name", PINNED)
def test_names_loss_and_rankings_are_those_of_the_first_version(shop, name):
    _, train, _, test, model = experiment(name, **FIRST.get(name, {}))
    model.eval()
    names, loss, rankings = PINNED[name]
    with torch.no_grad():
        samples = train._dataset.inter_feat[:32]
        samples.update(Interaction({"neg_item_id": torch.ones_like(samples["item_id"])}))  # for STOSA
        found = model.calculate_loss(samples).item()
        scores = model.full_sort_predict(test._dataset.inter_feat[:4])
    parameters = "\n".join(model.state_dict())
    assert hashlib.sha256(parameters.encode()).hexdigest()[:12] == names, parameters
    assert found == pytest.approx(loss, rel=1e-5)
    assert scores.topk(5).indices.tolist() == rankings
