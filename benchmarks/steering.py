"""Does a typed phrase find what a person takes next, and does the person's history still help?

    python -m benchmarks.steering BUNDLE [RIVAL] --items=items.csv

The phrase is the leaf category of the held-out item, which no model reads: items are encoded by titles only.
In a set without categories it is the two words of the item's title that most titles share. BUNDLE and RIVAL
are bundles made with users; items.csv is the published table with item_id, title and category.
The strength is chosen on validation. Prints the table of ``benchmarks/steering.md``.
"""

import argparse
import re
import sys

import numpy as np

SHARED = 50
"""Titles that a word of a phrase stands in, where phrases are made of titles."""
STRENGTHS = (0.25, 0.5, 1, 2, 4, 8)
SIZES = ((1, 10), (11, 50), (51, 10**9))
"""Items of a phrase, for the split by size."""


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.steering", description=__doc__.splitlines()[0]
    )
    parser.add_argument("bundle")
    parser.add_argument("rival", nargs="?")
    parser.add_argument("--items", required=True, help="a CSV with item_id, title and category")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(words)


def phrases_of(path):
    """Item token to the last of its categories, which a comma without a space separates.

    Where no item has any: to :func:`common_words` of its title.
    """
    import pandas as pd

    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if table["category"].eq("").all():
        return dict(zip(table["item_id"], common_words(table["title"]), strict=True))
    return {
        item: re.split(r",(?! )", categories)[-1].strip()
        for item, categories in zip(table["item_id"], table["category"], strict=True)
    }


def common_words(titles):
    """The two words of each title that most titles have, in its order; none that fewer than SHARED have.

    Numbers and words such as "the" are left out: nobody asks for them.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    reader = CountVectorizer(
        token_pattern=r"[^\W\d_]{2,}", strip_accents="unicode", stop_words="english", binary=True
    )
    having = np.asarray(reader.fit_transform(titles).sum(axis=0)).ravel()
    found, words = [], reader.build_analyzer()
    for title in titles:
        shared = {word: having[reader.vocabulary_[word]] for word in words(title)}
        best = sorted(shared, key=shared.get, reverse=True)[:2]
        found.append(" ".join(word for word in shared if word in best and shared[word] >= SHARED))
    return found


def bm25(phrases, titles, k1=1.2, b=0.75):
    """Okapi BM25 of phrases and titles, [phrases, titles].

    Robertson and Zaragoza. "The Probabilistic Relevance Framework: BM25 and Beyond." in FnTIR 2009.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    from recbole_sam.encoders.encode import TOKEN_PATTERN

    words = CountVectorizer(token_pattern=TOKEN_PATTERN, strip_accents="unicode", dtype=np.float64)
    counts = words.fit_transform(titles).tocsr()
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    having = np.asarray((counts > 0).sum(axis=0)).ravel()
    weight = np.log(1 + (len(titles) - having + 0.5) / (having + 0.5))
    rows = np.repeat(np.arange(len(titles)), np.diff(counts.indptr))
    norm = k1 * (1 - b + b * lengths[rows] / lengths.mean())
    counts.data = counts.data * (k1 + 1) / (counts.data + norm) * weight[counts.indices]
    return ((words.transform(phrases) > 0).astype(np.float64) @ counts.T).toarray()


