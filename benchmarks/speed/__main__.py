"""The speed targets, rivals side by side.

    python -m benchmarks.speed                                # all, on one CPU thread
    python -m benchmarks.speed --only=training,store
    python -m benchmarks.speed --device=cuda                  # all, on a GPU

Prints a table and writes it with medians, ratios and peak memory to ``speed.json`` and ``speed.md`` in
``--output``; rows measured before stay there unless they are measured again on the same device. Needs Linux.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path

GROUPS = ("training", "augmentation", "routing", "store", "evaluation", "losses")
ROUNDS = {"full": 5, "guard": 3, "quick": 1}
HERE = Path(__file__).resolve().parent


def arguments(words):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(GROUPS), help=f"row groups of {','.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    parser.add_argument("--size", choices=tuple(ROUNDS), default="full")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch and numpy on the CPU")
    parser.add_argument("--rounds", type=int, help="turns of each rival")
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument("--output", type=Path, help="folder of speed.json and speed.md; default: benchmarks, "
                        "for --quick benchmarks/work")  # fmt: skip
    args = parser.parse_args(words)
    args.only = args.only.split(",")
    unknown = set(args.only) - set(GROUPS)
    if unknown:
        parser.error(f"--only knows {', '.join(GROUPS)}, not {', '.join(sorted(unknown))}")
    if args.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("--device=cuda needs a GPU and a torch built for it; this torch sees none")
    if args.quick:
        args.size = "quick"
    args.rounds = args.rounds or ROUNDS[args.size]
    args.output = (args.output or (HERE.parent / "work" if args.size != "full" else HERE.parent)).resolve()
    return args


def main(words=None):
    """Measures the chosen groups.

    Args:
        words (list of str, optional): of the command line; default: this process's.

    Returns:
        list of dict: the rows measured now, as in the JSON file.
    """
    words = sys.argv[1:] if words is None else words
    args = arguments(words)
    import recbole_sam  # noqa: F401  before RecBole, which does not import without it
    from benchmarks.speed import report
    from benchmarks.speed.setup import Setup, working_in

    rows = []
    with tempfile.TemporaryDirectory() as folder, working_in(folder):
        setup = Setup(Path(folder), args.device, args.threads, args.seed, args.rounds, args.size)
        environment = report.environment(setup, words)
        with setup.limits():
            for group in args.only:
                start = time.perf_counter()
                measured = importlib.import_module(f"benchmarks.speed.{group}").measure(setup)
                rows += [report.as_dict(row, environment) for row in measured]
                print("\n".join(report.table(rows[-len(measured) :])))
                print(f"({group}: {time.perf_counter() - start:.0f} s)\n", flush=True)
                save(args.output, rows)  # what is measured stays, whatever comes after it
    return rows


def save(folder, rows):
    """Writes both files; what was measured before stays in them."""
    from benchmarks.speed import report

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "speed.json"
    everything = report.merged(file, rows)
    file.write_text(json.dumps(everything, indent=1) + "\n")
    file.with_suffix(".md").write_text(report.markdown(everything))


if __name__ == "__main__":
    main()
