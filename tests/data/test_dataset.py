"""The hook: interests by token, the leak guard, and the choice of training targets."""

import pickle

import numpy as np
import pytest
import torch
from conftest import build_interests, experiment, make_config, random_sequences, write_dataset
from recbole.data import create_dataset, data_preparation

from recbole_sam.data import store_location
from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import InterestStore, write_store
from recbole_sam.errors import LeakGuardError, SettingError, StoreError, StoreMissingError
from recbole_sam.llm.settings import IDENTITY

SPLITS = {
    "leave one out": {"LS": "valid_and_test"},
    "validation only": {"LS": "valid_only"},
    "test only": {"LS": "test_only"},
    "ratio a user": {"RS": [0.6, 0.2, 0.2]},
    "ratio in time": {"RS": [0.6, 0.2, 0.2]},
    "time": {"TS": [0.6, 0.2, 0.2]},
}


def config_of(split, **settings):
    eval_args = {"split": SPLITS[split], "order": "TO", "mode": "full",
                 "group_by": "none" if split == "ratio in time" else "user"}  # fmt: skip
    return make_config(eval_args=eval_args, **settings)


def training_items(dataset, splits):
    return dict(dataset.training_histories(splits))


@pytest.mark.parametrize("split", SPLITS)
def test_training_history_holds_no_held_out_item(shop, split):
    sequences = random_sequences()
    dataset = create_dataset(config_of(split))
    splits = dataset.split()
    histories = training_items(dataset, splits)
    assert set(histories) == set(sequences)
    held_out = dict.fromkeys(sequences, 0)
    for part in splits[1:]:
        for user in dataset.id2token("user_id", part.inter_feat["user_id"].numpy()):
            held_out[user] += 1
    for user, sequence in sequences.items():
        assert histories[user] == sequence[: len(sequence) - held_out[user]]
    assert sum(held_out.values()) > 0


def test_training_history_under_leave_one_out_is_all_but_two(shop):
    dataset = create_dataset(config_of("leave one out"))
    histories = training_items(dataset, dataset.split())
    for user, sequence in random_sequences().items():
        # RecBole keeps one sample for training: three items leave a test target, but none for validation
        assert histories[user] == sequence[: -2 if len(sequence) > 3 else -1]


def test_only_the_newest_training_items_are_read(shop):
    dataset = create_dataset(config_of("leave one out", interest_history_length=3))
    for user, items in dataset.training_histories(dataset.split()):
        assert items == random_sequences()[user][:-2][-3:] or len(random_sequences()[user]) == 3


def test_one_item_history_has_interests_and_no_sample(tmp_path):
    write_dataset(tmp_path / "dataset" / "shop", {**random_sequences(users=5), "lone": ["i1"]})
    config, train, _, _, model = experiment()
    uid = train._dataset.token2id("user_id", "lone")
    assert model.user_k[uid] == 1
    assert uid not in train._dataset.inter_feat["user_id"]


def test_interests_are_joined_by_token(shop):
    config, train, _, _, model = experiment()
    dataset = train._dataset
    store = InterestStore.open(store_location.path(config))
    for user in ("u0", "u7", "u39"):
        uid = dataset.token2id("user_id", user)
        [row] = store.rows([user])
        k = int(model.user_k[uid])
        phrases = [store.phrases[i] for i in model.user_phrases[uid, :k].tolist()]
        assert phrases == store.phrases_of(row) and k >= 2
        got = model.phrase_embeddings[model.user_phrases[uid, 0].long()].numpy()
        assert np.array_equal(got, store.embeddings[store.phrase_index[store.offsets[row]]])
    assert model.user_k[0] == 0


def test_store_in_another_user_order_gives_the_same_interests(shop):
    config, train, _, _, model = experiment()
    path = store_location.path(config)
    store = InterestStore.open(path)
    order = np.random.default_rng(0).permutation(store.n_users)
    counts = np.diff(store.offsets)[order]
    index = np.concatenate([store.phrase_index[store.offsets[r] : store.offsets[r + 1]] for r in order])
    write_store(
        path.with_name("other.safetensors"),
        users=[store.users[r] for r in order],
        offsets=np.r_[0, np.cumsum(counts)],
        phrase_index=index,
        phrases=list(store.phrases),
        embeddings=np.array(store.embeddings),
        history_hashes=store.history_hashes[order],
        statuses=store.statuses[order],
        status_names=store.status_names,
        fingerprint=store.fingerprint,
    )
    _, _, _, _, other = experiment(interest_store=str(path.with_name("other.safetensors")))
    assert torch.equal(model.user_k, other.user_k) and torch.equal(model.user_phrases, other.user_phrases)


