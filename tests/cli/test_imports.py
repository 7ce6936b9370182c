"""What a command imports before it does anything: torch and RecBole take seconds."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

CALLED = """
import json, sys
from recbole_sam.cli.main import main
try:
    code = main(json.loads(sys.argv[1]))
except SystemExit as error:
    code = error.code
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
HEAVY = {"torch", "recbole", "pandas", "sklearn", "transformers"}
PREPARE = ["prepare", "--dataset=mine", "--interactions=clicks.csv", "--items=items.csv", "--min-count=1"]
COMMANDS = {
    "help": ["--help"],
    "prepare --help": ["prepare", "--help"],
    "prepare": PREPARE,
    "doctor": ["doctor"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_neither_torch_nor_recbole(name, tmp_path):
    clicks = "".join(f"u{user},i{item},{item}\n" for user in range(5) for item in range(5))
    (tmp_path / "clicks.csv").write_text(f"user_id,item_id,timestamp\n{clicks}")
    (tmp_path / "items.csv").write_text(
        "item_id,title\n" + "".join(f"i{item},Soap {item}\n" for item in range(5))
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CALLED, json.dumps(COMMANDS[name])],
        capture_output=True, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    code, imported = json.loads(done.stdout.splitlines()[-1])
    assert not code, done.stderr
    assert not HEAVY & set(imported)
