"""Whether Stage 1 finds and names interests: planted ones, and those of real users.

    python -m benchmarks.interests --dataset=amazon-industrial-scientific

Planted interests are pseudo-users made of real items of M leaf categories (``benchmarks.planted``): a test of
Stage 1, and no result of a recommender. Half of the leaves were there to choose settings with, the other half
is reported; ``--half=calibrate`` shows the first. A dataset without categories gets the rows that need none.

Any setting of the run script, as --key=value, such as --text_encoder=FOLDER.
"""

import argparse
import re
import sys
import time
from typing import NamedTuple

import numpy as np

from benchmarks import planted, right_phrases
from recbole_sam.cli.main import guarded
from recbole_sam.config.configuration import make_config, parse_words
from recbole_sam.data.titles import item_facts, item_titles
from recbole_sam.generators.base import InterestRequest
from recbole_sam.generators.extractive import ExtractiveGenerator
from recbole_sam.generators.keyphrase.keyphrases import KeyphraseGenerator
from recbole_sam.interests import stage1
from recbole_sam.interests.grouping.grouper import catalogue_scale, make_grouper
from recbole_sam.interests.pipeline import catalogue

ALIKE = 0.8
CROWD = 100


class Catalogue(NamedTuple):
    """The items of a dataset, in the order of their tokens; those without a title are left out."""

    tokens: list
    titles: list
    brands: list
    categories: list
    vectors: np.ndarray
    encoder: object
    texts: list


class Way(NamedTuple):
    """A grouping and who writes its phrases."""

    name: str
    grouping: str
    group: object
    generator: object


def read(config):
    """The catalogue of a configuration, encoded."""
    titles, facts = item_titles(config), item_facts(config)
    tokens = sorted(token for token, title in titles.items() if title)
    texts = catalogue(titles)
    encoder = stage1.text_encoder(config).fit(texts)
    found = [titles[token] for token in tokens]
    brands, categories = zip(*(facts.get(token, ("", "")) for token in tokens), strict=True)
    return Catalogue(tokens, found, list(brands), list(categories), encoder.encode(found), encoder, texts)


def ways(config, items):
    """What is compared: routing with titles, clustering with keyphrases, and that without categories."""
    settings = {
        grouping: stage1.extract_settings(make_config(config | {"interest_grouping": grouping}))
        for grouping in ("routing", "clustering")
    }
    group = {
        grouping: make_grouper(items.vectors, catalogue_scale(items.encoder, items.texts, its), its)
        for grouping, its in settings.items()
    }
    both = list(zip(items.titles, items.brands, items.categories, strict=True))
    found = [
        Way("routing, titles", "routing", group["routing"], ExtractiveGenerator()),
        Way("clustering, keyphrases", "clustering", group["clustering"], KeyphraseGenerator(both)),
    ]
    if any(items.categories):
        alone = KeyphraseGenerator([(title, brand, "") for title, brand, _ in both])
        found.append(Way("the same, no categories", "clustering", group["clustering"], alone))
    return found


def stage1_of(way, items, histories):
    """Groups and phrases of some histories.

    Args:
        way (Way): how.
        items (Catalogue): of the dataset.
        histories (list of numpy.ndarray): item numbers, oldest first.

    Returns:
        tuple: for each user its groups (of positions), and its phrases.
    """
    padded = np.full((len(histories), max(map(len, histories))), -1)
    for row, history in enumerate(histories):
        padded[row, : len(history)] = history
    groups = way.group(padded)
    requests = [
        InterestRequest(
            str(row),
            tuple(items.titles[i] for i in history),
            len(of_user),
            of_user,
            way.grouping == "clustering",
        )
        for row, (history, of_user) in enumerate(zip(histories, groups, strict=True))
    ]
    return groups, [answer.phrases for answer in way.generator.generate(requests)]


def vectors_of(phrases, encoder):
    """The unit vectors of each user's phrases, a list of float [k, H]."""
    distinct = list(dict.fromkeys(phrase for of_user in phrases for phrase in of_user))
    found = encoder.encode(distinct)
    found = found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-12)
    row = {phrase: number for number, phrase in enumerate(distinct)}
    return [found[[row[phrase] for phrase in of_user]] for of_user in phrases]


class Found(NamedTuple):
    """What a way does with pseudo-users of one M and kind; means over users."""

    ks: list
    agreement: float
    named: float
    rank: float