def test_leak_guard_fires_when_a_validation_item_is_slipped_in(shop):
    config = make_config()
    build_interests(config)
    path = store_location.path(config)
    store = InterestStore.open(path)
    sequences = random_sequences()
    hashes = np.array(store.history_hashes)
    [row] = store.rows(["u5"])
    assert bytes(hashes[row]) == history_hash(sequences["u5"][:-2])
    hashes[row] = np.frombuffer(history_hash(sequences["u5"][:-1]), np.uint8)
    write_store(
        path,
        users=list(store.users),
        offsets=store.offsets,
        phrase_index=store.phrase_index,
        phrases=list(store.phrases),
        embeddings=np.array(store.embeddings),
        history_hashes=hashes,
        statuses=store.statuses,
        status_names=store.status_names,
        fingerprint=store.fingerprint,
    )
    with pytest.raises(LeakGuardError, match=r"1 of 40 users.*interests --dataset=shop.*--rebuild"):
        create_dataset(make_config()).build()


def test_leak_guard_fires_when_the_data_changes(shop):
    build_interests(make_config())
    lines = (shop / "shop.inter").read_text().splitlines()
    del lines[1]  # the first item of u0
    (shop / "shop.inter").write_text("\n".join(lines) + "\n")
    with pytest.raises(LeakGuardError, match="1 of 40 users"):
        create_dataset(make_config()).build()


def test_leak_guard_fires_for_a_store_of_another_split(shop):
    build_interests(config_of("leave one out", interest_store="mine.safetensors"))
    with pytest.raises(LeakGuardError, match=r"\d\d of 40 users have another"):
        create_dataset(config_of("ratio a user", interest_store="mine.safetensors")).build()


def test_leak_guard_counts_users_the_store_does_not_know(tmp_path, shop):
    build_interests(make_config(interest_store="mine.safetensors"))
    write_dataset(tmp_path / "dataset" / "grown", {**random_sequences(), "new": ["i1", "i2", "i3", "i4"]})
    with pytest.raises(LeakGuardError, match="1 are missing"):
        create_dataset(make_config(dataset="grown", interest_store="mine.safetensors")).build()


def test_store_of_another_dataset_is_named(tmp_path, shop):
    build_interests(make_config(interest_store="mine.safetensors"))
    others = {f"x{user}": items for user, items in random_sequences().items()}
    write_dataset(tmp_path / "dataset" / "other", others)
    with pytest.raises(LeakGuardError, match="made for dataset 'shop'"):
        create_dataset(make_config(dataset="other", interest_store="mine.safetensors")).build()


def test_missing_store_says_what_to_type(shop):
    with pytest.raises(StoreMissingError, match="python -m recbole_sam interests"):
        create_dataset(make_config()).build()


def test_width_that_does_not_match(shop):
    build_interests(make_config())
    with pytest.raises(SettingError, match="interest_dim is 5.*have 8 numbers"):
        create_dataset(make_config(interest_dim=5)).build()


def test_train_targets_last_keeps_the_newest_training_sample(shop):
    _, every, valid_all, test_all, _ = experiment()
    _, last, valid, test, _ = experiment(train_targets="last")
    samples = last._dataset.inter_feat
    users = last._dataset.id2token("user_id", samples["user_id"].numpy())
    items = last._dataset.id2token("item_id", samples["item_id"].numpy())
    expected = {user: s[-3] if len(s) > 3 else s[-2] for user, s in random_sequences().items()}
    assert dict(zip(users, items, strict=True)) == expected and len(users) == len(set(users))
    assert len(every._dataset) > len(last._dataset)
    assert len(valid._dataset) == len(valid_all._dataset) and len(test._dataset) == len(test_all._dataset)


def test_unknown_train_targets(shop):
    with pytest.raises(SettingError, match="train_targets"):
        create_dataset(make_config(train_targets="first"))


def test_benchmark_files_are_refused(shop):
    with pytest.raises(SettingError, match="benchmark_filename"):
        create_dataset(make_config(benchmark_filename=["train", "valid", "test"]))


def test_saved_dataloaders_hold_no_interests_and_find_them_again(shop):
    config, train, _, test, model = experiment(save_dataloaders=True)
    file = shop.parents[1] / "saved" / "shop-for-SAM-dataloader.pth"
    blob = file.read_bytes()
    assert b"embeddings" not in blob
    config = make_config(save_dataloaders=True)
    again = data_preparation(config, create_dataset(config))[0]
    assert torch.equal(again._dataset.interests.user_phrases, model.user_phrases)
    assert torch.equal(again._dataset.interests.embeddings, model.phrase_embeddings)


