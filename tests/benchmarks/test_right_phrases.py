"""How much phrases know of what comes next."""

import numpy as np
import pytest

from benchmarks import right_phrases
from benchmarks.right_phrases import Guesses


@pytest.fixture
def circle():
    """The unit vectors of forty titles, each as similar to the one before it as to the one after it."""
    angle = np.arange(40) * 2 * np.pi / 40
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_right_is_what_names_the_next_item_or_one_of_its_ten_nearest(circle):
    assert right_phrases.judged(3 * circle[[7, 9, 2]], 7, circle) == Guesses(3, 3)  # five on either side
    assert right_phrases.judged(circle[[1, 13, 30]], 7, circle) == Guesses(3, 0)
    assert right_phrases.judged(circle[:0], 7, circle) == Guesses(0, 0)


def test_the_table_tells_own_phrases_from_shuffled_ones_and_looks_beyond_the_history(circle):
    """Three users: one whose next item is like the history, two whose phrases know more than it."""
    phrases = [circle[[0]], circle[[20, 0]], circle[[31]]]
    histories = [circle[[1]], circle[[0, 5]], circle[[10]]]
    rows = list(right_phrases.table(phrases, histories, [0, 21, 30], circle))
    assert "all 3 users" in rows[0] and "2 users, beyond the history" in rows[0]
    assert rows[2] == "| the user's phrases | 75.0% of 4 | 100.0% | 66.7% of 3 | 100.0% |"
    assert rows[3] == "| shuffled: another user's | 25.0% of 4 | 33.3% | 0.0% of 2 | 0.0% |"
    assert rows[4] == "| the titles of the user's training items | 25.0% of 4 | 33.3% | 0.0% of 3 | 0.0% |"


def test_the_sample_holds_training_items_and_the_validation_item(shop):
    from conftest import make_config, random_sequences

    from recbole_sam.data.titles import item_titles

    config, sequences = make_config(), random_sequences()
    titles = item_titles(config)
    users, histories, following = right_phrases.sample(config, 1_000)
    assert len(users) > 30
    for user, items, title in zip(users, histories, following, strict=True):
        *trained, valid, _ = sequences[user]
        assert list(items) == trained[-len(items) :] and title == titles[valid]
    fewer = right_phrases.sample(config, 5)
    assert len(fewer[0]) == 5 and fewer == right_phrases.sample(config, 5)


def test_of_several_held_out_items_the_first_is_the_next(shop):
    from conftest import make_config, random_sequences

    from recbole_sam.data.titles import item_titles

    split = "{'split': {'RS': [0.5, 0.3, 0.2]}, 'order': 'TO', 'group_by': 'user', 'mode': 'full'}"
    config, sequences = make_config(eval_args=split), random_sequences()
    titles = item_titles(config)
    users, histories, following = right_phrases.sample(config, 1_000)
    several = 0
    for user, items, title in zip(users, histories, following, strict=True):
        items, whole = list(items), sequences[user]
        after = next(end for end in range(len(items), len(whole)) if whole[end - len(items) : end] == items)
        assert title == titles[whole[after]]
        several += len(whole) - after > 3
    assert several > 10


def test_answers_of_the_sample_are_in_the_ledger_of_the_store(shop, monkeypatch, capsys):
    from conftest import make_config
    from servers.llm_server import KEY, LLMServer

    from recbole_sam.data import store_location
    from recbole_sam.interests import ledger

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with LLMServer() as server:
        given = {"interest_generator": "openai", "llm_model": "m", "llm_base_url": server.compatible_url,
                 "text_encoder_dim": 8, "use_gpu": False}  # fmt: skip
        words = [f"--{name}={value}" for name, value in given.items()]
        right_phrases.main(["--dataset=shop", "--users=10", *words])
        asked = sum(server.asked.values())
    assert asked >= 10
    assert f"({asked} answers)" in ledger.total(store_location.path(make_config(**given)))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--dataset=nope", "there is no dataset 'nope'"),
        ("--dataset=shop --model=SASRec", "SASRec reads no interests"),
        ("--dataset=shop --interest_generator=opnai", "opnai"),
        ("--dataset=shop --datset=shop", "did you mean 'dataset'"),
        ("--dataset=shop --eval_args={'split':{'LS':'test_only'},'order':'TO','mode':'full'}", "validation"),
    ],
)
def test_mistakes_are_one_sentence(shop, capsys, words, sentence):
    from recbole_sam.cli.main import guarded

    assert guarded(right_phrases.main, words.split()) == 2
    told = capsys.readouterr().err
    assert sentence in told.splitlines()[-1] and "Traceback" not in told


def test_it_keeps_no_store(shop, capsys):
    before = sorted(shop.iterdir())
    words = "--dataset=shop --users=10 --text_encoder_dim=8 --use_gpu=False --examples=2"
    right_phrases.main(words.split())
    assert sorted(shop.iterdir()) == before
    out = capsys.readouterr().out
    assert out.count("\n| ") == 3 and out.count("next: ") == 2


def test_phrases_of_a_store_are_read_and_not_made_again(shop, capsys, tmp_path):
    from recbole_sam.cli.main import main

    words = ["--dataset=shop", "--text_encoder_dim=8", "--use_gpu=False"]
    tables = []
    right_phrases.main([*words, "--users=10"])
    tables.append(capsys.readouterr().out)
    assert main(["interests", "build", *words]) == 0
    file = tmp_path / "phrases.jsonl"
    assert main(["interests", "export", str(file), *words]) == 0
    assert main(["interests", "import", str(file), *words]) == 0
    for generator in ("keyphrases", "imported"):
        capsys.readouterr()
        right_phrases.main([*words, "--users=10", f"--interest_generator={generator}"])
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] == tables[2] and "the user's phrases" in tables[0]


def test_a_user_whom_the_store_does_not_know_has_no_phrases(shop, tmp_path):
    from conftest import make_config

    from recbole_sam.cli.main import main

    file = tmp_path / "phrases.jsonl"
    file.write_text('{"user": "u1", "interests": ["glass lamp"]}\n')
    words = ["--dataset=shop", "--text_encoder_dim=8", "--use_gpu=False"]
    assert main(["interests", "import", str(file), *words]) == 0
    config = make_config(text_encoder_dim=8, interest_generator="imported")
    _, found = right_phrases.interests(config, ["u1", "nobody"], [[], []])
    (phrases, vectors), (none, empty) = found
    assert phrases == ["glass lamp"] and vectors.shape == (1, 8)
    assert none == [] and empty.shape == (0, 8)
