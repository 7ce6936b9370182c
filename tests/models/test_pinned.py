"""What a refactoring must not change: parameter names, a seeded loss and seeded rankings of three models.

Checkpoints are read by these names, and published numbers come from these draws.
"""

import hashlib

import pytest
import torch
from conftest import experiment

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
}  # fmt: skip


@pytest.mark.parametrize("name", PINNED)
def test_names_loss_and_rankings_are_those_of_the_first_version(shop, name):
    _, train, _, test, model = experiment(name)
    model.eval()
    names, loss, rankings = PINNED[name]
    with torch.no_grad():
        found = model.calculate_loss(train._dataset.inter_feat[:32]).item()
        scores = model.full_sort_predict(test._dataset.inter_feat[:4])
    parameters = "\n".join(model.state_dict())
    assert hashlib.sha256(parameters.encode()).hexdigest()[:12] == names, parameters
    assert found == pytest.approx(loss, rel=1e-5)
    assert scores.topk(5).indices.tolist() == rankings
