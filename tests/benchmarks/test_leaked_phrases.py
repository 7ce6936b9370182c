"""The study of guesses at the next item."""

import pytest
import torch
from conftest import experiment

from benchmarks import leaked_phrases


@pytest.fixture
def leaked(shop):
    config, train, _, _, _ = experiment()
    return train.dataset, leaked_phrases.LeakedSAM(config, train.dataset, 0.5)


def test_nearest_are_other_titles_and_never_the_padding():
    titles = torch.tensor([[0.0, 0], [1, 0], [1, 0], [1, 0.1], [0, 1]])
    found = leaked_phrases.nearest(torch.nn.functional.normalize(titles, dim=1), 1)
    assert found[1:].tolist() == [[3], [3], [1], [3]]


def test_the_share_of_guesses_resembles_the_target(leaked):
    dataset, model = leaked
    target = torch.full((2_000,), 7)
    guess = model.eval().guesses(torch.arange(2_000), target)
    right = (guess.unsqueeze(1) == model.similar[7]).any(1).float().mean()
    by_chance = leaked_phrases.NEIGHBOURS / dataset.item_num
    assert abs(right - (0.5 + 0.5 * by_chance)) < 0.15
    assert torch.equal(guess, model.guesses(torch.arange(2_000), target))
    torch.manual_seed(1)
    first = model.train().guesses(torch.arange(2_000), target)
    assert not torch.equal(first, model.guesses(torch.arange(2_000), target))
    torch.manual_seed(1)
    assert torch.equal(first, model.guesses(torch.arange(2_000), target))


def test_one_row_a_share_and_path(shop, capsys):
    leaked_phrases.main(
        ["--dataset=shop", "--shares=1", "--paths=attention,text", "--epochs=1", "--use_gpu=False"]
    )
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:]] == ["attention"] * 2 + ["text"] * 2
