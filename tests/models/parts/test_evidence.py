"""Which item supports an interest, and what a training sample may see."""

import pytest
import torch
from conftest import experiment
from torch.nn import functional as F

from recbole_sam.errors import SettingError
from recbole_sam.models.parts import evidence


def test_supporting_items_equal_a_loop(monkeypatch):
    monkeypatch.setattr(evidence, "CHUNK", 3)
    torch.manual_seed(0)
    phrases, titles = torch.randn(9, 5), torch.randn(12, 5)
    has_title = torch.rand(12) > 0.3
    titles[~has_title] = 0
    items = torch.randint(1, 12, (7, 4), dtype=torch.int32)
    items[2, 2:], items[5] = 0, 0
    has_title[0] = False
    user_phrases, user_k = torch.randint(0, 9, (7, 3), dtype=torch.int32), torch.tensor([3, 1, 2, 0, 3, 0, 2])
    support = evidence.supporting_items(user_phrases, user_k, phrases, titles, has_title, items)
    for user in range(7):
        for k in range(3):
            candidates = [item for item in items[user].tolist() if has_title[item]]
            if k >= user_k[user] or not candidates:
                assert support[user, k] == 0 or not has_title[support[user, k]]
                continue
            cosines = [
                F.cosine_similarity(phrases[user_phrases[user, k]], titles[i], dim=0) for i in candidates
            ]
            assert support[user, k] == candidates[int(torch.stack(cosines).argmax())]


def test_visible():
    support = torch.tensor([[4, 2, 0], [4, 9, 0]])
    history = torch.tensor([[4, 1, 0, 0], [9, 9, 4, 2]])
    assert evidence.visible(support, history).tolist() == [[True, False, False], [True, True, False]]


def test_phrases_drawn_from_titles_are_supported_by_items_with_that_title(shop):
    _, train, _, _, model = experiment()
    titles = F.normalize(train._dataset.item_texts.vectors(), dim=-1)
    phrases = F.normalize(model.phrase_embeddings[model.user_phrases.long()].float(), dim=-1)
    real = torch.arange(phrases.shape[1]) < model.user_k.unsqueeze(1)
    assert real.sum() > 50
    cosines = (phrases * titles[model.support]).sum(dim=-1)
    torch.testing.assert_close(cosines[real], torch.ones(int(real.sum())), atol=1e-3, rtol=0)
    assert not model.support[~real].any()


def test_no_training_sample_sees_an_interest_of_its_future(shop):
    """Every interest that counts in a sample is supported by an item before the sample's target."""
    _, train, _, _, model = experiment(learned_queries=0)
    samples = train._dataset.inter_feat
    user, history, length = samples["user_id"], samples["item_id_list"], samples["item_length"]
    _, mask = model.train().interest_queries(user, history)
    hidden = 0
    for b in range(len(user)):
        seen = set(history[b, : length[b]].tolist())
        count = int(model.user_k[user[b]])
        supported = [int(item) in seen for item in model.support[user[b], :count]]
        hidden += supported.count(False)
        if any(supported):
            assert mask[b, :count].tolist() == supported
        else:
            assert mask[b].tolist() == [True] + [False] * (mask.shape[1] - 1)  # the default interest
    assert hidden > 0


def test_serving_sees_all_interests(shop):
    _, train, _, _, model = experiment(learned_queries=0)
    samples = train._dataset.inter_feat
    _, mask = model.eval().interest_queries(samples["user_id"], samples["item_id_list"])
    assert torch.equal(mask.sum(dim=1), model.user_k[samples["user_id"]].clamp(min=1))


def test_validation_and_test_items_change_no_training_sample(tmp_path):
    """Leak test: two datasets that differ in held-out items only train on the same inputs."""
    from conftest import random_sequences, write_dataset

    seen = []
    for last in ("i1", "i2"):
        sequences = {user: [*items[:-1], last] for user, items in random_sequences(shortest=5).items()}
        catalogue = {
            "everything": [f"i{item}" for item in range(25)]
        }  # first, so that both have the same titles
        sequences = catalogue | sequences
        folder = tmp_path / last / "dataset" / "shop"
        write_dataset(folder, sequences)
        _, train, _, _, model = experiment(data_path=str(folder.parent))
        dataset = train._dataset
        samples = dataset.inter_feat
        _, mask = model.train().interest_queries(samples["user_id"], samples["item_id_list"])
        tokens = [
            dataset.id2token("item_id", model.support[user].numpy()).tolist()
            for user in range(dataset.user_num)
        ]
        users = dataset.id2token("user_id", samples["user_id"].numpy()).tolist()
        seen.append(
            (dict(zip(dataset.field2id_token["user_id"].tolist(), tokens, strict=True)), users, mask.tolist())
        )
    assert seen[0] == seen[1]


def test_interests_of_another_encoder_are_refused(shop):
    class Made:
        def __init__(self, encoder):
            self.encoder = encoder

    evidence.check_encoder(Made({"name": "lsa"}), Made({"name": "lsa"}))
    with pytest.raises(SettingError, match="interest_evidence to False"):
        evidence.check_encoder(Made(None), Made({"name": "lsa"}))


def test_a_training_sample_projects_what_it_sees_as_serving_does(shop):
    _, train, _, _, model = experiment(learned_queries=0)
    samples = train._dataset.inter_feat
    user, history = samples["user_id"], samples["item_id_list"]
    queries, mask = model.train().interest_queries(user, history)
    real = mask & evidence.visible(model.support[user], history)
    assert 0 < real.sum() < model.user_k[user].sum()
    expected = model.interest_projection(model.phrase_embeddings[model.user_phrases[user].long()].float())
    torch.testing.assert_close(queries[real], expected[real])
    queries[real].sum().backward()
    torch.testing.assert_close(
        model.interest_projection.bias.grad, real.sum().float().expand(model.hidden_size)
    )


def test_visible_from_is_the_first_prefix_that_shows_the_supporting_item():
    generator = torch.Generator().manual_seed(4)
    support = torch.randint(0, 6, (30, 4), generator=generator, dtype=torch.int32)
    item_seq = torch.randint(1, 6, (30, 5), generator=generator)
    item_seq[::3, 3:] = 0
    since = evidence.visible_from(support, item_seq)
    assert since.eq(5).any() and since.lt(5).any()
    for end in range(5):
        expected = evidence.visible(support, item_seq[:, : end + 1])
        assert torch.equal(since <= end, expected)
