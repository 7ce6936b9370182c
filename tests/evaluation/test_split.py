import numpy as np
import pytest
from conftest import experiment, make_config, random_sequences, write_dataset

from recbole_sam.errors import DataError
from recbole_sam.evaluation import split

SAMPLED = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "uni100"}


@pytest.fixture
def common(shop):
    return split.make_split(make_config("SASRec", eval_args=SAMPLED))


def test_targets_and_counts_against_the_raw_sequences(common):
    """All but a user's last two items are training (RecBole keeps a user of three out of validation)."""
    training = {user: items[: -2 if len(items) > 3 else -1] for user, items in random_sequences().items()}
    popularity = dict.fromkeys((f"i{item}" for item in range(25)), 0)
    for items in training.values():
        for item in items:
            popularity[item] += 1
    users, items = common.user_tokens[common.users], common.item_tokens[common.targets]
    assert sorted(users) == sorted(training) and (np.diff(common.users) > 0).all()
    for user, item, history in zip(users, items, common.history, strict=True):
        assert item == random_sequences()[user][-1]
        assert history == len(training[user])
    assert {token: common.popularity[i] for i, token in enumerate(common.item_tokens) if i} == popularity
    assert common.interactions == sum(map(len, random_sequences().values()))


def test_counts_do_not_depend_on_the_window(shop):
    wide, narrow = (
        split.make_split(make_config("SASRec", eval_args=SAMPLED, MAX_ITEM_LIST_LENGTH=length))
        for length in (50, 3)
    )
    assert np.array_equal(wide.popularity, narrow.popularity) and np.array_equal(wide.history, narrow.history)
    assert split.differences(wide.parts, narrow.parts) == ["validation", "test"]


def test_negatives(common):
    assert common.negatives.shape == (40, 100)
    for target, drawn in zip(common.targets, common.negatives, strict=True):
        kept = drawn[drawn > 0]
        assert target not in kept and len(set(kept)) == len(kept) and kept.max() <= 25
    again = split.make_split(make_config("SASRec", eval_args=SAMPLED, seed=7))
    assert np.array_equal(common.negatives, again.negatives)
    assert common.candidates() == again.candidates()


@pytest.mark.parametrize("model", ["SAM", "GRU4Rec", "BSARec", "EIMF"])
def test_every_model_has_the_same_split(common, model):
    _, _, valid, test, _ = experiment(model)
    sums = split.checksums(test.dataset, valid.dataset, test.dataset)
    assert split.differences(common.parts, sums) == []


@pytest.mark.parametrize("model", ["SAM", "GRU4Rec"])
def test_a_sample_of_users_is_the_same_for_all(common, model):
    sampled = split.make_split(make_config("SASRec", eval_args=SAMPLED, eval_users=12))
    assert len(sampled.users) == 12 and len(set(sampled.users) & set(common.users)) == 12
    assert np.array_equal(sampled.popularity, common.popularity)
    of_all = dict(zip(common.users, zip(common.targets, common.history, strict=True), strict=True))
    of_them = zip(sampled.users, zip(sampled.targets, sampled.history, strict=True), strict=True)
    assert all(of_all[user] == told for user, told in of_them)
    assert sampled.interactions == common.interactions and sampled.repeats()["validation"][1] == 12
    _, train, valid, test, _ = experiment(model, eval_users=12, seed=7)
    sums = split.checksums(test.dataset, valid.dataset, test.dataset)
    assert split.differences(sampled.parts, sums) == []
    assert len(train.dataset) == len(experiment(model)[1].dataset)


def test_a_changed_dataset_is_noticed(common, tmp_path):
    write_dataset(tmp_path / "other" / "shop", random_sequences(seed=1))
    _, _, valid, test, _ = experiment("SASRec", data_path=str(tmp_path / "other"))
    sums = split.checksums(test.dataset, valid.dataset, test.dataset)
    assert "test" in split.differences(common.parts, sums)


def test_head_is_at_most_a_fifth_of_the_items(common):
    counts = common.popularity[1:]
    head = common.head_from()
    assert 0 < (counts >= head).mean() <= split.HEAD_SHARE
    assert (counts >= head - 1).mean() > split.HEAD_SHARE


def test_saved_and_loaded(common, tmp_path):
    split.save(common, tmp_path / "split.npz")
    loaded = split.load(tmp_path / "split.npz")
    for ours, theirs in zip([*common, *common.known], [*loaded, *loaded.known], strict=True):
        assert ours is common.known or np.array_equal(ours, theirs)
    split.save(common._replace(known=None), tmp_path / "old.npz")  # older than known items
    assert split.load(tmp_path / "old.npz").known is None
    whole = (tmp_path / "split.npz").read_bytes()
    for content in (b"x", b"", whole[: len(whole) // 2]):
        (tmp_path / "split.npz").write_bytes(content)
        with pytest.raises(DataError, match="split.npz is not a split of compare"):
            split.load(tmp_path / "split.npz")


def test_targets_that_repeat_are_counted(common):
    """The validation target is the last but one, of users with more than three items."""
    sequences = random_sequences().values()
    repeats = {
        "validation": [items[-2] in items[:-2] for items in sequences if len(items) > 3],
        "test": [items[-1] in items[:-1] for items in sequences],
    }
    assert common.repeats() == {part: [sum(found), len(found)] for part, found in repeats.items()}


def test_more_than_one_target_a_user_is_refused(shop):
    ratio = {"split": {"RS": [0.5, 0.2, 0.3]}, "order": "TO", "group_by": "user", "mode": "uni100"}
    with pytest.raises(DataError, match="does not leave every test user exactly one target"):
        split.make_split(make_config("SASRec", eval_args=ratio))
