"""The doctor reports; it does not fail, whatever it finds."""

import argparse
import os
from pathlib import Path

import pytest

from recbole_sam.cli import doctor
from recbole_sam.encoders import encode

WAYS = {
    "no such folder": ["--data_path=none"],
    "a file": ["--data_path=file"],
    "a pipe": ["--data_path=pipe"],
    "a name too long": ["--data_path=" + "x" * 5000],
    "an encoder's name too long": ["--text_encoder=" + "x" * 5000],
    "no name of an encoder": ["--text_encoder=--a..b--"],
    "an encoder that is a pipe": ["--text_encoder=pipe"],
    "datasets that are pipes and folders": ["--data_path=odd"],
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_it_finds(capsys, way):
    Path("file").write_text("")
    os.mkfifo("pipe")
    for name in ("a", "b"):
        Path("odd", name).mkdir(parents=True)
    os.mkfifo("odd/a/a.inter")
    Path("odd/b/b.inter").mkdir()
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers(), "checks")
    assert doctor.run(parser.parse_args(["doctor", *WAYS[way]])) == 0
    told = capsys.readouterr().out
    assert "datasets\n" in told and "ml-100k" in told or "unknown: " in told


def test_one_section_that_fails_leaves_the_others(capsys, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("the driver is too old\nand more")

    monkeypatch.setattr(doctor, "hardware", broken)
    monkeypatch.setattr(encode, "MODEL_FOLDER", Path("none"))
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers(), "checks")
    assert doctor.run(parser.parse_args(["doctor"])) == 0
    told = capsys.readouterr().out
    assert "  unknown: RuntimeError, the driver is too old\n" in told and "ml-100k" in told


def test_gpus_are_asked_for_only_where_one_can_be(monkeypatch):
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda package: "2.13.0+cpu")
    assert doctor.gpus() == ["no GPU: the torch that is installed is built for CPUs only"]
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda package: "2.13.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "DRIVERS", ("driver",))
    assert doctor.gpus() == ["no GPU: there is no driver of one here (torch was not asked)"]
    Path("driver").touch()
    assert all("GPU" in line for line in doctor.gpus()) and "not asked" not in doctor.gpus()[0]
