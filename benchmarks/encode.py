"""Encoding titles: sorted batches against one title at a time.

    python -m benchmarks.encode --items=../shared/data/amazon-industrial-scientific/items.csv

The model has bert-base-uncased's size and RANDOM weights, and a word-piece vocabulary learnt from the titles:
right for speed, useless for anything else. The two ways take turns; the medians and their ratio are printed
and written to ``benchmarks/encode.md``.
"""

import argparse
import csv
import os
import platform
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

import torch

from recbole_sam.encoders.encode import TransformersEncoder
from recbole_sam.prepare.text import clean_title

FILE = Path(__file__).with_suffix(".md")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", required=True, help="CSV with a title column")
    parser.add_argument("--titles", type=int, default=256, help="titles a round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with open(args.items, encoding="utf-8", newline="") as file:
        titles = list(dict.fromkeys(clean_title(row["title"]) for row in csv.DictReader(file)))
    titles = [title for title in titles if title]
    with tempfile.TemporaryDirectory() as folder:
        save_model(folder, titles)
        encoder = TransformersEncoder(folder)
        encoder.encode(titles[:8])  # the first call pays for allocations
        seconds = {"sorted batches of 64": [], "one at a time": []}
        for turn in range(args.rounds):
            some = titles[turn * args.titles : (turn + 1) * args.titles]
            seconds["sorted batches of 64"].append(timed(lambda: encoder.encode(some)))  # noqa: B023
            singly = [[title] for title in some]
            seconds["one at a time"].append(timed(lambda: list(map(encoder.encode, singly))))  # noqa: B023
    rates = {way: args.titles / statistics.median(values) for way, values in seconds.items()}
    text = report(args, rates)
    print(text)
    FILE.write_text(text)


def timed(function):
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def save_model(folder, titles):
    """A BERT of bert-base-uncased's size with random weights, and a tokenizer of 8,000 word pieces."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    pieces = BertWordPieceTokenizer(lowercase=True)
    pieces.train_from_iterator(titles, vocab_size=8000, show_progress=False)
    BertTokenizerFast(tokenizer_object=pieces._tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(folder)


def report(args, rates):
    """The table as Markdown."""
    where = f"{os.cpu_count()} CPU cores, no GPU"
    if torch.cuda.is_available():
        where = torch.cuda.get_device_name()
    lines = [
        "# Encoding titles with a BERT of bert-base-uncased's size",
        "",
        f"    python -m benchmarks.encode --items=<items.csv> --titles={args.titles} --rounds={args.rounds}",
        "",
        f"Titles of {Path(args.items).parent.name}; random weights, 64 tokens at most, float32 on a CPU and",
        f"float16 on a GPU; {where} ({platform.machine()}), torch {torch.__version__}, {date.today()};",
        f"medians of {args.rounds} rounds of {args.titles} titles, the two ways taking turns.",
        "",
        "| way | titles/s | ratio |",
        "|---|---|---|",
    ]
    slow = rates["one at a time"]
    lines += [f"| {way} | {rate:,.1f} | {rate / slow:.2f} |" for way, rate in rates.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
