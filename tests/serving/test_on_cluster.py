"""Everybody on a local Ray cluster of two workers, one of them killed: the bytes of one process."""

import os
import signal
import sys

import pytest
from bundle_helpers import bundle, make_shop

import recbole_sam
from recbole_sam.cli.main import main
from recbole_sam.errors import DataError, SettingError
from recbole_sam.serving.fast import on_cluster

try:
    import ray
except ImportError as error:
    pytest.skip(f"no working Ray here: {error}", allow_module_level=True)
if not hasattr(ray, "init"):
    pytest.skip("Ray is not installed", allow_module_level=True)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("cluster")
    make_shop(root)
    return bundle(root, "SAM", block=2)[0]  # 20 blocks


@pytest.fixture(scope="module")
def cluster():
    """A local Ray instance of two processes that find this project's modules."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def processes(crew):
    return ray.get([worker.process.remote() for worker in crew])


def test_a_killed_workers_blocks_are_done_again(cluster, folder, tmp_path, monkeypatch):
    shop = recbole_sam.load(folder)
    assert shop.recommend_all(tmp_path / "local.parquet", k=5) == 40
    crew, pids, told = [], [], []
    start = on_cluster.start_workers

    def remembering(*arguments):
        crew.extend(start(*arguments))
        pids.extend(processes(crew))
        return crew

    def kill_one(done, total):
        told.append(done)
        if done == 2:
            os.kill(pids[0], signal.SIGKILL)
        if done == total:
            told.append(processes(crew))

    monkeypatch.setattr(on_cluster, "start_workers", remembering)
    output = tmp_path / "ray.parquet"
    assert shop.recommend_all(output, k=5, progress=kill_one, engine="ray") == 40
    assert len(set(pids)) == 2 and told[:-1] == list(range(2, 41, 2))
    assert told[-1][0] not in pids and told[-1][1] == pids[1]  # the first was restarted
    assert output.read_bytes() == (tmp_path / "local.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local.parquet", "ray.parquet"]


def test_what_one_engine_began_the_other_finishes(cluster, folder, tmp_path):
    shop = recbole_sam.load(folder).with_items({"new1": "Rose Lip Balm"})
    asked = {"k": 3, "history": "valid", "exclude_seen": False, "without": ["i4"]}
    shop.recommend_all(tmp_path / "local.csv", **asked)

    def stop(done, total):
        if done >= 10:
            raise KeyboardInterrupt

    output = tmp_path / "both.csv"
    with pytest.raises(KeyboardInterrupt):
        shop.recommend_all(output, **asked, progress=stop, engine="ray")
    assert not output.exists()
    shop.recommend_all(output, **asked)
    assert output.read_bytes() == (tmp_path / "local.csv").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        shop.recommend_all(output, **asked, overwrite=True, progress=stop)
    shop.recommend_all(output, **asked, overwrite=True, engine="ray")
    assert output.read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_the_command_and_mistakes(cluster, folder, tmp_path, capsys):
    words = ("recommend", str(folder), "--all", "--top-k=5", "--engine=ray")
    assert main((*words, "--output=ray.jsonl")) == 0 and "40 users" in capsys.readouterr().out
    recbole_sam.load(folder).recommend_all("local.jsonl", k=5)
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
    assert main((*words, "--output=x.csv", "--workers=9")) == 2
    assert "2 CPUs, too few for --workers=9" in capsys.readouterr().err


def test_another_bundle_on_the_cluster_is_refused(cluster, folder, tmp_path, monkeypatch):
    shop = recbole_sam.load(folder)
    shop._files.checksum = "another"
    with pytest.raises(DataError, match="another bundle on a machine of the cluster"):
        shop.recommend_all(tmp_path / "top.csv", engine="ray")


def test_arguments_that_make_no_sense(folder, tmp_path):
    shop = recbole_sam.load(folder)
    for how in ({"engine": "spark"}, {"engine": "ray", "workers": 0}):
        with pytest.raises(SettingError, match="engine is 'spark'|workers is 0"):
            shop.recommend_all(tmp_path / "top.csv", **how)
    assert main(("recommend", str(folder), "--user=u1", "--engine=ray")) == 2
