"""Are the cheap explanations those that leaving something out gives?

    python -m benchmarks.explain BUNDLE            # made with users

Leaving one history item out is what "this item matters" means; it costs a forward pass for each item. Cheap
are the order of the history, SAM's attention, and the nearness of titles or of the model's item vectors. For
the first recommendation of each user this measures the rank correlation of each with leave-one-out, and what
happens to the recommendation when the three items are taken away that an explanation names first. Prints
the tables of ``benchmarks/explain.md``.
"""

import argparse
import sys

import numpy as np

NAMED = 3
"""History items that an explanation names."""


def arguments(words):
    described = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description=described)
    parser.add_argument("bundle")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(words)


def explanations(scorer, person, item, texts, rng):
    """What each kind of explanation says of the places of a history.

    Args:
        scorer (Scorer): of the bundle.
        person (Person): whose.
        item (torch.LongTensor): [1], recommended.
        texts (torch.Tensor or None): [N, H], of titles, of length one.
        rng (numpy.random.Generator): of the random one.

    Returns:
        tuple: dict of name to numpy.ndarray [L], larger where it matters more, and of the interests, if there
        are several, leave-one-out and the share of attention that goes to the item that matters most.
    """
    import torch
    from torch.nn import functional as F

    from recbole_sam.serving.reasons import explanation

    found = explanation.explain(scorer, person, item)[0]
    history = torch.from_numpy(person.items.astype(np.int64))
    places = [each["place"] for each in found["history"]]
    says = {
        "leave one out": np.array([each["change"] for each in found["history"]]),
        "newest first": np.array(places, float),
        "random": rng.random(len(places)),
    }
    interests = found["interests"]
    if interests and interests[0]["attention"]:
        weights = np.array([[each["attention"][place] for place in places] for each in interests])
        says["attention, mean of the interests"] = weights.mean(axis=0)
        says["attention, largest"] = weights.max(axis=0)
    if found["voters"]:
        says["neighbours' votes"] = np.array([found["voters"][place] for place in places])
    if texts is not None:
        says["nearness of titles"] = (texts[history[places]] @ texts[item[0]]).numpy()
    if hasattr(scorer.model, "item_vectors"):
        vectors = F.normalize(scorer.model.item_vectors(), dim=1)
        says["nearness of item vectors"] = (vectors[history[places]] @ vectors[item[0]]).numpy()
    return says, found


def removed(scorer, person, item, says):
    """The rank of an item, and how much less likely it is, without the places that explanations name first.

    Returns:
        dict: name to (rank, change).
    """
    from recbole_sam.serving.reasons.standing import Variant, standing

    first = max(0, len(person.items) - scorer.longest)
    variants = [Variant(person.items, person.interests)]
    for values in says.values():
        places = first + np.argsort(-values, kind="stable")[:NAMED]
        variants.append(Variant(np.delete(person.items, places), person.interests))
    found = standing(scorer, person, variants, item)
    leads, ranks = found.leads[:, 0].tolist(), found.ranks[:, 0].tolist()
    return {name: (rank, leads[0] - lead)
            for name, rank, lead in zip(says, ranks[1:], leads[1:], strict=True)}  # fmt: skip


def main(words=None):
    """Measures and prints Markdown tables.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    args = arguments(sys.argv[1:] if words is None else words)
    import torch
    from scipy.stats import spearmanr
    from torch.nn import functional as F

    import recbole_sam
    from recbole_sam.evaluation.statistics.significance import paired_p
    from recbole_sam.serving import bundle_files

    torch.set_num_threads(1)
    shop = recbole_sam.load(args.bundle)
    rng = np.random.default_rng(args.seed)
    numbers = np.arange(1, len(shop.people) + 1)
    lengths = shop.people.histories(numbers, "full")[2]
    numbers = numbers[lengths > NAMED + 1]  # else nothing is left, or nothing to choose
    numbers = np.sort(rng.choice(numbers, min(args.users, len(numbers)), replace=False))
    tokens = _tokens(shop, numbers)
    top = shop.recommend(users=tokens, k=1).set_index("user")["item"]
    texts = F.normalize(shop._text_vectors(), dim=1) if bundle_files.ITEM_TEXTS in shop._files else None
    scorer, correlation, after, interests = shop._ready(), {}, {}, []
    with torch.no_grad():
        for token in tokens:
            person, _ = shop._person(token, None, "full", "live")
            item = torch.tensor([shop.catalogue.number_of[top[token]]])
            says, found = explanations(scorer, person, item, texts, rng)
            for name, values in says.items():
                rho = spearmanr(values, says["leave one out"])[0] if np.ptp(values) > 0 else 0.0
                correlation.setdefault(name, []).append(rho if rho == rho else 0.0)
            for name, (rank, change) in removed(scorer, person, item, says).items():
                after.setdefault(name, []).append((rank, change))
            if found["interests"]:
                interests.append(_of_interests(found))
    facts = shop.facts
    print(f"{facts['model']}, {facts['metrics']['epochs']} epochs, {len(tokens):,} users of "
          f"{facts['dataset']['name']}, their first recommendation, {NAMED} items taken away\n")  # fmt: skip
    print("| explanation | rank correlation | still in the top 10 | median rank | change | p |")
    print("|---|---|---|---|---|---|")
    chance = np.array(after["random"])[:, 1]
    for name, values in after.items():
        rank, change = np.array(values).T
        p = "" if name == "random" else f"{paired_p(change[None], chance[None]):.1e}"
        print(f"| {name} | {np.mean(correlation[name]):.2f} | {np.mean(rank <= 10):.1%} | "
              f"{np.median(rank):,.0f} | {change.mean():.2f} | {p} |")  # fmt: skip
    if interests:
        _print_interests(np.array(interests))


def _tokens(shop, numbers):
    """The users of some numbers."""
    everybody = np.concatenate([shop.people.block(i)[0] for i in range(shop.people.blocks())])
    return everybody[numbers - 1].tolist()


def _of_interests(found):
    """Largest change by an item and by an interest, rank without interests, with others'."""
    items = max(each["change"] for each in found["history"])
    interest = max(each["change"] for each in found["interests"])
    others = found["rank_with_other_interests"] or 0
    return items, interest, found["rank_without_interests"], others


def _print_interests(values):
    items, interest, none, others = values.T
    print(f"\nWithout the item that matters most a recommendation loses {items.mean():.3f}.")
    print(f"Without the interest that does {interest.mean():.3f}, for {np.mean(interest > items):.0%} more.")
    for what, ranks in (("any interest", none), ("their own interests, with another user's", others)):
        print(
            f"Without {what}: still first {np.mean(ranks == 1):.0%}, in the top 10 {np.mean(ranks <= 10):.0%}"
        )


if __name__ == "__main__":
    main()
