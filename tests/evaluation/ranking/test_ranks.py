"""Ranks of real models, against RecBole's own metrics and against slow loops over the raw sequences."""

import numpy as np
import pytest
import torch
from conftest import experiment, make_config, random_sequences
from recbole.utils import get_trainer, init_seed

from recbole_sam.config.mistakes import TrainingError
from recbole_sam.evaluation import split
from recbole_sam.evaluation.ranking.ranks import RankCollector
from recbole_sam.evaluation.statistics import metrics

SETTINGS = {"metrics": ["Hit", "NDCG", "MRR"], "topk": [3, 10], "valid_metric": "NDCG@10", "epochs": 2,
            "learning_rate": 0.01}  # fmt: skip
MODES = {
    mode: {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": mode} for mode in ("full", "uni100")
}


def ranked(model="SASRec", masked=False, ties=False, part="test", **settings):
    """The split, an untrained model, its loader, RecBole's own result, and users and ranks."""
    common = split.make_split(make_config("SASRec", eval_args=MODES["uni100"], **SETTINGS, **settings))
    config, train, valid, test, module = experiment(model, eval_args=MODES["full"], **SETTINGS, **settings)
    if ties:  # five kinds of items, which no score tells apart
        items = module.item_embedding.weight.data
        items[1:] = items[1:6].repeat(len(items) // 5 + 1, 1)[: len(items) - 1]
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, module)
    table = torch.zeros((len(common.user_tokens), common.negatives.shape[1]), dtype=torch.long)
    table[torch.from_numpy(common.users)] = torch.from_numpy(common.negatives).long()
    known = common.known if part == "test" else common.known.before_validation()
    trainer.eval_collector = RankCollector(config, known, masked, table)
    loader = test if part == "test" else valid
    result = trainer.evaluate(loader, load_best_model=False)
    return common, module, loader, result, trainer.eval_collector.result()


def means(ranks, names):
    return {name: round(float(metrics.value(name, ranks).mean()), 4) for name in names}


@pytest.mark.parametrize("model", ["SASRec", "GRU4Rec"])
def test_full_ranks_give_recboles_own_metrics(shop, model):
    *_, result, (_, ranks) = ranked(model)
    assert means(ranks["full"], result) == pytest.approx(dict(result), abs=1e-4)
    assert len(set(ranks["full"].tolist())) > 5


def masked_loop(module, loader, held_out):
    """Masked ranks, the slow and obvious way: user token to rank, 0 where the target repeats.

    Args:
        module (SequentialRecommender): the model.
        loader (FullSortEvalDataLoader): of the part; the same batches give the same scores to the last bit.
        held_out (int): how many items of a sequence come from the target on.
    """
    part, found, ties = loader.dataset, {}, 0
    users, items = (part.field2id_token[field] for field in (part.uid_field, part.iid_field))
    for samples, *_ in loader:
        for sample, row in zip(samples[part.uid_field], module.full_sort_predict(samples), strict=True):
            user = str(users[sample])
            sequence = random_sequences()[user]
            history, target = sequence[:-held_out], sequence[-held_out]
            score = {str(item): row[number].item() for number, item in enumerate(items) if number}
            rivals = [item for item in score if item != target and item not in history]
            ties += any(score[item] == score[target] for item in rivals)
            found[user] = 0 if target in history else 1 + sum(score[i] >= score[target] for i in rivals)
    return found, ties


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("model, ties", [("SASRec", True), ("SAM", False), ("GRU4Rec", True)])
def test_masked_ranks_against_a_loop_over_whole_histories(shop, model, ties, part):
    """Histories of up to eleven items, of which the model reads three; a few users a batch."""
    held_out = 1 if part == "test" else 2
    common, module, loader, result, (users, ranks) = ranked(
        model, True, ties, part, MAX_ITEM_LIST_LENGTH=3, eval_batch_size=100
    )
    slow, tied = masked_loop(module.eval(), loader, held_out)
    ours = dict(zip(common.user_tokens[users].tolist(), ranks["masked"].tolist(), strict=True))
    assert ours == slow and (tied > 5) == ties
    left = ranks["masked"] > 0
    assert [int((~left).sum()), len(users)] == common.repeats()[part] and 0 < left.sum() < len(left)
    assert (ranks["masked"] <= ranks["full"]).all() and (ranks["masked"] < ranks["full"])[left].any()
    if not ties:  # RecBole breaks them by chance
        assert means(ranks["masked"][left], result) == pytest.approx(dict(result), abs=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_what_recbole_measures_changes_no_rank(shop, masked):
    *_, (_, ranks) = ranked(masked=masked)
    *_, (_, other) = ranked(masked=not masked)
    assert all(np.array_equal(ranks[name], other[name]) for name in ("full", "masked", "uni100"))


def test_sampled_ranks_give_recboles_own_metrics(shop):
    """RecBole's evaluation among 100 negatives, computed its own slow way, of the same model."""
    common, module, _, _, (users, ranks) = ranked()
    config, train, _, test, _ = experiment("SASRec", eval_args=MODES["uni100"], **SETTINGS)
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, module)
    init_seed(split.CANDIDATE_SEED, True)
    _, _, _, test, _ = experiment("SASRec", eval_args=MODES["uni100"], seed=split.CANDIDATE_SEED, **SETTINGS)
    init_seed(split.CANDIDATE_SEED, True)  # as before the loader was walked through in make_split
    slow = trainer.evaluate(test, load_best_model=False)
    assert means(ranks["uni100"], slow) == pytest.approx(dict(slow), abs=1e-4)
    assert (ranks["uni100"] <= ranks["full"]).all() and (ranks["uni100"] < ranks["full"]).any()
    assert np.array_equal(np.sort(users), common.users)


def test_a_nan_is_found_where_masked_ranking_does_not_look(shop):
    """At an item that the user has; as the target of somebody who is left out it would rank first."""
    common = split.make_split(make_config("SASRec", eval_args=MODES["uni100"], **SETTINGS))
    config, _, _, test, _ = experiment("SASRec", **SETTINGS)
    collector = RankCollector(config, common.known, True, torch.zeros((41, 100), dtype=torch.long))
    user = torch.tensor([int(common.users[0])])
    known = torch.from_numpy(common.known.table(user.numpy())).max(dim=1).values
    scores = torch.zeros(1, test._dataset.item_num)
    scores[0, known] = float("nan")
    with pytest.raises(TrainingError, match="went astray"):
        collector.eval_batch_collect(scores, {config["USER_ID_FIELD"]: user}, torch.tensor([0]), known)


def test_scores_that_are_no_numbers_end_in_a_sentence(shop):
    common = split.make_split(make_config("SASRec", eval_args=MODES["uni100"], **SETTINGS))
    config, _, _, test, module = experiment("SASRec", **SETTINGS)
    for parameter in module.parameters():
        parameter.data.fill_(float("nan"))
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, module)
    for masked in (False, True):
        negatives = torch.zeros((41, 100), dtype=torch.long)
        trainer.eval_collector = RankCollector(config, common.known, masked, negatives)
        with pytest.raises(TrainingError, match="training SASRec went astray.* a smaller learning_rate"):
            trainer.evaluate(test, load_best_model=False)
