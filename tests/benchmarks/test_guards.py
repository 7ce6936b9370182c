"""What speed was reached is kept: startup to 1.5 x of its targets, and the number of operators."""

import pytest
from conftest import CAUSAL, experiment

from benchmarks import startup
from benchmarks.speed import operators

ALLOWED = 1.5


def test_a_step_starts_no_more_operators_than_recboles_sasrec(shop):
    """But for the filters, which are two blocks of WEARec and start no more than WEARec."""

    def of_step(model, **settings):
        _, train, _, _, built = experiment(model, **settings)
        return operators.of_step(built, next(iter(train))).total()

    without = of_step("SAM", **CAUSAL)
    assert 0 < without <= of_step("SASRec")
    assert without < of_step("SAM") <= without + of_step("WEARec")


@pytest.mark.slow
@pytest.mark.parametrize("words", startup.COMMANDS)
def test_commands_answer_at_once(words):
    took = min(startup.cpu_seconds(["-m", "recbole_sam", *words.split()])[0] for _ in range(3))
    assert took <= ALLOWED * startup.COMMANDS[words]


@pytest.mark.slow
def test_the_first_batch_comes_about_as_soon_as_recboles(shop, tmp_path):
    given = {"dataset": shop.name, "data_path": str(shop.parent), "checkpoint_dir": str(tmp_path / "saved")}
    startup.first_batch(startup.OURS, given, cwd=tmp_path)  # makes interests and item texts
    ours, theirs = (
        min(startup.first_batch(who, given, cwd=tmp_path) for _ in range(3))
        for who in (startup.OURS, startup.THEIRS)
    )
    assert ours <= ALLOWED * startup.TO_FIRST_BATCH * theirs
