"""The interests a model gets under each control."""

from types import SimpleNamespace

import torch
from conftest import experiment, first_batch

from recbole_sam.models.parts.controls import CONSTANT, CONTROLS, controlled, derangement


def test_derangement_stays_in_the_group_and_moves_everybody_who_can():
    groups = torch.tensor([2, 0, 2, 5, 0, 2, 0, 2])
    other = derangement(groups, seed=3)
    assert sorted(other.tolist()) == list(range(8))
    assert torch.equal(groups[other], groups)
    moved = other != torch.arange(8)
    assert moved.tolist() == [True, True, True, False, True, True, True, True]  # 5 is alone
    assert torch.equal(other, derangement(groups, seed=3))
    large = torch.zeros(100, dtype=torch.long)
    assert not torch.equal(derangement(large, 1), derangement(large, 2))


def test_controlled():
    table = SimpleNamespace(user_phrases=torch.arange(12).view(6, 2), user_k=torch.tensor([0, 2, 2, 1, 1, 2]))
    assert controlled(None, table, 0) == (table.user_phrases, table.user_k)
    for control in ("constant", "absent"):
        assert controlled(control, table, 0)[1].tolist() == [0] * 6
    phrases, k = controlled("shuffled", table, 0)
    assert torch.equal(k, table.user_k)
    for group in (1, 2):
        rows = k == group
        assert not (phrases[rows] == table.user_phrases[rows]).any()
        assert sorted(phrases[rows].tolist()) == table.user_phrases[rows].tolist()


def test_each_control_trains_and_scores(shop):
    scores = {}
    for control in (None, *CONTROLS):
        _, train, _, test, model = experiment(interest_control=control, learned_queries=0)
        loss = model.calculate_loss(first_batch(train))
        loss.backward()
        assert loss.isfinite()
        queries, mask = model.eval().interest_queries(
            first_batch(test)["user_id"], first_batch(test)["item_id_list"]
        )
        assert mask.any(dim=1).all()
        if control == "constant":
            assert queries.shape[1] == CONSTANT and mask.all() and (queries[0] == queries[1]).all()
            assert model.constant_interests.grad.abs().sum() > 0
        if control == "absent":
            assert mask.sum() == len(mask) and model.default_interest.grad.abs().sum() > 0
        scores[control] = model.full_sort_predict(first_batch(test))
        assert scores[control].isfinite().all()
    assert not torch.equal(scores[None], scores["shuffled"])


def test_attention_can_be_left_out(shop):
    _, train, _, test, model = experiment(
        interest_attention=False, n_layers=0, history_filter=False, final_norm=False
    )
    batch = first_batch(test)
    out, items = model.eval().represent(batch).vectors[:, 0], model.item_vectors()
    for b in range(len(out)):
        history = batch["item_id_list"][b, : batch["item_length"][b]]
        torch.testing.assert_close(out[b], items[history].mean(0) * model.hidden_size**0.5)
