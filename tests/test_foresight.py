"""How much phrases know of what comes next."""

import numpy as np
import pytest

from benchmarks import foresight
from benchmarks.foresight import Guesses


@pytest.fixture
def circle():
    """The unit vectors of forty titles, each as similar to the one before it as to the one after it."""
    angle = np.arange(40) * 2 * np.pi / 40
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_right_is_what_names_the_next_item_or_one_of_its_ten_nearest(circle):
    assert foresight.judged(3 * circle[[7, 9, 2]], 7, circle) == Guesses(3, 3)  # five on either side
    assert foresight.judged(circle[[1, 13, 30]], 7, circle) == Guesses(3, 0)
    assert foresight.judged(circle[:0], 7, circle) == Guesses(0, 0)


def test_the_table_tells_own_phrases_from_shuffled_ones_and_looks_beyond_the_history(circle):
    """Three users: one whose next item is like the history, two whose phrases know more than it."""
    phrases = [circle[[0]], circle[[20, 0]], circle[[31]]]
    histories = [circle[[1]], circle[[0, 5]], circle[[10]]]
    rows = list(foresight.table(phrases, histories, [0, 21, 30], circle))
    assert "all 3 users" in rows[0] and "2 users, beyond the history" in rows[0]
    assert rows[2] == "| the user's phrases | 75.0% of 4 | 100.0% | 66.7% of 3 | 100.0% |"
    assert rows[3] == "| shuffled: another user's | 25.0% of 4 | 33.3% | 0.0% of 2 | 0.0% |"
    assert rows[4] == "| the titles of the user's training items | 25.0% of 4 | 33.3% | 0.0% of 3 | 0.0% |"


def test_the_sample_holds_training_items_and_the_validation_item(shop):
    from conftest import make_config, random_sequences

    from recbole_sam.data.item_texts import item_titles

    config, sequences = make_config(), random_sequences()
    titles = item_titles(config)
    users, histories, following = foresight.sample(config, 1_000)
    assert len(users) > 30
    for user, items, title in zip(users, histories, following, strict=True):
        *trained, valid, _ = sequences[user]
        assert list(items) == trained[-len(items) :] and title == titles[valid]
    fewer = foresight.sample(config, 5)
    assert len(fewer[0]) == 5 and fewer == foresight.sample(config, 5)


def test_it_keeps_no_store(shop, capsys):
    before = sorted(shop.iterdir())
    words = "--dataset=shop --users=10 --text_encoder_dim=8 --use_gpu=False --examples=2"
    foresight.main(words.split())
    assert sorted(shop.iterdir()) == before
    out = capsys.readouterr().out
    assert out.count("\n| ") == 3 and out.count("next: ") == 2
