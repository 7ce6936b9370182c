import shutil

import numpy as np
import pandas as pd
import pytest
from run_helpers import N, a_run

from recbole_sam.errors import DataError, SettingError
from recbole_sam.evaluation import split as splits
from recbole_sam.evaluation import tuning
from recbole_sam.evaluation.ranking.known_items import KnownItems
from recbole_sam.evaluation.run_folder import PER_USER, RUN, SPLIT, TRIALS, RunFolder, write_ranks
from recbole_sam.evaluation.split import Split
from recbole_sam.evaluation.trial import RANKS, write_result


def a_split():
    tokens = np.array(["[PAD]", *(f"t{i}" for i in range(N))])
    users = np.arange(1, N + 1)
    parts = {"users": "a", "items": "b", "validation": "c", "test": "d"}
    return Split(tokens, tokens, users, users[::-1], users + 1, np.arange(N + 1) * 10,
                 np.zeros((N, 100), np.int32), 99, parts)  # fmt: skip


def finish(folder, label, seed, full, tuned=None, masked=None):
    path = folder.start(label, seed, {})
    ranks = {"full": full, "uni100": np.ones(N), **({} if masked is None else {"masked": masked})}
    np.savez(path / RANKS, **{name: np.array(values, np.int32) for name, values in ranks.items()})
    write_result(path, {"model": label, "seed": seed, "status": "done", "tuned": tuned})


