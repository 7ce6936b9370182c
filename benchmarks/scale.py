"""What a million users and more would take, computed from measured rates.

    python -m benchmarks.scale
    python -m benchmarks.scale --users=2000000 --items=500000 --width=128 --json
    python -m benchmarks.scale --write            # puts the tables into docs/scale.md

Nothing is measured here. Rates come from ``speed.json`` and, where that has none, from the constants below,
each with the file it was copied from; prices and limits from ``properties``. Where no rate was measured there
is no time. Every row says what it rests on.
"""

import argparse
import dataclasses
import json
import math
import re
from pathlib import Path
from typing import NamedTuple

import yaml

from recbole_sam import properties
from recbole_sam.interests.budget import TOKENS_PER_PHRASE, read_price

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "scale.md"
BEGIN, END = "<!-- tables: python -m benchmarks.scale --write -->", "<!-- end of the tables -->"

INPUT_TOKENS = 201_207 / 943
"""Of a prompt: README.md, dry run on ml-100k, counted with the vendor's tokenizer."""
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
DAY = 86_400


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What is not known of a dataset or a run. Every field is an option of the command."""

    interactions: int = 20  # of a user
    length: int = 20  # MAX_ITEM_LIST_LENGTH
    history: int = 20  # interest_history_length
    phrases: float = 6  # of a user
    distinct: float = 0.3  # distinct phrases of all users, for each user; benchmarks/speed has the same
    k_max: int = 10  # interest_k_max: the joined tables are so wide
    width: int = 768  # H, of the text encoder; 128 with lsa
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


class Row(NamedTuple):
    """One line of a table."""

    what: str
    unit: str  # bytes, seconds, count, or a currency
    values: list  # float, one a column
    basis: str


class Table(NamedTuple):
    """Rows over the same columns."""

    title: str
    columns: list  # str
    rows: list  # Row


def read_rates(path=HERE / "speed.json"):
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


def sample_bytes(length):
    """A sample of the dataset hook: user, item, length (8 bytes each), timestamp (4), and the histories.

    Args:
        length (int): L, the longest history; an item takes 8 bytes there and a timestamp 4.

    Returns:
        int: bytes.
    """
    return 3 * 8 + 4 + length * (8 + 4)


def store_bytes(owners, pairs, distinct, width, owner_bytes, text_bytes):
    """A file of ``recbole_sam.data.store`` without its header of a few kB, float16.

    Args:
        owners (float): users, or items in the file of item texts.
        pairs (float): (user, phrase) pairs.
        distinct (float): distinct phrases.
        width (int): H.
        owner_bytes (float): of a token.
        text_bytes (float): of a phrase.

    Returns:
        float: bytes.
    """
    index = 4 if distinct <= 2**31 - 1 else 8
    of_owner = 8 + 8 + 16 + 1 + owner_bytes  # two offsets, hash, status
    of_phrase = 8 + 2 * width + text_bytes
    return owners * of_owner + pairs * index + distinct * of_phrase


def user_table_bytes(assume):
    """Of a user in the model: ``user_phrases`` and ``support`` (int32 [k_max]), ``user_k`` (int64).

    Args:
        assume (Assumptions): its ``k_max``.

    Returns:
        int: bytes.
    """
    return 2 * 4 * assume.k_max + 8


def step_seconds(items, loss, assume, rates):
    """A training step of SAM without titles, extrapolated, on one CPU thread.

    The measured step less its cross-entropy, plus the loss over ``items``, both in proportion to the batch,
    plus Adam over the item table at the measured rate of copying, which is the least it can take.

    Args:
        items (int): N.
        loss (str): ``CE``, ``chunked`` or ``SSM``.
        assume (Assumptions): its ``batch`` and ``hidden``.
        rates (Rates): measured.

    Returns:
        float: seconds.
    """
    rest = rates.step_seconds - rates.step_items * rates.loss_seconds
    of_loss = {
        "CE": items * rates.loss_seconds,
        "chunked": items * rates.chunked_seconds,
        "SSM": rates.sampled_seconds,
    }
    adam = ADAM_PASSES * 4 * items * assume.hidden / rates.bytes_a_second
    return assume.batch / rates.step_batch * (rest + of_loss[loss]) + adam


def titles_step_seconds(items, assume, rates):
    """What ``item_text`` adds to a step at least: the projection of all titles and its weight's gradient.

    Args:
        items (int): N.
        assume (Assumptions): its ``width`` and ``hidden``.
        rates (Rates): measured.

    Returns:
        float: seconds on one CPU thread.
    """
    return 2 * 2 * items * assume.width * assume.hidden / rates.operations_a_second


def llm_tokens(users, assume):
    """Tokens of one prompt a user; equal histories are asked once, so this is the most without repairs.

    Args:
        users (int): U.
        assume (Assumptions): its ``phrases``.

    Returns:
        tuple: input and output tokens, float.
    """
    return users * INPUT_TOKENS, users * assume.phrases * TOKENS_PER_PHRASE


def limits():
    """The default limits of an account: calls and tokens a minute, a tuple of float."""
    settings = yaml.safe_load(properties.llm_file().read_text(encoding="utf-8"))
    return settings["llm_requests_per_minute"], settings["llm_tokens_per_minute"]


def dataset(users, assume, rates):
    """The table of RecBole's dataset.

    Args:
        users (list of int): U of each column.
        assume (Assumptions): what is not known.
        rates (Rates): measured.

    Returns:
        Table: a column for each number of users.
    """
    samples = assume.interactions - 1  # every item of a user but the first is a target
    sample = sample_bytes(assume.length)
    line = 2 * assume.token_bytes + 15  # a timestamp of 12 characters, two tabs, a line break
    each = _per_user(users)
    return Table(
        "Dataset",
        _columns(users=users),
        [
            each("`.inter` file on disk", "bytes", assume.interactions * line, "computed"),
            each("interactions in memory, before samples", "bytes", assume.interactions * 20, "computed"),
            each("samples", "count", samples, "computed"),
            each("time to make them", "seconds", assume.interactions * rates.augmentation_seconds,
                 "measured rate"),
            each("memory at the peak of that", "bytes", assume.interactions * rates.augmentation_bytes,
                 "measured rate"),
            each("samples in memory", "bytes", samples * sample, f"computed, {sample} bytes a sample"),
            each("all samples and the split's copies", "bytes", 2 * samples * sample, "computed"),
            each("numbers of the samples in RecBole's loaders", "bytes", samples * NUMBER_BYTES, "computed"),
            each("samples and copies, `train_targets: last`", "bytes", (samples + 3) * sample,
                 "computed; after the peak above"),
        ],
    )  # fmt: skip


def stage1(users, assume, rates):
    """The table of Stage 1 but for the language model; arguments and result as :func:`dataset`."""
    arrays = 4 * assume.history + 4 * assume.phrases + 16 + 1 + 4 * 8
    each = _per_user(users)

    def store(distinct):
        return store_bytes(1, assume.phrases, distinct, assume.width, assume.token_bytes, assume.phrase_bytes)

    return Table(
        "Stage 1: routing, phrases, store",
        _columns(users=users),
        [
            each("routing and K, time", "seconds", rates.routing_seconds, "measured rate"),
            each("Stage 1's arrays in memory", "bytes", arrays, "computed; texts and dicts come on top"),
            each("distinct phrases to encode", "count", assume.distinct, "assumed"),
            each("encoding them, BERT on 2 CPU cores", "seconds", assume.distinct / TITLES_A_SECOND,
                 "measured rate; GPU: not measured"),
            each("cache of their vectors on disk", "bytes", assume.distinct * (4 * assume.width + 32),
                 "computed"),
            each("store on disk", "bytes", store(assume.distinct), "computed"),
            each("store, were all phrases distinct", "bytes", store(assume.phrases), "computed"),
            each("joining it to the users, peak memory", "bytes", rates.joining_bytes, "measured rate"),
            each("joined tables, in the model", "bytes", user_table_bytes(assume), "computed"),
            each("training histories for evidence, on the host", "bytes", 4 * assume.history, "computed"),
            each("phrase vectors, in the model", "bytes", 2 * assume.width * assume.distinct,
                 "computed; on a CPU a memory map"),
        ],
    )  # fmt: skip


def language_model(users, assume):
    """The table of a language model's phrases.

    Args:
        users (list of int): U of each column.
        assume (Assumptions): what is not known.

    Returns:
        Table: a column for each number of users.
    """
    calls, tokens = limits()
    read, written = llm_tokens(1, assume)
    each = _per_user(users)
    rows = [
        each("prompts, at most", "count", 1, "computed"),
        each("input tokens", "count", read, "measured on ml-100k"),
        each("output tokens", "count", written, f"estimated, {TOKENS_PER_PHRASE} a phrase"),
    ]
    for region, model in MODELS:
        for batch in (False, True):
            price = read_price(properties.folder() / "prices.yaml", region, model, batch)
            memory = "; price FROM MEMORY" if "FROM MEMORY" in price.source else ""
            rows.append(
                each(
                    f"cost, {model}, {region}{', batch' if batch else ''}",
                    price.currency,
                    price.of(read, written),
                    f"prices.yaml{memory}",
                )
            )
    return Table(
        "Stage 1: the language model",
        _columns(users=users),
        [
            *rows,
            each(f"time at {calls:,.0f} calls a minute", "seconds", 60 / calls, "default limit"),
            each(f"time at {tokens:,.0f} tokens a minute", "seconds", 60 * (read + written) / tokens,
                 "default limit"),
            each("time of one process without limits", "seconds", 1 / ASKED_A_SECOND,
                 "measured rate; the server answers at once"),
            each("cache of answers on disk", "bytes", CACHE_BYTES, "measured rate"),
        ],
    )  # fmt: skip


def titles(items, assume):
    """The table of item texts, needed by ``item_text`` and ``interest_evidence``; all titles distinct.

    Args:
        items (list of int): N of each column.
        assume (Assumptions): what is not known.

    Returns:
        Table: a column for each number of items.
    """
    each = _per_item(items)
    table = 4 * assume.width
    disk = store_bytes(1, 1, 1, assume.width, assume.token_bytes, assume.title_bytes)
    return Table(
        "Titles",
        _columns(items=items),
        [
            each("encoding, BERT on 2 CPU cores", "seconds", 1 / TITLES_A_SECOND,
                 "measured rate; GPU: not measured"),
            each("vectors in memory while they are encoded", "bytes", table, "computed"),
            each("file on disk", "bytes", disk, "computed"),
            each("routing: vectors and their projections", "bytes", 2 * table, "computed"),
            each("`item_text`: table in the model", "bytes", table, "computed"),
            each("the dataset's own, on the host", "bytes", table, "computed"),
            each("both, at the peak of building the model", "bytes", 4 * table, "computed"),
        ],
    )  # fmt: skip


def training(items, assume, rates):
    """The table of a training step.

    Args:
        items (list of int): N of each column.
        assume (Assumptions): what is not known.
        rates (Rates): measured.

    Returns:
        Table: a column for each number of items.
    """
    each = _per_item(items)
    vector = 4 * assume.hidden
    scores = 4 * assume.batch
    ways = {"CE": "CE", "chunked": "CE, `loss_chunk_size: 128`", "SSM": "SSM"}
    times = [
        Row(f"step, {words}", "seconds", [step_seconds(n, loss, assume, rates) for n in items],
            "extrapolated")
        for loss, words in ways.items()
    ]  # fmt: skip
    return Table(
        "Training: a step",
        _columns(items=items),
        [
            each("item vectors", "bytes", vector, "computed"),
            each("the same, gradient, Adam", "bytes", COPIES * vector, "computed"),
            each("loss CE: scores of the batch", "bytes", scores, "computed"),
            each("loss CE, at the peak", "bytes", SCORES_AT_ONCE * scores, "measured to 200,000 items"),
            each("loss CE, `loss_chunk_size: 128`", "bytes", rates.chunked_bytes, "measured at 1,000,000"),
            Row("loss SSM: scores of the batch", "bytes", [scores * (1 + assume.draws)] * len(items),
                "computed"),
            each("loss SSM: the sampler", "bytes", 8 + 4, "computed"),
            *times,
            Row("`item_text` adds at least", "seconds",
                [titles_step_seconds(n, assume, rates) for n in items], "operations at the measured rate"),
            each("DDP: gradients each process sends", "bytes", vector, "computed; time not measured"),
        ],
    )  # fmt: skip


def epochs(users, items, assume, rates):
    """The table of an epoch and of full ranking, on one CPU thread.

    Args:
        users (list of int): U of the columns.
        items (list of int): N of the columns.
        assume (Assumptions): what is not known.
        rates (Rates): measured.

    Returns:
        Table: a column for each pair.
    """
    samples = assume.interactions - 3  # a first item, and two that are held out, are no training targets

    def steps(u):
        return math.ceil(u * samples / assume.batch)

    def epoch(loss):
        return lambda u, n: steps(u) * step_seconds(n, loss, assume, rates)

    each = _per_pair(users, items)
    return Table(
        "Training and evaluation: an epoch on one CPU thread",
        _columns(users=users, items=items),
        [
            each("steps of an epoch", "count", lambda u, n: steps(u), "computed"),
            each("epoch, SSM", "seconds", epoch("SSM"), "extrapolated; GPU: not measured"),
            each("epoch, CE in chunks", "seconds", epoch("chunked"), "extrapolated; GPU: not measured"),
            each("epoch, SSM, `train_targets: last`", "seconds",
                 lambda u, n: math.ceil(u / assume.batch) * step_seconds(n, "SSM", assume, rates),
                 "extrapolated; GPU: not measured"),
            each("full ranking: multiply-adds", "count", lambda u, n: u * n * assume.hidden, "computed"),
            each("full ranking, time", "seconds", lambda u, n: u * n * rates.evaluation_seconds,
                 "measured rate; GPU: not measured"),
            each(f"its memory, {assume.eval_batch:,} users a batch", "bytes",
                 lambda u, n: 8 * assume.eval_batch * n, "computed"),
            each("its lists of all users", "bytes", lambda u, n: 8 * (assume.topk + 1) * u, "computed"),
        ],
    )  # fmt: skip


def held(users, items, assume):
    """The table of what one training process holds all the time: what does not fit, breaks.

    Args:
        users (list of int): U of the columns.
        items (list of int): N of the columns.
        assume (Assumptions): what is not known.

    Returns:
        Table: a column for each pair.
    """
    each = _per_pair(users, items)
    samples = (assume.interactions - 1) * (2 * sample_bytes(assume.length) + NUMBER_BYTES)
    title = 4 * assume.width

    def host(u, n):
        return u * (samples + 4 * assume.history) + n * title

    def device(u, n):
        interests = u * (user_table_bytes(assume) + 2 * assume.width * assume.distinct)
        return interests + n * (COPIES * 4 * assume.hidden + 12)

    return Table(
        "One training process",
        _columns(users=users, items=items),
        [
            each("host: samples, histories, titles", "bytes", host, "computed, at least"),
            each("device: SSM, `item_text: False`", "bytes", device, "computed, without activations"),
            each("device: SSM, `item_text: True`", "bytes", lambda u, n: device(u, n) + n * title,
                 "computed, without activations"),
        ],
    )  # fmt: skip


def serving(users, items, assume):
    """The table of vectors to be served: one query a user, whatever K is.

    Args:
        users (list of int): U of the columns.
        items (list of int): N of the columns.
        assume (Assumptions): what is not known.

    Returns:
        Table: a column for each pair.
    """
    each = _per_pair(users, items)
    vector = 4 * assume.hidden
    return Table(
        "Serving",
        _columns(users=users, items=items),
        [
            each("user vectors, float32", "bytes", lambda u, n: u * vector, "computed"),
            each("item index, flat", "bytes", lambda u, n: n * vector, "computed"),
            each("item index, IVF of 4 x root(items) lists", "bytes",
                 lambda u, n: n * (vector + 8) + lists(n) * vector, "computed"),
            each("multiply-adds of a query, flat", "count", lambda u, n: n * assume.hidden, "computed"),
            each("the same, IVF with 32 lists read", "count",
                 lambda u, n: (lists(n) + 32 * n / lists(n)) * assume.hidden, "computed, even lists"),
            each("queries for all users", "count", lambda u, n: u, "computed"),
        ],
    )  # fmt: skip


def lists(items):
    """Lists of an IVF index over ``items`` vectors, 4 x the root as FAISS's guidelines begin, int."""
    return round(4 * math.sqrt(items))


