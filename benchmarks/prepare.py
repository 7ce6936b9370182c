"""How fast `prepare` converts a review file, and how much memory it takes.

    python -m benchmarks.prepare --lines=10000000

Writes a file of invented reviews in the format of Amazon 2018 to a temporary folder (0.57 kB a
line), and then runs, each in a process of its own, (1) a loop that does nothing but ``json.loads``
on every line, and (2) `prepare` with the paper's filters, from the file to the finished RecBole
dataset. Prints a Markdown table. Both read the same file in the same run. CPU seconds stand beside
wall seconds because they hold also on a machine that is busy with other things.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEED = 2026
WORDS = (
    "love this the smell is great and it lasts all day would buy again for my skin but packaging "
    "was broken when arrived very happy with results after two weeks not worth price"
).split()


def write_reviews(path, lines):
    """Writes invented reviews: a few keen users and popular items, many of either with one review.

    Args:
        path (pathlib.Path): the file to create.
        lines (int): how many reviews.

    Returns:
        None.
    """
    draw = random.Random(SEED)
    texts = [json.dumps(" ".join(draw.choices(WORDS, k=draw.randrange(5, 120)))) for _ in range(2000)]
    users, items = max(lines // 6, 10), max(lines // 60, 10)
    with open(path, "w", encoding="utf-8") as file:
        for start in range(0, lines, 10_000):
            block = []
            for _ in range(min(10_000, lines - start)):
                user, item = int(users * draw.random() ** 3), int(items * draw.random() ** 3)
                block.append(
                    f'{{"overall": {draw.randrange(1, 6)}.0, "verified": true, "reviewTime": '
                    f'"09 1, 2016", "reviewerID": "A{user:013d}", "asin": "B{item:09d}", "style": '
                    f'{{"Size:": " 7.0 oz"}}, "reviewerName": "Some Body", "reviewText": '
                    f'{texts[draw.randrange(2000)]}, "summary": "Five Stars", "unixReviewTime": '
                    f"{1_300_000_000 + 86_400 * draw.randrange(2500)}}}\n"
                )
            file.writelines(block)


def loop(path):
    """Parses every line with the standard library and keeps nothing."""
    with open(path, "rb") as file:
        for line in file:
            json.loads(line)
    return {}


def convert(path):
    """Prepares the file as ``python -m recbole_sam prepare --reviews=`` does."""
    from recbole_sam.prepare import conversion
    from recbole_sam.prepare.sources import amazon, skips

    counted = skips.Skips()
    source = conversion.Source("invented", amazon.read_reviews(path, counted), counted, (path,))
    card = conversion.prepare(path.with_name("converted"), source, overwrite=True)
    return {"parser": amazon._loads.__module__.split(".")[0], **card["counts"]}


WAYS = {"json.loads loop": loop, "prepare": convert}


def peak_mb():
    """float: the most memory this process has held, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    raise SystemExit("peak memory is read from /proc/self/status, so this needs Linux")


def measure(way, path):
    """Runs one way in this process and prints what it took, as JSON."""
    if way == "prepare":
        import recbole_sam.prepare.conversion  # noqa: F401  its imports are not part of the time
    before, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
    result = WAYS[way](path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "before": before, "peak": peak_mb(), **result}))


def main():
    """Writes the file, measures both ways, prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--folder", help="where the file goes (default: a temporary folder)")
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.measure, Path(args.folder))
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "reviews.json"
        write_reviews(path, args.lines)
        mb = path.stat().st_size / 1e6
        rows = {}
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.prepare", f"--measure={way}"]
            done = subprocess.run(
                [*command, f"--folder={path}"], check=True, stdout=subprocess.PIPE, text=True
            )
            rows[way] = json.loads(done.stdout.splitlines()[-1])
    kept = rows["prepare"]
    print(
        f"\n{args.lines:,} lines, {mb:,.0f} MB, seed {SEED}; {kept['interactions']:,} interactions "
        f"of {kept['users']:,} users with {kept['items']:,} items kept; parser {kept['parser']}; "
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}\n"
    )
    print("| | CPU s | MB per CPU s | lines per CPU s | wall s | peak MB | of it before line 1 |")
    print("|---|---|---|---|---|---|---|")
    for way, row in rows.items():
        cpu = row["cpu"]
        print(
            f"| {way} | {cpu:.1f} | {mb / cpu:.0f} | {args.lines / cpu:,.0f} | {row['wall']:.1f} | "
            f"{row['peak']:,.0f} | {row['before']:,.0f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