def ranks(scores, targets):
    """The rank of each target in its row [B, N], among all items; equal ones count half."""
    scores = scores[:, 1:]
    own = scores[np.arange(len(targets)), targets - 1][:, None]
    return 1 + (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2


class Asked:
    """The scores of some users for one part of their histories, and the item they took next.

    Args:
        shop (Bundle): with users.
        part (str): ``train`` for validation, ``valid`` for the test.
        users (numpy.ndarray): user numbers.
        interests (Interests, optional): in the place of their own.
    """

    def __init__(self, shop, part, users, interests=None):
        from recbole_sam.serving.reasons import lending
        from recbole_sam.serving.scores import Sessions

        items, starts, lengths = shop.people.histories(users, part)
        scorer = shop._ready()
        self.targets = items[starts + lengths].astype(np.int64)
        with lending.lent(scorer.model, interests, users) as users:
            scores = [
                scorer.scores(Sessions(users[some], items, starts[some], lengths[some])).numpy()
                for some in np.array_split(np.arange(len(users)), max(1, len(users) // 256))
            ]
        self.scores = np.concatenate(scores)


def steered(scores, fit, strength):
    """Scores [B, N] with phrases whose fit is [B, N], as :class:`Steering` adds them."""
    from recbole_sam.serving.reasons.steering import WEIGHT

    spread = scores[:, 1:].std(axis=1, ddof=1, keepdims=True)
    return scores + strength * WEIGHT * spread * fit


def fit_of(shop, phrases):
    """How well each item fits each phrase by the bundle's text encoder, [phrases, N]."""
    import torch

    from recbole_sam.serving.reasons.steering import fits

    distinct = sorted(set(phrases))
    vectors = torch.from_numpy(shop._text_encoder().encode(distinct))
    table = fits(vectors, shop._text_vectors()).numpy()
    return table[[distinct.index(phrase) for phrase in phrases]]


def joined(shop, users, phrases):
    """The users' interests and the phrase of each as one more (Interests)."""
    import torch

    from recbole_sam.serving.reasons import lending

    embeddings, rows, k = lending.of_users(shop._ready().model, users)
    vectors = torch.from_numpy(shop._text_encoder().encode(phrases)).to(embeddings.dtype)
    new = len(embeddings) + torch.arange(len(users), dtype=rows.dtype)
    rows = torch.cat([rows, rows.new_zeros(len(rows), 1)], dim=1)
    rows = rows.scatter(1, k.unsqueeze(1), new.unsqueeze(1))
    return lending.Interests(torch.cat([embeddings, vectors]), rows, k + 1)


def hit(ranks):
    """HR@10 of each user (numpy.ndarray)."""
    from recbole_sam.evaluation.statistics import metrics

    return metrics.value("hit@10", ranks)


def wrong(phrases, rng):
    """For each phrase that of somebody else, who has another one."""
    order = rng.permutation(len(phrases))
    other = [phrases[i] for i in np.roll(order, 1)[order.argsort()]]
    distinct = sorted(set(phrases))
    return [
        them if them != own else distinct[(distinct.index(own) + 1) % len(distinct)]
        for own, them in zip(phrases, other, strict=True)
    ]


def rows(shop, name, phrase_of, users, rng):
    """Every row of one model: name to ranks at test, and the strength.

    Returns:
        tuple: dict of str to numpy.ndarray [users], strength, phrases.
    """
    valid = Asked(shop, "train", users)
    fit = fit_of(shop, [phrase_of[shop.items[target]] for target in valid.targets])
    found = {s: hit(ranks(steered(valid.scores, fit, s), valid.targets)).mean() for s in STRENGTHS}
    strength = max(found, key=found.get)
    print("validation, HR@10 by strength:", {s: round(float(v), 4) for s, v in found.items()}, flush=True)
    test = Asked(shop, "valid", users)
    phrases = [phrase_of[shop.items[target]] for target in test.targets]
    fit, misfit = fit_of(shop, phrases), fit_of(shop, wrong(phrases, rng))
    scores = {
        f"{name}, no phrase": test.scores,
        f"{name}, the phrase": steered(test.scores, fit, strength),
        f"{name}, a wrong phrase": steered(test.scores, misfit, strength),
        "the encoder alone": fit,
    }
    if shop.facts["interests"]:
        among = Asked(shop, "valid", users, joined(shop, users, phrases)).scores
        scores[f"{name}, as one more interest"] = among
        scores[f"{name}, as an interest and by text"] = steered(among, fit, strength)
    titles = [title or "" for title in shop.titles[1:]]
    scores["BM25"] = np.pad(bm25(phrases, titles), ((0, 0), (1, 0)))
    return {row: ranks(values, test.targets) for row, values in scores.items()}, strength, phrases


def main(words=None):
    """Measures and prints a Markdown table.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    args = arguments(sys.argv[1:] if words is None else words)
    import recbole_sam
    from recbole_sam.evaluation.statistics import metrics
    from recbole_sam.evaluation.statistics.significance import paired_p

    phrase_of = phrases_of(args.items)
    size = {}
    for each in phrase_of.values():
        size[each] = size.get(each, 0) + 1
    found = {}
    for folder in filter(None, (args.bundle, args.rival)):
        shop = recbole_sam.load(folder)
        rng = np.random.default_rng(args.seed)
        users = np.sort(rng.choice(len(shop.people), min(args.users, len(shop.people)), replace=False)) + 1
        name = shop.facts["model"] + (" (rival)" if folder == args.rival else "")
        ours, strength, phrases = rows(shop, name, phrase_of, users, rng)
        found = {**found, **{row: rank for row, rank in ours.items() if row not in found}}
        print(f"{name}: {shop.facts['metrics']['epochs']} epochs, strength {strength} chosen on validation")
    sizes = np.array([size[phrase] for phrase in phrases])
    base = next(rank for row, rank in found.items() if row.endswith("the phrase"))
    named = [f"{low} to {high} items" if high < 10**9 else f"{low} and more" for low, high in SIZES]
    print(f"\n| {len(phrases):,} users | HR@10 | NDCG@10 | " + " | ".join(named) + " | p |")
    print("|---|---|---|" + "---|" * (len(SIZES) + 1))
    for row, rank in found.items():
        ndcg = metrics.value("ndcg@10", rank)
        parts = [hit(rank[(sizes >= low) & (sizes <= high)]).mean() for low, high in SIZES]
        p = "" if rank is base else f"{paired_p(hit(base)[None], hit(rank)[None]):.1e}"
        print(f"| {row} | {hit(rank).mean():.4f} | {ndcg.mean():.4f} | "
              + " | ".join(f"{part:.3f}" for part in parts) + f" | {p} |")  # fmt: skip
    shares = [f"{np.mean((sizes >= low) & (sizes <= high)):.0%}" for low, high in SIZES]
    print(f"\nUsers by the items of a phrase: {', '.join(shares)}. p: HR@10 against the first phrase row.")


if __name__ == "__main__":
    main()
