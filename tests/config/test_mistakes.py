"""Mistakes and disks of RecBole's steps; the rest is in ``tests/reliability``."""

import os
from pathlib import Path

from recbole_sam.config.mistakes import whole_file


def test_a_rank_that_saves_nothing_leaves_the_checkpoint_that_another_one_writes(tmp_path):
    path = tmp_path / "model.pth"
    path.write_text("epoch 1")
    other = whole_file(path)
    with whole_file(path) as writing:
        with other:
            Path(writing).write_text("half of epoch 2")
        assert path.read_text() == "epoch 1"
        Path(writing).write_text("epoch 2")
    assert path.read_text() == "epoch 2" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_save_left_goes_with_the_next_one(tmp_path):
    path = tmp_path / "model.pth"
    with whole_file(path) as writing:
        left = Path(writing)
    left.write_text("half of epoch 1")
    os.utime(left, (0, 0))
    with whole_file(path) as writing:
        Path(writing).write_text("epoch 1")
    assert list(tmp_path.iterdir()) == [path]
