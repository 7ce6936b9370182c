"""The tables, stage by stage."""

import math
from typing import NamedTuple

from benchmarks.scale.assumptions import (
    ASKED_A_SECOND,
    CACHE_BYTES,
    COPIES,
    MODELS,
    NUMBER_BYTES,
    SCORES_AT_ONCE,
    TITLES_A_SECOND,
    Assumptions,
    read_rates,
)
from benchmarks.scale.sizes import (
    limits,
    lists,
    llm_tokens,
    sample_bytes,
    sequence_bytes,
    step_seconds,
    store_bytes,
    titles_step_seconds,
    user_table_bytes,
)
from benchmarks.scale.words import short
from recbole_sam.config import yaml_files
from recbole_sam.llm.prices import TOKENS_PER_PHRASE, read_price


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
            each("sequences of items, on the host", "bytes", sequence_bytes(assume), "computed"),
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
            price = read_price(yaml_files.folder() / "prices.yaml", region, model, batch)
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
            each("at the peak of building the model, on the host", "bytes", 2 * table, "computed"),
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
        return u * (samples + sequence_bytes(assume))

    def device(u, n):
        interests = u * (user_table_bytes(assume) + 2 * assume.width * assume.distinct)
        return interests + n * (COPIES * 4 * assume.hidden + 12)

    return Table(
        "One training process",
        _columns(users=users, items=items),
        [
            each("host: samples, sequences", "bytes", host, "computed, at least"),
            each("device: SSM, `item_text: False`", "bytes", device, "computed, without activations"),
            each("device: SSM, `item_text: True`", "bytes", lambda u, n: device(u, n) + n * title,
                 "computed, without activations"),
        ],
    )  # fmt: skip


def serving(users, items, assume):
    """The table of what is served, one query a user whatever K is; arguments and result as :func:`held`."""
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
