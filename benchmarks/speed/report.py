"""The table on the screen, as Markdown, and as JSON."""

import dataclasses
import json
import os
import platform
import shlex
from datetime import date
from pathlib import Path

import torch

SHORT = ("what", "target", "measured", "met")
"""Columns on the screen."""
COLUMNS = ("run", "what", "expected", "target", "measured", "met", "kept")
"""Columns of the page."""
MET = {True: "yes", False: "NO", None: "-"}


def environment(setup, words):
    """Where and how the rows were measured; JSON-able."""
    gpu = torch.cuda.get_device_name() if setup.device == "cuda" else "no GPU"
    return {
        "command": shlex.join(["python", "-m", "benchmarks.speed", *words]),
        "date": str(date.today()),
        "machine": f"{os.cpu_count()} CPU cores ({processor()}, {platform.machine()}), {gpu}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": setup.device,
        "threads": setup.threads,
        "seed": setup.seed,
        "rounds": setup.rounds,
        "size": setup.size,
        "clock": f"{setup.clock} seconds",
        "load": round(os.getloadavg()[0], 1),
    }


def processor():
    """The CPU's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def as_dict(row, environment):
    """A row as it stands in the JSON file."""
    return {**dataclasses.asdict(row), "behind": row.behind, "met": row.met, "environment": environment}


def merged(file, rows):
    """The rows of a file and these, which replace those of the same groups on the same device.

    So a part of the groups can be measured again, and a GPU's rows stand beside a CPU's.
    """
    replaced = {(row["group"], row["environment"]["device"]) for row in rows}
    old = json.loads(file.read_text()) if file.exists() else []
    kept = [row for row in old if (row["group"], row["environment"]["device"]) not in replaced]
    return sorted(kept + rows, key=lambda row: row["environment"]["device"])


def table(rows, columns=SHORT):
    """Markdown lines of a table.

    Args:
        rows (list of dict): as :func:`as_dict` gives them, with what else the columns name.
        columns (sequence of str): keys of the rows.
    """
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = (MET[row[name]] if name == "met" else str(row[name]) for name in columns)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def markdown(rows):
    """The whole page.

    Args:
        rows (list of dict): what :func:`merged` returned.
    """
    runs = []
    for row in rows:
        if row["environment"] not in runs:
            runs.append(row["environment"])
    told = [
        {
            **row,
            "run": runs.index(row["environment"]) + 1,
            "expected": row["prediction"],
            "kept": row["stayed"].replace(": stayed", ""),
        }
        for row in rows
    ]
    lines = [
        "# Speed and scale: expected, measured, kept",
        "",
        "Inputs are invented from the seed. Rivals run side by side in one process, taking turns;",
        "numbers are medians of the rounds. On one CPU thread CPU seconds are measured, which other work on",
        "the machine lengthens less than those on the wall. Memory is what a call adds to the process,",
        "as Linux counts it (on a GPU: CUDA's allocator). Read ratios.",
        "",
        *table(told, COLUMNS),
        "",
        "## Runs",
        "",
    ]
    for number, env in enumerate(runs, 1):
        lines.append(
            f"{number}. `{env['command']}`: {env['machine']}; threads {env['threads']}; load {env['load']} "
            f"at the start; {env['date']}; Python {env['python']}, torch {env['torch']}; seed {env['seed']}, "
            f"{env['rounds']} rounds, {env['clock']}, size {env['size']}."
        )
    return "\n".join(lines) + "\n"
