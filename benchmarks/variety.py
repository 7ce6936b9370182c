"""Do recommendations cover a user's interests?

    python -m benchmarks.variety bundles/SAM bundles/SASRecText --items=items.csv    # with users; SAM first

Answers every user from what the test saw and looks at the top 20: how many of the user's interests have an
item there (one of the 1 % of the catalogue whose titles are nearest to the phrase), how many leaf categories
of the history, how far apart its titles are, and how accurate it is without items of the history. A model
that reads interests is also asked with another user's and with none. Prints a table of
``benchmarks/interests.md``.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

K, SEVERAL, NEAR = 20, 3, 0.01
"""Items of a list; interests or categories that are several; share of the items that belong to a phrase."""


def arguments(words):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variety", description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--items", required=True, help="a CSV with item_id, title and category")
    parser.add_argument("--seed", type=int, default=0, help="of the other users and of random lists")
    return parser.parse_args(words)


def thresholds(phrases, texts):
    """The cosine [P] from which on an item is near to a phrase.

    Args:
        phrases (torch.FloatTensor): [P, H], of length one.
        texts (torch.FloatTensor): [N, H], of all items, of length one.
    """
    import torch

    near = max(1, round(NEAR * len(texts)))
    return torch.cat([(some @ texts.T).topk(near).values[:, -1] for some in phrases.split(1024)])


def distance(texts):
    """Mean cosine distance of two items of a list, given their texts [K, H] of length one."""
    k = len(texts)
    return float(1 - (texts.sum(dim=0).square().sum() - k) / (k * (k - 1)))


def gains(found, targets):
    """NDCG of each list.

    Args:
        found (numpy.ndarray): int [n, K], item numbers.
        targets (numpy.ndarray): int [n], the one right item of each.
    """
    from recbole_sam.evaluation.statistics import metrics

    right, k = found == targets[:, None], found.shape[1]
    return metrics.value(f"ndcg@{k}", np.where(right.any(axis=1), right.argmax(axis=1) + 1, k + 1))


def lists(shop, people, interests):
    """What a bundle recommends.

    Args:
        shop (Bundle): asked.
        people (Sessions): n of its users.
        interests (dict): what to call them, to the Interests that a model which reads some is asked with.

    Yields:
        tuple: what the interests are called, and item numbers [n, K]; once where the model reads none.
    """
    import torch

    from recbole_sam.models.parts.interest_reader import InterestReader
    from recbole_sam.serving.reasons import lending

    scorer = shop._ready()
    if not isinstance(scorer.model, InterestReader):
        interests = {"": None}
    for name, lent in interests.items():
        with torch.inference_mode(), lending.lent(scorer.model, lent, people.users) as numbers:
            yield name, scorer.best(people._replace(users=numbers), K)[0]


def main(words=None):
    """Measures and prints a Markdown table.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    args = arguments(sys.argv[1:] if words is None else words)
    import torch
    from torch.nn import functional as F

    import recbole_sam
    from benchmarks.steering import phrases_of
    from recbole_sam.evaluation.statistics.significance import paired_p
    from recbole_sam.serving.reasons import lending
    from recbole_sam.serving.scores import Sessions

    torch.set_num_threads(1)
    shops = {Path(bundle).name: recbole_sam.load(bundle) for bundle in args.bundles}
    first, rng = next(iter(shops.values())), np.random.default_rng(args.seed)
    numbers = np.arange(1, len(first.people) + 1)
    own = lending.of_users(first._ready().model, numbers)
    items, starts, lengths = first.people.histories(numbers, "valid")
    full = first.people.histories(numbers, "full")[2]
    asked = (full > lengths) & (own.k.numpy() > 0)  # with a test item and an interest
    people = Sessions(numbers[asked], items, starts[asked], lengths[asked])
    own = own._replace(rows=own.rows[asked], k=own.k[asked])
    targets = items[people.starts + people.lengths]
    others = rng.permutation(len(targets))
    interests = {
        "": own,
        ", another user's interests": own._replace(rows=own.rows[others], k=own.k[others]),
        ", no interests": own._replace(k=torch.zeros_like(own.k)),
    }
    found = {
        place + name: rows for place, shop in shops.items() for name, rows in lists(shop, people, interests)
    }
    found["random items"] = rng.integers(1, len(first.items), (len(targets), K))
    texts = F.normalize(first._text_vectors().float(), dim=1)
    phrases = F.normalize(own.embeddings.float(), dim=1)
    from_here = thresholds(phrases, texts[1:])
    several = (own.k >= SEVERAL).numpy()

    def covered(user, row):
        """The share of a user's interests that are near to an item of a list."""
        mine = own.rows[user, : own.k[user]].long()
        return float(((texts[row] @ phrases[mine].T).amax(dim=0) >= from_here[mine]).float().mean())

    leaves = phrases_of(args.items)
    leaf = np.array([leaves.get(item, "") for item in first.items.tolist()])
    taken = [set(leaf[items[a : a + n]]) - {""} for a, n in zip(people.starts, people.lengths, strict=True)]
    varied = [user for user, some in enumerate(taken) if len(some) >= SEVERAL]
    data = first.facts["dataset"]["name"]
    print(f"{len(targets):,} users of {data}, {several.sum():,} of them with {SEVERAL} interests or more, "
          f"{len(varied):,} with as many categories\n")  # fmt: skip
    print("| top 20 of | interests covered | p | categories | titles apart | NDCG@20, masked | ... several |")
    print("|---|---|---|---|---|---|---|")
    base = None
    for name, rows in found.items():
        share = np.array([covered(user, rows[user]) for user in np.flatnonzero(several)])
        base = share if base is None else base
        p = "" if base is share else f"{paired_p(share[None], base[None]):.1e}"
        apart = np.mean([distance(texts[row]) for row in torch.from_numpy(rows)])
        gain = gains(rows, targets)
        seen = np.mean([len(taken[user] & set(leaf[rows[user]])) / len(taken[user]) for user in varied])
        cells = f"{share.mean():.3f} | {p} | {seen:.3f} | {apart:.3f}"
        print(f"| {name} | {cells} | {gain.mean():.4f} | {gain[several].mean():.4f} |")


if __name__ == "__main__":
    main()
