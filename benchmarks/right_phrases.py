"""How much a generator's phrases know of what comes next, from a sample of users, without training a model.

    python -m benchmarks.right_phrases --dataset=amazon-industrial-scientific --users=300
    ... --interest_generator=openai --llm_model=<name> --llm_base_url=http://127.0.0.1:8080/v1

Stage 1 for a random sample of users, then a look at each one's VALIDATION item: a phrase is right when the
title nearest to it is the next item's, or one of its ten nearest (as in ``benchmarks.leaked_phrases``, which
says what a share of right guesses is worth to a model that can use them). So a language model can be judged
before every user is paid for; its answers stay in the cache and are not asked again.

"Beyond the history": only users whose next item is like none of their own. There a phrase has to know
something that the history does not say. "Shuffled": the same phrases, each user with another's.

Any setting of the run script, as --key=value. Phrases that a store holds already (``interests build``, or
``import`` with --interest_generator=imported) are read and not made again. No store is kept: only answers, in
their cache, what they cost, in the ledger of the store that they are for, and, of a Transformers encoder,
vectors in its cache.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.leaked_phrases import NEIGHBOURS
from recbole_sam.cli.main import guarded
from recbole_sam.config import our_models
from recbole_sam.config.configuration import make_config, parse_words
from recbole_sam.data import store_location
from recbole_sam.data.store import InterestStore
from recbole_sam.data.titles import item_titles
from recbole_sam.errors import DataError, SettingError
from recbole_sam.generators.choose import configured_generator
from recbole_sam.interests import ledger, stage1
from recbole_sam.interests.pipeline import catalogue, extract


class Guesses(NamedTuple):
    """Guesses about one user's next item: how many, and how many of them are right."""

    made: int
    right: int


def sample(config, count):
    """Some users who have a validation item with a title.

    Args:
        config (Config): of a model that reads interests.
        count (int): how many; all when there are fewer.

    Returns:
        tuple: user tokens, their training items (item tokens, oldest first), their next item's title.

    Raises:
        SettingError: a model that reads no interests.
        DataError: there is no such user.
    """
    from recbole.data import create_dataset

    if not our_models.uses_interests(config["model"]):
        raise SettingError(f"{config['model']} reads no interests: leave --model out, or name one that does.")
    dataset = create_dataset(config)
    splits, titles = dataset.split(), item_titles(config)
    held_out = splits[1].inter_feat
    fields = dataset.uid_field, dataset.iid_field
    following = {}
    for user, item in zip(*(dataset.field2id_token[each][held_out[each]] for each in fields), strict=True):
        following.setdefault(user, item)  # a ratio split holds out several: the first is the next
    users = [
        (user, items, titles[following[user]])
        for user, items in dataset.training_histories(splits)
        if titles.get(following.get(user)) and any(titles.get(item) for item in items)
    ]
    if not users:
        raise DataError(
            f"'{config['dataset']}' has no user with a validation item and a training item that have titles: "
            "see the split in eval_args, and the titles in the .item file."
        )
    chosen = np.random.default_rng(config["seed"]).permutation(len(users))[:count]
    return tuple(zip(*(users[row] for row in np.sort(chosen)), strict=True))


