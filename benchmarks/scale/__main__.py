"""What a million users and more would take, computed from measured rates.

    python -m benchmarks.scale
    python -m benchmarks.scale --users=2000000 --items=500000 --width=128 --json
    python -m benchmarks.scale --write            # updates the tables of docs/scale/tables.md

Nothing is measured here. Rates come from ``speed.json`` and, where that has none, from the constants of
``assumptions``, each with the file it was copied from; prices and limits from ``properties``. Where no rate
was measured there is no time. Every row says what it rests on.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from benchmarks.scale.assumptions import Assumptions
from benchmarks.scale.tables import tables
from benchmarks.scale.words import markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale" / "tables.md"
BEGIN, END = "<!-- tables: python -m benchmarks.scale --write -->", "<!-- end of the tables -->"


def replaced(page, text):
    """A page with ``text`` between the two marks, str.

    Args:
        page (str): the old page.
        text (str): the tables.
    """
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}"


def main(words=None):
    """Prints the tables.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    sizes = {"type": lambda text: [int(size) for size in text.split(",")], "metavar": "N,N"}
    parser.add_argument("--users", default=[10**6, 10**7, 10**8], **sizes)
    parser.add_argument("--items", default=[10**6, 10**7], **sizes)
    for field in dataclasses.fields(Assumptions):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    parser.add_argument("--json", action="store_true", help="bytes, seconds and counts instead of Markdown")
    parser.add_argument("--write", action="store_true", help=f"also put the tables into {PAGE.name}")
    args = vars(parser.parse_args(words))
    users, items, as_json, write = (args.pop(name) for name in ("users", "items", "json", "write"))
    found = tables(users, items, Assumptions(**args))
    text = markdown(found)
    if write:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    if as_json:
        dicts = [table._asdict() | {"rows": [row._asdict() for row in table.rows]} for table in found]
        text = json.dumps(dicts, indent=1)
    print(text)


if __name__ == "__main__":
    main()