def tables(users, items, assume=None, rates=None):
    """All tables.

    Args:
        users (list of int): sizes.
        items (list of int): sizes.
        assume (Assumptions, optional): default: its defaults.
        rates (Rates, optional): default: those in ``speed.json``.

    Returns:
        list of Table: stage by stage.
    """
    assume, rates = assume or Assumptions(), rates or read_rates()
    return [
        held(users, items, assume),
        dataset(users, assume, rates),
        stage1(users, assume, rates),
        language_model(users, assume),
        titles(items, assume),
        training(items, assume, rates),
        epochs(users, items, assume, rates),
        serving(users, items, assume),
    ]


def _per_user(users):
    return lambda what, unit, rate, basis: Row(what, unit, [n * rate for n in users], basis)


_per_item = _per_user


def _per_pair(users, items):
    return lambda what, unit, value, basis: Row(
        what, unit, [value(u, n) for u in users for n in items], basis
    )


def _columns(users=None, items=None):
    """Headings: of users, of items, or of each pair."""
    if users and items:
        return [f"{short(u)} users, {short(n)} items" for u in users for n in items]
    return [f"{short(n)} {'users' if users else 'items'}" for n in users or items]


def short(count):
    """A count in few characters, str."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if count >= size:
            return f"{_digits(count / size)}{letter}"
    return f"{count:,.0f}"


def _digits(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


UNITS = {
    "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1, "bytes")),
    "seconds": ((365 * DAY, "years"), (2 * DAY, "days"), (3600, "h"), (60, "min"), (0, "s")),
}


def written(value, unit):
    """A value with its unit, str."""
    if unit == "count":
        return short(value)
    if unit not in UNITS:
        return f"{value:,.0f} {unit}"
    size, name = next((size, name) for size, name in UNITS[unit] if value >= size)
    size = {"days": DAY, "s": 1}.get(name, size)
    return f"{_digits(value / size)} {name}"


def markdown(some):
    """Tables as Markdown, str.

    Args:
        some (list of Table): stage by stage.
    """
    lines = []
    for table in some:
        lines += [f"### {table.title}", "", f"| | {' | '.join(table.columns)} | rests on |"]
        lines += ["|---" * (len(table.columns) + 2) + "|"]
        for row in table.rows:
            values = " | ".join(written(value, row.unit) for value in row.values)
            lines.append(f"| {row.what} | {values} | {row.basis} |")
        lines.append("")
    return "\n".join(lines)


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