def test_gathers_what_ended(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.begin(a_run(), a_split())
        finish(folder, "SAM:a=1", 2021, [5, 4, 3, 2, 1])
        finish(folder, "SASRec", 2020, [1, 2, 3, 4, 5])
        write_result(folder.start("SINE", 2020, {}), {"model": "SINE", "seed": 2020, "status": "failed"})
        folder.start("MIND", 2020, {})  # killed: no result
        folder.gather()
    assert [trial["model"] for trial in folder.trials()] == ["SASRec", "SINE", "SAM:a=1"]
    assert folder.result("MIND", 2020) is None and folder.result("SINE", 2020)["status"] == "failed"
    ranks = folder.ranks()
    assert list(ranks.columns) == [
        "model", "seed", "protocol", "user", "item", "rank", "history", "popularity",
    ]  # fmt: skip
    mine = ranks[(ranks.model == "SAM:a=1") & (ranks.protocol == "full")]
    assert mine["rank"].tolist() == [5, 4, 3, 2, 1] and set(mine.seed) == {2021}
    assert (
        mine.user.tolist() == ["t0", "t1", "t2", "t3", "t4"]
        and mine.item.tolist() == mine.user.tolist()[::-1]
    )
    assert mine.history.tolist() == [2, 3, 4, 5, 6] and mine.popularity.tolist() == [50, 40, 30, 20, 10]
    assert len(ranks) == 2 * 2 * N


def test_what_a_killed_process_left_is_gathered(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.begin(a_run(), a_split())
    finish(folder, "SASRec", 3_141_592_653, [1, 2, 3, 4, 5])  # numpy takes seeds below 2^32
    with folder.locked(), pytest.raises(SettingError, match="another compare is at work"):
        RunFolder(folder.path).catch_up()  # there is nothing to show yet
    assert folder.catch_up() is None and set(folder.ranks().seed) == {3_141_592_653}
    before = (folder.path / TRIALS).stat().st_mtime_ns
    assert folder.catch_up() is None and (folder.path / TRIALS).stat().st_mtime_ns == before
    finish(folder, "SASRec", 2021, [1, 2, 3, 4, 5])
    with folder.locked():
        assert "another compare is at work" in RunFolder(folder.path).catch_up()
    assert len(folder.trials()) == 1
    folder.catch_up()
    assert len(folder.trials()) == 2


def test_goes_on_from_the_gathered_files_alone(tmp_path):
    whole = RunFolder(tmp_path)
    whole.begin(a_run(), a_split())
    finish(whole, "SAM:a=1", 2021, [5, 4, 3, 2, 1])
    finish(whole, "SASRec", 2020, [1, 2, 3, 4, 5], {"n_layers": 1})
    write_result(whole.start("SINE", 2020, {}), {"model": "SINE", "seed": 2020, "status": "failed"})
    whole.gather()
    copy = RunFolder(tmp_path / "copy")
    copy.path.mkdir()
    for name in (RUN, TRIALS, PER_USER):
        shutil.copy(whole.path / name, copy.path / name)
    copy.begin(a_run(), a_split())
    copy.gather()
    assert copy.trials() == whole.trials()
    pd.testing.assert_frame_equal(copy.ranks(), whole.ranks())
    shutil.rmtree(copy.trial("SASRec", 2020))  # to train it again; it does not come back by itself
    copy.begin(a_run(), a_split())
    assert copy.result("SASRec", 2020) is None and copy.result("SINE", 2020)["status"] == "failed"
    kept = {path.name for path in copy.path.iterdir()}
    assert kept == {RUN, TRIALS, PER_USER, SPLIT, "trials", "tuning"}
    assert tuning.outcome(copy.tuning("SASRec")) == {"best": {"n_layers": 1}}
    assert tuning.outcome(copy.tuning("SAM:a=1")) is None


def test_users_whom_masked_ranking_leaves_out_have_no_row(tmp_path):
    """Beside a trial older than masked ranks; and both go on from the gathered files."""
    known = KnownItems(np.array([0, 0, 0, 1, 1, 1, 2]), np.array([4, 1], np.int32), np.zeros(2, bool))
    split = a_split()._replace(known=known)  # the targets of the users 1 to 5 are 5 to 1
    whole = RunFolder(tmp_path)
    whole.begin(a_run(), split)
    finish(whole, "SAM", 2021, [5, 4, 3, 2, 1], masked=[4, 0, 3, 2, 0])
    finish(whole, "SASRec", 2020, [1, 2, 3, 4, 5])
    whole.gather()
    rows = whole.ranks().query("protocol == 'masked'")
    assert rows.user.tolist() == ["t0", "t2", "t3"] and rows["rank"].tolist() == [4, 3, 2]
    assert set(rows.model) == {"SAM"} and len(whole.ranks()) == 4 * N + 3
    shutil.rmtree(whole.path / "trials")
    again = RunFolder(tmp_path)
    again.begin(a_run(), split)
    again.gather()
    assert again.ranks().equals(whole.ranks())
    with np.load(again.trial("SAM", 2021) / RANKS) as kept:
        assert kept["masked"].tolist() == [4, 0, 3, 2, 0]
    with np.load(again.trial("SASRec", 2020) / RANKS) as kept:
        assert sorted(kept) == ["full", "uni100"]


def test_a_split_of_before_is_written_anew(tmp_path):
    folder = RunFolder(tmp_path)
    known = KnownItems(np.zeros(N + 2, int), np.zeros(0, np.int32), np.ones(0, bool))
    folder.begin(a_run(), a_split())
    assert splits.load(folder.path / SPLIT).known is None
    folder.begin(a_run(), a_split()._replace(known=known))
    assert len(splits.load(folder.path / SPLIT).known.starts) == N + 2


def test_gathered_files_that_do_not_belong_together_are_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(a_run(), a_split())
    finish(folder, "SASRec", 2020, [1, 2, 3, 4, 5])
    folder.gather()
    shutil.rmtree(folder.path / "trials")
    folder.write(TRIALS, [{"model": "SASRec", "seed": 2021, "status": "done", "tuned": None}])
    with pytest.raises(DataError, match=r"lacks ranks of SASRec with seed 2021.* copy both files"):
        folder.begin(a_run(), a_split())
    assert len(folder.ranks()) == 2 * N  # nothing is lost


def test_a_second_comparison_waits_outside(tmp_path):
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(SettingError, match="another compare is at work in"):
        with RunFolder(tmp_path).locked():
            pass


def test_other_settings_and_other_data_are_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(a_run(), a_split())
    folder.begin(a_run(), a_split())
    with pytest.raises(SettingError, match=r"other settings \(epochs 3, now 4\): give another --run"):
        folder.begin(a_run(given={"epochs": "4"}), a_split())
    chosen = "the protocol that chooses the best epoch full, now masked"
    with pytest.raises(SettingError, match=rf"other settings \({chosen}\): give another --run"):
        folder.begin(a_run(chosen_by="masked"), a_split())
    with pytest.raises(DataError, match=r"made from other data than 'shop' is now \(users differ\)"):
        folder.begin(a_run(checksums={"users": "x", "candidates": "e"}), a_split())


@pytest.mark.parametrize("name", ["data_path", "show_progress", "gpu_id", "use_gpu", "state"])
def test_what_changes_no_result_may_differ(tmp_path, name):
    """So a comparison can be handed on, and goes on where the data lies elsewhere."""
    folder = RunFolder(tmp_path)
    folder.begin(a_run(given={"epochs": "3", name: "a"}), a_split())
    folder.begin(a_run(given={"epochs": "3", name: "b"}), a_split())
    assert folder.run()["given"][name] == "b"
    with pytest.raises(SettingError, match=r"other settings \(epochs 3, now 4\)"):
        folder.begin(a_run(given={"epochs": "4", name: "b"}), a_split())


def test_what_went_on_tells_of_all_its_sessions(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(a_run(), a_split())
    folder.begin(a_run(), a_split())
    assert folder.run() == a_run()
    for _ in range(2):
        folder.begin(
            a_run(command="compare --add", versions={"torch": "2.14.0"}, date="2026-11-25"), a_split()
        )
    told = folder.run()
    assert told["command"] == "compare && compare --add" and told["date"] == "2026-11-24; 2026-11-25"
    assert told["versions"] == {"torch": "2.13.0, 2.14.0"} and told["machine"] == "m"


def test_folders_that_hold_nothing_or_rubbish(tmp_path):
    with pytest.raises(DataError, match="holds no comparison"):
        RunFolder(tmp_path / "none").run()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match="run.json is not readable"):
        RunFolder(tmp_path).run()
    for content in (b"rubbish", None):
        if content:
            (tmp_path / PER_USER).write_bytes(content)
        else:
            (tmp_path / PER_USER).unlink()
        with pytest.raises(DataError, match="ranks.parquet is not readable"):
            RunFolder(tmp_path).ranks()


def test_what_is_no_folder_and_what_holds_other_things(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("hello")
    with pytest.raises(DataError, match="README.md holds no comparison"):
        RunFolder(file).run()
    with pytest.raises(SettingError, match="cannot write to .*README.md .File exists.: give another --run"):
        with RunFolder(file).locked():
            pass
    for content, wrong in (("{}", "dataset, given, "), ("[]", "its content is no dict")):
        (tmp_path / RUN).write_text(content)
        with pytest.raises(DataError, match=rf"run.json is not a file that compare wrote \({wrong}"):
            RunFolder(tmp_path).run()
    pd.DataFrame({"model": ["SAM"], "rank": [1]}).to_parquet(tmp_path / PER_USER)
    with pytest.raises(DataError, match=r"ranks.parquet is not a file that compare wrote \(seed, protocol, "):
        RunFolder(tmp_path).ranks()


def test_a_fault_while_the_folder_is_held_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), RunFolder(tmp_path).locked():
        (tmp_path / "none").read_text()
    with RunFolder(tmp_path).locked():  # and the folder is free again
        pass


def test_tokens_are_written_once(tmp_path):
    """Twenty trials hold the tokens of a thousand users no more often than one trial does."""
    n = 1000
    rng = np.random.default_rng(0)
    tokens = np.array(["[PAD]", *("".join(rng.choice(list("ABCDEFGH"), 14)) for _ in range(n))])
    users = np.arange(1, n + 1)
    split = a_split()._replace(user_tokens=tokens, users=users, targets=np.ones(n, int), history=users,
                               popularity=np.ones(6, int))  # fmt: skip
    same = {"full": users.astype(np.int32), "uni100": users.astype(np.int32)}
    sizes = []
    for trials in (1, 20):
        write_ranks(tmp_path / PER_USER, split, [("SAM", seed, same) for seed in range(trials)])
        assert len(pd.read_parquet(tmp_path / PER_USER)) == trials * 2 * n
        sizes.append((tmp_path / PER_USER).stat().st_size)
    assert sizes[1] < 2 * sizes[0]