def planted_test(way, items, leaves, interests, count, kind="plain"):
    """How well a way finds and names planted interests.

    Returns:
        Found: ``named`` is the share of a user's interests to whose centroid, among the user's, some phrase
        is nearest; ``rank`` the median rank that a phrase gives to its nearest of them among all leaves.
    """
    users = planted.pseudo_users(leaves, interests, count, kind, items.vectors)
    groups, phrases = stage1_of(way, items, [user.items for user in users])
    units = planted.centroids(leaves, items.vectors)
    named, ranks = [], []
    for user, of_user in zip(users, vectors_of(phrases, items.encoder), strict=True):
        likeness = of_user @ units.T  # [k, leaves]
        nearest = likeness[:, user.leaves].argmax(axis=1)
        named.append(len(set(nearest)) / len(user.leaves))
        for phrase, leaf in zip(likeness, user.leaves[nearest], strict=True):
            ranks.append(int((phrase > phrase[leaf]).sum()) + 1)
    agree = [planted.agreement(*pair) for pair in zip(users, groups, strict=True)]
    return Found(
        [len(of_user) for of_user in groups],
        float(np.mean(agree)),
        float(np.mean(named)),
        float(np.median(ranks)),
    )


def planted_rows(found, others):
    """The rows on planted interests: question, target, a cell a way."""
    from scipy.stats import spearmanr

    def of(each):
        return [each(by_number) for by_number in found]

    def follows(by_number):
        numbers = [m for m, one in by_number.items() for _ in one.ks]
        return f"{spearmanr(numbers, [k for one in by_number.values() for k in one.ks])[0]:.2f}"

    def mean(what, least=2):
        return lambda by_number: f"{np.mean([what(one) for m, one in by_number.items() if m >= least]):.2f}"

    yield "Does K follow the number of interests? (Spearman)", "at least .75", of(follows)
    yield "Are groups interests? (ARI, M = 2 to 6)", "at least .65", of(mean(lambda one: one.agreement))
    yield "Is each interest named? (share)", "at least .90", of(mean(lambda one: one.named, 1))
    yield (
        "Rank of the named leaf among all leaves (median)",
        "",
        of(lambda by_number: f"{np.median([one.rank for one in by_number.values()]):.0f}"),
    )
    for kind, of_kind in others.items():
        cells = [" / ".join(f"{np.mean(each):.2f}" for each in zip(*way, strict=True)) for way in of_kind]
        yield f"{kind.capitalize()}: ARI / named", "", cells


def different(phrases, encoder):
    """The share of users with two phrases of a cosine above .8."""
    return np.mean([(np.triu(of @ of.T, 1) > ALIKE).any() for of in vectors_of(phrases, encoder)])


