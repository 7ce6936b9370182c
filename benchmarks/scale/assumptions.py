"""What the sizes rest on: assumptions of a dataset and a run, measured rates, copied constants."""

import dataclasses
import json
import re
from pathlib import Path
from typing import NamedTuple

MEASURED = Path(__file__).resolve().parent.parent / "speed.json"

INPUT_TOKENS = 201_207 / 943
"""Of a prompt: docs/stage1.md, dry run on ml-100k, counted with the vendor's tokenizer."""
ASKED_A_SECOND = 413
"""Users asked by one process when the server answers at once: benchmarks/stage1.md, 100,000 users."""
CACHE_BYTES = 34e6 / 100_000
"""Of an answer in the cache on disk: benchmarks/stage1.md."""
TITLES_A_SECOND = 6.3
"""Texts a second by a BERT of base size on 2 CPU cores: benchmarks/encode.md."""
SCORES_AT_ONCE = 3
"""Memory of the loss / its scores, all at once, forward and backward: docs/large-catalogues.md."""
COPIES = 4
"""A parameter, its gradient, and Adam's two moments."""
ADAM_PASSES = 7
"""Reads of these four, and writes of three of them, in a step."""
MODELS = (("china", "qwen-flash"), ("international", "qwen-flash"))
"""Sections and entries of properties/prices.yaml."""
NUMBER_BYTES = 8 + 28
"""Of a sample's number in the Python list that RecBole's loaders index: a reference and an int."""


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What is not known of a dataset or a run. Every field is an option of the command."""

    interactions: int = 20  # of a user
    length: int = 20  # MAX_ITEM_LIST_LENGTH
    history: int = 20  # interest_history_length
    phrases: float = 6  # of a user
    distinct: float = 0.3  # distinct phrases of all users, for each user; benchmarks/speed has the same
    k_max: int = 10  # interest_k_max: the joined tables are so wide
    width: int = 768  # H, of the text encoder; 512 with lsa
    hidden: int = 64  # d, hidden_size
    batch: int = 2048  # train_batch_size
    draws: int = 1280  # loss_negatives
    eval_batch: int = 256  # eval_batch_size; RecBole's default is 4,096
    topk: int = 10  # the largest k of the metrics
    token_bytes: float = 8  # of a user's or item's token
    title_bytes: float = 60  # of a title
    phrase_bytes: float = 30  # of a phrase


class Rates(NamedTuple):
    """Measured on one CPU thread, from ``speed.json``."""

    augmentation_seconds: float  # an interaction
    augmentation_bytes: float  # an interaction, at the peak
    routing_seconds: float  # a user
    joining_bytes: float  # a user, at the peak
    step_seconds: float  # a whole step, cross-entropy
    step_items: int  # with so many items
    step_batch: int  # and so many samples, as the losses
    evaluation_seconds: float  # a user and item
    loss_seconds: float  # an item, cross-entropy, all scores at once
    chunked_seconds: float  # an item, the same by loss_chunk_size
    sampled_seconds: float  # a step, whatever the items
    chunked_bytes: float  # an item
    operations_a_second: float  # in matrix products
    bytes_a_second: float  # read and written by a copy


def read_rates(path=MEASURED):
    """The rates that the speed benchmark measured on a CPU.

    Args:
        path (str or Path): its JSON file.

    Returns:
        Rates: in seconds and bytes; sizes are those that each row names in ``what``.

    Raises:
        KeyError: a row is not there.
    """
    rows = {
        (row["group"], row["name"]): row
        for row in json.loads(Path(path).read_text(encoding="utf-8"))
        if row["environment"]["device"] == "cpu"
    }

    def measured(group, name, unit=None):
        row = rows[group, name]
        return row["details"], unit and _size(row["what"], unit)

    time, interactions = measured("augmentation", "time", "interactions")
    memory, interactions_of_memory = measured("augmentation", "memory", "interactions")
    store, users = measured("store", "added memory", "users")
    step, step_items = measured("training", "step", "items")
    full, ranked_users = measured("evaluation", "full ranking", "users")
    ranked_items = _size(rows["evaluation", "full ranking"]["what"], "items")
    losses, loss_items = measured("losses", "time", "items")
    chunked, chunked_items = measured("losses", "memory", "items")
    return Rates(
        augmentation_seconds=time["seconds"]["recbole-sam"] / interactions,
        augmentation_bytes=memory["peak bytes"]["recbole-sam"] / interactions_of_memory,
        routing_seconds=measured("routing", "time")[0]["seconds a user"]["chunked"],
        joining_bytes=(store["bytes"]["joining"] - store["bytes"]["before"]) / users,
        step_seconds=step["seconds"]["SAM"],
        step_items=step_items,
        step_batch=int(re.search(r"batch (\d+)", rows["training", "step"]["what"])[1]),
        evaluation_seconds=full["seconds"]["SAM"] / (ranked_users * ranked_items),
        loss_seconds=losses["seconds"]["all at once"] / loss_items,
        chunked_seconds=losses["seconds"]["chunked"] / loss_items,
        sampled_seconds=losses["seconds"]["sampled"],
        chunked_bytes=chunked["peak bytes"] / chunked_items,
        operations_a_second=step["floor"]["operations a second"],
        bytes_a_second=step["floor"]["bytes a second"],
    )


def _size(what, unit):
    """The number before a word, as in ``1,000,000 users``."""
    return int(re.search(rf"(\d[\d,]*) {unit}", what)[1].replace(",", ""))
