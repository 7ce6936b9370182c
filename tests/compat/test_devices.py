"""Which GPUs ``gpu_id`` names, where the environment shows only some."""

import json

import pytest

from recbole_sam.compat.devices import CHOICE, VISIBLE, chosen, visible
from recbole_sam.errors import SettingError


@pytest.mark.parametrize(
    ("gpu_id", "given", "names"),
    [
        ("0", None, "0"),
        ("2,3", None, "2,3"),
        ("0", "5", "5"),
        ("1, 0", "4, 5", "5,4"),
        ("0,1", "1,0", "1,0"),
        ("5", "5", "5"),  # by their names
        ("1,2", "1,2", "1,2"),
        ("GPU-1a", "GPU-0b,GPU-1a", "GPU-1a"),
        ("0", "", ""),  # a job without a GPU
        ("", "4,5", ""),
    ],
)
def test_numbers_count_among_what_was_given(gpu_id, given, names):
    assert chosen(gpu_id, given) == names


@pytest.mark.parametrize("gpu_id", ["1", "0,3", "first", "0,0"])
def test_a_gpu_that_is_not_there_is_told(gpu_id):
    with pytest.raises(SettingError, match=rf"gpu_id is {gpu_id}, but CUDA_VISIBLE_DEVICES=7 shows 1 GPU"):
        chosen(gpu_id, "7")


@pytest.mark.parametrize(
    ("now", "choice", "before"),
    [
        (None, None, None),
        ("4,5", None, "4,5"),
        ("5", ["4,5", "5"], "4,5"),  # a configuration chose
        ("1", [None, "1"], None),
        ("3", ["4,5", "5"], "3"),  # and then somebody else did, as Ray for its workers
        (None, [None, "1"], None),
    ],
)
def test_what_was_given_is_what_was_there_before_a_choice(monkeypatch, now, choice, before):
    for name, value in ((VISIBLE, now), (CHOICE, choice and json.dumps(choice))):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert visible() == before