def interests(config, users, histories):
    """Stage 1 for some users, without a store that stays; or what the store says that is there already.

    Returns:
        tuple: the fitted text encoder; for each user its phrases (list of str) and their embeddings
        (numpy.ndarray [k, H]).

    Raises:
        LeakGuardError: the store is of other training histories.
    """
    encoder, path = stage1.text_encoder(config), store_location.path(config)
    if path.exists():
        stage1.check_store(config)
        encoder.fit(catalogue(item_titles(config)))
        return encoder, phrases_of(users, InterestStore.open(path), encoder)
    generator = ledger.noted(configured_generator(config), path)
    settings = stage1.extract_settings(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.safetensors"
        try:
            summary = extract(users, histories, item_titles(config), encoder, generator, settings, path)
        finally:
            stage1.settle(generator)
        print(stage1.describe(summary), file=sys.stderr)
        return encoder, phrases_of(users, InterestStore.open(path), encoder)


def phrases_of(users, store, encoder):
    """The phrases that a store has for each user, none where it has none, and the encoder's embeddings.

    The store's own vectors are rounded, and imported ones may be of another encoder than the titles'.
    """
    of_users = [store.phrases_of(row) if row >= 0 else [] for row in store.rows(users)]
    distinct = list(dict.fromkeys(phrase for phrases in of_users for phrase in phrases))
    row_of = {phrase: row for row, phrase in enumerate(distinct)}
    vectors = encoder.encode(distinct)
    return [(phrases, vectors[[row_of[phrase] for phrase in phrases]]) for phrases in of_users]


def judged(guesses, following, titles):
    """Which guesses are right.

    Args:
        guesses (numpy.ndarray): float [n, H], embeddings.
        following (int): the row in ``titles`` of the next item's title.
        titles (numpy.ndarray): float [T, H], unit vectors of the distinct titles of the catalogue.

    Returns:
        Guesses: right is one whose nearest title is the next item's, or one of the ten nearest to that.
    """
    alike = np.argsort(-(titles @ titles[following]), kind="stable")[: NEIGHBOURS + 1]
    named = (guesses.astype(np.float32) @ titles.T).argmax(axis=1) if len(guesses) else np.array([], int)
    return Guesses(len(named), int(np.isin(named, alike).sum()))


def shares(users):
    """Cells of a row from the Guesses of some users: right guesses, users with a right one."""
    made, right = (sum(column) for column in zip(*users, strict=True))
    if not made:
        return "- of 0 | -"
    hit = sum(guesses.right > 0 for guesses in users) / len(users)
    return f"{right / made:.1%} of {made:,} | {hit:.1%}"


def table(phrases, histories, following, titles):
    """The result as Markdown.

    Args:
        phrases (list of numpy.ndarray): of each user [k, H].
        histories (list of numpy.ndarray): of each user, the titles of its training items [n, H].
        following (list of int): of each user, the row of the next item's title.
        titles (numpy.ndarray): [T, H], unit vectors.

    Yields:
        str: a line.
    """
    known = [judged(*each, titles) for each in zip(histories, following, strict=True)]
    beyond = [guesses.right == 0 for guesses in known]
    guesses = {
        "the user's phrases": [judged(*each, titles) for each in zip(phrases, following, strict=True)],
        "shuffled: another user's": [
            judged(*each, titles) for each in zip(phrases[1:] + phrases[:1], following, strict=True)
        ],
        "the titles of the user's training items": known,
    }
    columns = f"all {len(known):,} users", f"{sum(beyond):,} users, beyond the history"
    columns = " | ".join(f"{users}: right | users with a right one" for users in columns)
    yield f"| guesses | {columns} |"
    yield "|---|---|---|---|---|"
    for name, of_users in guesses.items():
        rest = [each for each, new in zip(of_users, beyond, strict=True) if new]
        yield f"| {name} | {shares(of_users)} | {shares(rest) if rest else '- | -'} |"


def main(words=None):
    """Prints a Markdown table, a row for each kind of guess, and some phrases."""
    from recbole.utils import init_logger

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.right_phrases", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--users", type=int, default=300, help="how many users are looked at")
    parser.add_argument("--examples", type=int, default=3, help="users whose phrases are shown")
    args, others = parser.parse_known_args(sys.argv[1:] if words is None else words)
    if args.users < 1:
        parser.error(f"--users is the size of the sample, from 1, not {args.users}")
    config = make_config({"model": "SAM", **parse_words(others)})
    init_logger(config)
    users, histories, following = sample(config, args.users)
    encoder, found = interests(config, users, histories)
    of_item = item_titles(config)
    distinct = catalogue(of_item)
    row_of = {title: row for row, title in enumerate(distinct)}
    vectors = encoder.encode(distinct)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    taken = [vectors[[row_of[of_item[item]] for item in items if of_item.get(item)]] for items in histories]
    next_rows = [row_of[title] for title in following]
    print("\n".join(table([each for _, each in found], taken, next_rows, units)))
    for user, (phrases, _), title in list(zip(users, found, following, strict=True))[: args.examples]:
        print(f"\n{user}: {'; '.join(phrases)}\n  next: {title}")


if __name__ == "__main__":
    sys.exit(guarded(main))
