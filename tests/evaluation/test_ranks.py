import numpy as np
import pytest
import torch
from conftest import experiment
from recbole.utils import get_trainer, init_seed

from recbole_sam.config.mistakes import TrainingError
from recbole_sam.evaluation import split
from recbole_sam.evaluation.ranks import RankCollector, rank
from recbole_sam.evaluation.statistics import metrics

SETTINGS = {"metrics": ["Hit", "NDCG", "MRR"], "topk": [3, 10], "valid_metric": "NDCG@10", "epochs": 2,
            "learning_rate": 0.01}  # fmt: skip
MODES = {
    mode: {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": mode} for mode in ("full", "uni100")
}


def test_rank_against_a_loop():
    scores = torch.randint(0, 5, (20, 9), generator=torch.Generator().manual_seed(0)).float()
    expected = [1 + sum(bool(other >= row[0]) for other in row[1:]) for row in scores]
    assert rank(scores[:, :1], scores[:, 1:]).tolist() == expected
    assert min(expected) == 1 and max(expected) == 9


def ranked(model="SASRec", **settings):
    """Ranks of an untrained model and RecBole's own result, in full ranking."""
    common = split.make_split(experiment_config(model, "uni100", **settings))
    config, train, _, test, module = experiment(model, eval_args=MODES["full"], **SETTINGS, **settings)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, module)
    table = torch.zeros((len(common.user_tokens), common.negatives.shape[1]), dtype=torch.long)
    table[torch.from_numpy(common.users)] = torch.from_numpy(common.negatives).long()
    trainer.eval_collector = RankCollector(config, table)
    result = trainer.evaluate(test, load_best_model=False)
    return common, module, result, trainer.eval_collector.result()


def experiment_config(model, mode, **settings):
    from conftest import make_config

    return make_config(model, eval_args=MODES[mode], **SETTINGS, **settings)


def means(ranks, names):
    return {name: round(float(metrics.value(name, ranks).mean()), 4) for name in names}


@pytest.mark.parametrize("model", ["SASRec", "GRU4Rec"])
def test_full_ranks_give_recboles_own_metrics(shop, model):
    _, _, result, (_, full, _) = ranked(model)
    assert means(full, result) == pytest.approx(dict(result), abs=1e-4)
    assert len(set(full.tolist())) > 5


def test_sampled_ranks_give_recboles_own_metrics(shop):
    """RecBole's evaluation among 100 negatives, computed its own slow way, of the same model."""
    common, module, _, (users, full, sampled) = ranked()
    config, train, _, test, _ = experiment("SASRec", eval_args=MODES["uni100"], **SETTINGS)
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, module)
    init_seed(split.CANDIDATE_SEED, True)
    _, _, _, test, _ = experiment("SASRec", eval_args=MODES["uni100"], seed=split.CANDIDATE_SEED, **SETTINGS)
    init_seed(split.CANDIDATE_SEED, True)  # as before the loader was walked through in make_split
    slow = trainer.evaluate(test, load_best_model=False)
    assert means(sampled, slow) == pytest.approx(dict(slow), abs=1e-4)
    assert (sampled <= full).all() and (sampled < full).any()
    assert np.array_equal(np.sort(users), common.users)


def test_scores_that_are_no_numbers_end_in_a_sentence(shop):
    config, _, _, test, module = experiment("SASRec", **SETTINGS)
    for parameter in module.parameters():
        parameter.data.fill_(float("nan"))
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, module)
    trainer.eval_collector = RankCollector(config, torch.zeros((41, 100), dtype=torch.long))
    with pytest.raises(TrainingError, match="training SASRec went astray.* a smaller learning_rate"):
        trainer.evaluate(test, load_best_model=False)