def readable(phrases):
    """The share of phrases of 2 to 5 words; of a script without blanks, 2 to 8 characters count."""
    every = [phrase for of_user in phrases for phrase in of_user]
    return np.mean([2 <= len(re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", phrase)) <= 5 for phrase in every])


def signed(phrases, histories, items):
    """The share of phrases that hold a digit or the brand of an item of the user's history."""
    found = []
    for of_user, history in zip(phrases, histories, strict=True):
        brands = {plain(items.brands[i]) for i in history} - {""}
        for phrase in of_user:
            words = f" {plain(phrase)} "
            branded = any(f" {brand} " in words for brand in brands)
            found.append(branded or any(map(str.isdigit, phrase)))
    return np.mean(found)


def plain(text):
    """The words of a text, in lower case, joined by blanks."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def owner_rank(phrases, histories, items):
    """The mean rank of a user's own history among 100 users', by the cosine of mean vectors."""
    own = np.stack([of.mean(axis=0) if len(of) else 0 for of in vectors_of(phrases, items.encoder)])
    theirs = np.stack([items.vectors[history].mean(axis=0) for history in histories])
    own, theirs = (each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-12) for each in (own, theirs))
    ranks, draw = [], np.random.default_rng(0)
    for row in range(len(own)):
        crowd = draw.choice(np.delete(np.arange(len(own)), row), min(CROWD, len(own)) - 1, replace=False)
        ranks.append(1 + (theirs[crowd] @ own[row] > theirs[row] @ own[row]).sum())
    return float(np.mean(ranks))


def cut(phrases, titles):
    """Titles cut to as many words as the phrases beside them have."""
    return [
        tuple(
            " ".join(title.split()[: len(phrase.split())]) for phrase, title in zip(ours, own, strict=False)
        )
        for ours, own in zip(phrases, titles, strict=True)
    ]


def cost(way, items, users=10_000, length=20, chunk=512):
    """CPU microseconds that grouping takes for a user of 20 random items."""
    histories = np.random.default_rng(0).integers(0, len(items.titles), (users, length))
    started = time.process_time()
    for start in range(0, users, chunk):
        way.group(histories[start : start + chunk])
    return (time.process_time() - started) / users * 1e6


def real_rows(config, items, compared, count):
    """The rows on real users: question, target, a cell a way; and a line on the sample."""
    users, histories, following = right_phrases.sample(config, count)
    number = {token: row for row, token in enumerate(items.tokens)}
    known = [np.array([number[item] for item in history if item in number]) for history in histories]
    found = [stage1_of(way, items, known) for way in compared]
    titles = [
        ExtractiveGenerator().generate(
            [
                InterestRequest(str(row), tuple(items.titles[i] for i in history), len(of), of, True)
                for row, (history, of) in enumerate(zip(known, groups, strict=True))
            ]
        )
        for groups, _ in found
    ]
    short = [
        cut(phrases, [answer.phrases for answer in of])
        for (_, phrases), of in zip(found, titles, strict=True)
    ]
    units = items.vectors / np.linalg.norm(items.vectors, axis=1, keepdims=True).clip(1e-12)
    row_of = {title: row for row, title in enumerate(items.titles)}
    hits = [
        [
            right_phrases.judged(of, row_of[title], units).right > 0
            for of, title in zip(vectors_of(phrases, items.encoder), following, strict=True)
        ]
        for _, phrases in found
    ]

    def each(function):
        return [function(groups, phrases) for groups, phrases in found]

    yield "Interests a user (mean)", "", each(lambda groups, _: f"{np.mean(list(map(len, groups))):.1f}")
    yield (
        "Users with two phrases alike (cosine above .8)",
        "under 2 %",
        each(lambda _, phrases: f"{different(phrases, items.encoder):.1%}"),
    )
    yield "Phrases of 2 to 5 words", "all", each(lambda _, phrases: f"{readable(phrases):.1%}")
    yield (
        "Phrases with a digit or brand",
        "under 2 %",
        each(lambda groups, phrases: f"{signed(phrases, known, items):.1%}"),
    )
    yield (
        "Rank of the own history among 100 (mean)",
        "below the next",
        each(lambda _, phrases: f"{owner_rank(phrases, known, items):.1f}"),
    )
    yield (
        "The same of titles cut to as many words",
        "",
        [f"{owner_rank(of, known, items):.1f}" for of in short],
    )
    yield "Users with a phrase like the next item", "", [f"{np.mean(of):.1%}" for of in hits]


def lines(config, given, args):
    """The report, as lines of Markdown."""
    started = time.perf_counter()
    items = read(config)
    compared = ways(given, items)
    yield f"| question | target | {' | '.join(way.name for way in compared)} |"
    yield "|---|---|" + "---|" * len(compared)
    calibrate, report = planted.halves(items.categories)
    leaves = calibrate if args.half == "calibrate" else report
    details = []
    if len(leaves) >= planted.MOST:
        numbers = range(1, planted.MOST + 1)
        found = [{m: planted_test(way, items, leaves, m, args.users) for m in numbers} for way in compared]
        others = {
            kind: [
                [
                    (one.agreement, one.named)
                    for m in ([2] if kind == "unbalanced" else numbers[1:])
                    for one in [planted_test(way, items, leaves, m, max(1, args.users // 3), kind)]
                ]
                for way in compared
            ]
            for kind in list(planted.KINDS)[1:]
        }
        for question, target, cells in planted_rows(found, others):
            yield f"| {question} | {target} | {' | '.join(cells)} |"
        details = [
            "",
            f"| planted interests | K: {' / '.join(way.name for way in compared[:2])} | ARI | named |",
        ]
        details.append("|---|---|---|---|")
        for m in numbers:
            ours = [by_number[m] for by_number in found[:2]]
            cells = [
                " / ".join(f"{np.mean(one.ks):.1f}" for one in ours),
                " / ".join(f"{one.agreement:.2f}" for one in ours),
                " / ".join(f"{one.named:.2f}" for one in ours),
            ]
            details.append(f"| {m} | {' | '.join(cells)} |")
    for question, target, cells in real_rows(config, items, compared, args.real):
        yield f"| {question} | {target} | {' | '.join(cells)} |"
    cells = [f"{cost(way, items):.0f}" for way in compared]
    yield f"| CPU time of grouping a user of 20 items (microseconds) | 2 x routing | {' | '.join(cells)} |"
    yield from details
    yield ""
    yield (
        f"{len(leaves)} leaves of at least {planted.LEAST} items ({args.half}), {args.users} pseudo-users "
        f"for each number of interests; {args.real} real users; encoder {config['text_encoder']}; "
        f"{time.perf_counter() - started:.0f} s."
    )


def main(words=None):
    """Prints the tables."""
    from recbole.utils import init_logger

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.interests", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--users", type=int, default=300, help="pseudo-users for each number of interests")
    parser.add_argument("--real", type=int, default=1000, help="real users that are looked at")
    parser.add_argument("--half", choices=("report", "calibrate"), default="report", help="of the leaves")
    args, others = parser.parse_known_args(sys.argv[1:] if words is None else words)
    given = {"model": "SAM", **parse_words(others)}
    config = make_config(given)
    init_logger(config)
    for line in lines(config, given, args):
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
