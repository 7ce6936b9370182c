"""Mistakes and disks of RecBole's steps; the rest is in ``tests/reliability``."""

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
