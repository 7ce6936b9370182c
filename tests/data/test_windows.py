"""Windows hold every training target once, after the items before it."""

import numpy as np
import pytest
import torch
from conftest import CAUSAL, experiment, make_config, random_sequences, write_dataset
from recbole.data import create_dataset

from recbole_sam.data.windows import cut
from recbole_sam.errors import SettingError


def test_a_short_history_is_one_window_and_a_long_one_overlaps_by_half():
    user, starts, lengths, shown = cut(np.array([0, 3, 4]), np.array([3, 1, 12]), 4)
    assert user.tolist() == [0, 2, 2, 2, 2, 2]  # a single item is no target
    assert starts.tolist() == [0, 4, 5, 7, 9, 11]
    assert lengths.tolist() == [2, 3, 4, 4, 4, 4]
    assert shown.tolist() == [0, 0, 2, 2, 2, 2]


@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_every_target_is_once_in_some_window(width):
    lengths = np.arange(0, 40)
    starts = np.r_[0, lengths.cumsum()[:-1]]
    found = [[] for _ in lengths]
    for user, start, length, shown in zip(*cut(starts, lengths, width), strict=True):
        assert starts[user] <= start and 0 < length <= width and shown < length
        for step in range(shown, length):
            target = start + step + 1
            found[user].append(target)
            assert step + 1 >= min(target - starts[user], width // 2 + 1 if width > 1 else 1)
    for start, length, targets in zip(starts, lengths, found, strict=True):
        assert targets == list(range(start + 1, start + length))


SPLITS = [{"LS": "valid_and_test"}, {"LS": "test_only"}, {"RS": [0.6, 0.2, 0.2]}]


@pytest.mark.parametrize("model", ["SASRecText", "SAM"])
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_the_loader_gives_windows_of_exactly_the_training_samples(tmp_path, model, split):
    write_dataset(tmp_path / "dataset" / "shop", random_sequences(shortest=1, longest=30))
    settings = {"eval_args": {"split": split, "order": "TO", "group_by": "user", "mode": "full"}}
    settings |= CAUSAL if model == "SAM" else {}
    _, whole, _, whole_test, _ = experiment(model, train_targets="sequence", train_batch_size=7, **settings)
    _, every, _, test, _ = experiment(model, **settings)
    samples = every._dataset.inter_feat
    expected = {}
    for user, item, items, length in zip(
        *(samples[name].tolist() for name in ("user_id", "item_id", "item_id_list", "item_length")),
        strict=True,
    ):
        expected.setdefault((user, item), []).append(items[:length])
    count = 0
    for batch in whole:
        assert len(batch) <= 7
        for user, items, length, targets in zip(
            *(batch[name].tolist() for name in ("user_id", "item_id_list", "item_length", "item_id_targets")),
            strict=True,
        ):
            assert not any(items[length:]) and not any(targets[length:])
            for step, target in enumerate(targets):
                if target:
                    seen = items[: step + 1]
                    assert any(history[-len(seen) :] == seen for history in expected[user, target])
                    count += 1
    assert count == len(samples)
    # what models and reports count stays, as does what is held out
    assert torch.equal(whole._dataset.inter_feat["item_id"], samples["item_id"])
    assert torch.equal(
        whole_test._dataset.inter_feat["item_id_list"], test._dataset.inter_feat["item_id_list"]
    )


def test_every_model_of_ours_knows_last_and_few_know_sequence(shop):
    _, train, _, _, _ = experiment("BSARec", train_targets="last")
    assert len(train._dataset) == len(train._dataset.inter_feat["user_id"].unique())
    with pytest.raises(SettingError, match="BSARec cannot learn from whole sequences"):
        make_config("BSARec", train_targets="sequence")
    with pytest.raises(SettingError, match="train_targets 'sequence' needs whole .* benchmark_filename"):
        create_dataset(
            make_config("SASRecText", train_targets="sequence", benchmark_filename=["a", "b", "c"])
        )
    with pytest.raises(SettingError, match="draws no negatives for BPR: set loss_type to CE"):
        experiment("SASRecText", train_targets="sequence", loss_type="BPR")
    with pytest.raises(SettingError, match="compile"):
        experiment("SAM", train_targets="sequence", compile=True)
