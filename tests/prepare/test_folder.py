import errno
import os
import subprocess
import sys

import pytest

from recbole_sam.errors import DataError
from recbole_sam.prepare.folder import SYNTHETIC_MARKER, replacing


def fill(folder, overwrite=False, text="new"):
    with replacing(folder, overwrite) as new:
        (new / "x.inter").write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def real(tmp_path):
    folder = tmp_path / "data" / "x"
    fill(folder, text="old")
    return folder


def test_a_new_folder_appears_whole(real):
    assert names(real.parent) == ["x"]
    assert real.stat().st_mode & 0o055 == 0o055  # readable by others, unlike mkdtemp's


def test_real_data_is_only_replaced_when_asked(real):
    with pytest.raises(DataError, match="--overwrite"):
        fill(real)
    assert (real / "x.inter").read_text() == "old"
    fill(real, overwrite=True)
    assert (real / "x.inter").read_text() == "new"
    assert names(real.parent) == ["x"]


def test_synthetic_data_goes_with_all_its_files_and_no_other(real):
    (real / SYNTHETIC_MARKER).write_text("made up")
    of_made_up_users = ("interests-a.safetensors", "item-texts-b.safetensors", "interests-a.spent.jsonl")
    for made in (*(f"x.{rest}" for rest in of_made_up_users), "x.item", "report.html"):
        (real / made).write_text("made up")
    (real / "notes").mkdir()
    (real / "notes" / "todo").write_text("mine")
    (real / "All_Beauty_5.json.gz").write_text("mine")
    fill(real)
    assert names(real) == ["All_Beauty_5.json.gz", "notes", "x.inter"]
    assert (real / "notes" / "todo").read_text() == "mine"


def test_what_prepare_did_not_make_moves_along(real):
    (real / "interests.safetensors").write_text("paid for")
    (real / "cache").mkdir()
    (real / "cache" / "answer").write_text("42")
    (real / "x.item").write_text("old")
    for made in ("card.json", "report.html", "report-time.png"):
        (real / made).write_text("old")
    (real / "reports").mkdir()
    (real / "reports" / "thesis.csv").write_text("mine")
    (real / "report_2024.docx").write_text("mine")
    fill(real, overwrite=True)
    assert names(real) == ["cache", "interests.safetensors", "report_2024.docx", "reports", "x.inter"]
    assert (real / "reports" / "thesis.csv").read_text() == "mine"
    assert (real / "cache" / "answer").read_text() == "42"


@pytest.mark.parametrize("wrong", [ValueError("x"), KeyboardInterrupt()])
def test_nothing_changes_when_filling_fails(real, wrong):
    with pytest.raises(type(wrong)), replacing(real, True) as new:
        (new / "x.inter").write_text("half")
        raise wrong
    assert names(real.parent) == ["x"]
    assert (real / "x.inter").read_text() == "old"


def test_a_full_disk_gets_one_sentence(real):
    with pytest.raises(DataError, match="disk is full"), replacing(real, True):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(real.parent) == ["x"]


def test_the_old_folder_returns_when_the_new_one_cannot_take_its_place(real, monkeypatch):
    rename = os.rename

    def second_fails(source, target):
        if str(source).startswith(str(real.parent / ".x.")) and "replaced" not in str(source):
            raise OSError(errno.EIO, "broken")
        rename(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(DataError, match="as it was"):
        fill(real, overwrite=True)
    assert names(real.parent) == ["x"]
    assert (real / "x.inter").read_text() == "old"


def test_a_death_between_the_two_renames_is_mended_by_the_next_call(real):
    real.rename(real.with_name(".x.replaced"))
    with pytest.raises(DataError, match="--overwrite"):
        fill(real)
    assert (real / "x.inter").read_text() == "old"


def test_a_death_after_the_two_renames_leaves_no_rest(real):
    real.with_name(".x.replaced").mkdir()
    fill(real, overwrite=True)
    assert names(real.parent) == ["x"]


def test_what_a_killed_process_left_is_swept_up(real):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    rest = real.with_name(f".x.{dead.pid}.partial")
    running = real.with_name(f".x.{os.getppid()}.partial")
    others = [running, real.with_name(".x.y.partial"), real.with_name(f".x.y.{dead.pid}.partial")]
    for folder in (rest, *others):
        folder.mkdir()
    fill(real, overwrite=True)
    assert not rest.exists()
    assert running.exists() and others[1].exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "x").write_text("a file")
    with pytest.raises(DataError, match="is a file"):
        fill(tmp_path / "x")


def test_a_linked_folder_stays_linked(real, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(real)
    fill(link, overwrite=True)
    assert link.is_symlink()
