"""A built wheel, in an empty folder without the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    [file] = folder.glob("*.whl")
    return file


def test_wheel_holds_every_module_and_property(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for file in [*(ROOT / "recbole_sam").rglob("*.py")]:
        assert file.relative_to(ROOT).as_posix() in names
    for file in (ROOT / "recbole_sam/serving/web").glob("page.*"):
        assert file.relative_to(ROOT).as_posix() in names
    for file in [*(ROOT / "properties").rglob("*.yaml"), *(ROOT / "properties").rglob("*.hyper")]:
        assert f"recbole_sam/{file.relative_to(ROOT).as_posix()}" in names
    assert not [name for name in names if name.startswith(("tests/", "dataset/", "benchmarks/"))]


def test_wheel_works_without_the_clone(wheel, shop, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import recbole_sam.config.yaml_files as p; print(p.folder())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert Path(done.stdout.strip()) == site / "recbole_sam" / "properties", done.stderr[-2000:]
    words = ["run", "--model=SAM", "--dataset=shop", "--epochs=1", "--text_encoder_dim=8"]
    done = subprocess.run(
        [sys.executable, "-m", "recbole_sam", *words],
        capture_output=True, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0 and "test result" in done.stderr, done.stderr[-2000:]