def test_saved_dataloaders_do_not_get_around_the_leak_guard(shop, tmp_path):
    given = {"interest_store": str(tmp_path / "mine.safetensors")}
    experiment(save_dataloaders=True, **given)
    leaky = {"split": {"LS": "test_only"}, "order": "TO", "group_by": "user", "mode": "full"}
    build_interests(make_config(eval_args=leaky, **given))  # of validation items too, in the same file
    config = make_config(save_dataloaders=True, **given)
    with pytest.raises(LeakGuardError, match="built again, from other training histories"):
        data_preparation(config, create_dataset(config))


def test_interests_are_mapped_and_pickled_as_a_path(shop):
    _, train, _, _, _ = experiment()
    table = train._dataset.interests
    again = pickle.loads(pickle.dumps(table))
    assert torch.equal(again.embeddings, table.embeddings) and torch.equal(again.user_k, table.user_k)


def test_filters_of_recbole_change_the_histories_and_the_file(shop):
    plain, filtered = make_config(), make_config(user_inter_num_interval="[5,inf)")
    assert store_location.path(plain) != store_location.path(filtered)
    build_interests(filtered)
    dataset = create_dataset(filtered)
    dataset.build()
    assert dataset.user_num < 41


def test_settings_that_do_not_change_interests_share_the_file(shop):
    ranked = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "uni100"}
    same = make_config(train_targets="last", hidden_size=32, learning_rate=0.1, eval_args=ranked)
    assert store_location.path(same) == store_location.path(make_config())
    assert store_location.path(make_config(interest_k_max=5)) != store_location.path(make_config())


def test_what_a_language_model_is_asked_names_the_file(shop):
    assert set(store_location._LLM_CONTENT) == {f"llm_{name}" for name in IDENTITY}
    asked = dict(interest_generator="dashscope", llm_model="qwen-flash")
    same = make_config(**asked, llm_concurrency=2, interest_engine="ray")
    assert store_location.path(same) == store_location.path(make_config(**asked))
    other = make_config(interest_generator="dashscope", llm_model="qwen-turbo")
    assert store_location.path(other) != store_location.path(make_config(**asked))


def test_other_titles_make_another_file_and_the_same_in_another_order_do_not(shop, tmp_path):
    config = make_config(interest_evidence=False)
    build_interests(config)
    before, items = store_location.path(config), shop / "shop.item"
    header, *rows = items.read_text().splitlines()
    items.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert store_location.path(config) == before
    shared = before.rename(tmp_path / "shared.safetensors")
    items.write_text(items.read_text().replace("Shampoo", "Tractor"))
    assert store_location.path(config) != before
    with pytest.raises(StoreMissingError):
        create_dataset(make_config(interest_evidence=False)).build()
    # who names a file has it
    chosen = make_config(interest_evidence=False, item_text=False, interest_store=str(shared))
    assert create_dataset(chosen).build()[0].interests.user_k.sum() > 0


def test_the_file_of_other_settings_is_not_taken_for_the_right_one(shop, caplog):
    given = dict(interest_evidence=False, item_text=False)
    other = make_config(**given, interest_k_max=3)
    build_interests(other)
    config = make_config(**given)
    store_location.path(other).rename(store_location.path(config))
    with pytest.raises(StoreError, match="made with other settings or from other titles.*--rebuild"):
        create_dataset(config).build()
    # who names a file has it, and reads that its titles have changed since
    named = make_config(**given, interest_store=str(store_location.path(config)))
    items = shop / "shop.item"
    items.write_text(items.read_text().replace("Shampoo", "Tractor"))
    create_dataset(named).build()
    assert "were made from other titles than the items of 'shop' have now" in caplog.text


def test_imported_interests_have_one_file_whatever_the_titles(shop):
    config = make_config(interest_generator="imported")
    before = store_location.path(config)
    (shop / "shop.item").unlink()
    assert store_location.path(config) == before
    assert store_location.path(make_config()).parent == before.parent  # who reads them is told


def test_the_text_of_a_prompt_names_the_file_not_where_it_lies(shop, tmp_path):
    def path(name, text):
        (tmp_path / name).write_text(text)
        asked = dict(interest_generator="dashscope", llm_prompt_file=str(tmp_path / name))
        return store_location.path(make_config(**asked))

    first = path("a.txt", "{titles} {k}")
    assert path("b.txt", "{titles} {k}") == first != path("a.txt", "{titles}, {k} please")
    with pytest.raises(SettingError, match="Cannot read the prompt template"):
        store_location.path(make_config(interest_generator="dashscope", llm_prompt_file="none.txt"))
