"""What users have already, against the raw sequences."""

import numpy as np
import pytest
from conftest import make_config, random_sequences
from recbole.data import create_dataset, data_preparation

from recbole_sam.evaluation.ranking.known_items import known_items


def parts(**settings):
    config = make_config("SASRec", **settings)
    return [loader.dataset for loader in data_preparation(config, create_dataset(config))]


def tokens(known, dataset):
    """User to the set of his known items, both as tokens; items are counted once."""
    rows = known.table(np.arange(dataset.user_num))
    names = dataset.field2id_token[dataset.iid_field]
    found = {}
    for user, row in zip(dataset.field2id_token[dataset.uid_field], rows, strict=True):
        items = row[row != 0]
        assert len(set(items)) == len(items)
        found[str(user)] = {str(name) for name in names[items]}
    return found


@pytest.mark.parametrize("window", [1, 3, 50])
def test_whole_histories_whatever_a_model_reads(shop, window):
    train, valid, test = parts(MAX_ITEM_LIST_LENGTH=window)
    known = known_items(train, valid, test)
    sequences = random_sequences()
    before_test, before_validation = tokens(known, test), tokens(known.before_validation(), test)
    for user, items in sequences.items():
        assert before_test[user] == set(items[:-1])
        if len(items) > 3:  # RecBole keeps a user of three out of validation
            assert before_validation[user] == set(items[:-2])
    assert before_test["[PAD]"] == before_validation["[PAD]"] == set()


def test_who_has_an_item(shop):
    train, valid, test = parts()
    known, (users, targets) = known_items(train, valid, test), fields(test)
    names = test.field2id_token[test.uid_field][users]
    repeats = [random_sequences()[user][-1] in random_sequences()[user][:-1] for user in names]
    assert known.holds(users, targets).tolist() == repeats and 0 < sum(repeats) < len(repeats)


def fields(part):
    return (part.inter_feat[field].numpy() for field in (part.uid_field, part.iid_field))
