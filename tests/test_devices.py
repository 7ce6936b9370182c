"""Which GPUs ``gpu_id`` names, where the environment shows only some."""

import pytest

from recbole_sam.compat.devices import chosen
from recbole_sam.errors import SettingError


@pytest.mark.parametrize(
    ("gpu_id", "visible", "names"),
    [
        ("0", None, "0"),
        ("2,3", None, "2,3"),
        ("0", "5", "5"),
        ("1, 0", "4, 5", "5,4"),
        ("5", "5", "5"),  # by its name
        ("GPU-1a", "GPU-0b,GPU-1a", "GPU-1a"),
        ("0", "", ""),  # a job without a GPU
        ("", "4,5", ""),
    ],
)
def test_numbers_count_among_what_is_visible(gpu_id, visible, names):
    assert chosen(gpu_id, visible) == names


@pytest.mark.parametrize("gpu_id", ["1", "0,3", "first"])
def test_a_gpu_that_is_not_there_is_told(gpu_id):
    with pytest.raises(SettingError, match=rf"gpu_id is {gpu_id}, but CUDA_VISIBLE_DEVICES=7 shows 1 GPU"):
        chosen(gpu_id, "7")
