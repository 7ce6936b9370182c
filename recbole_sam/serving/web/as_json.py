"""What a bundle says about one person or one item, as JSON has it."""

import numpy as np


def facts(bundle):
    """What is in a bundle, for `/health`: names, counts and whether it can be steered."""
    made = bundle.facts
    return {
        "model": made["model"],
        "dataset": made["dataset"]["name"],
        "items": len(bundle.items) - 1,
        "users": made["users"]["count"] if made["users"] else 0,
        "interests": made["interests"] is not None,
        "steers": made["encoder"] is not None,
        "checksum": bundle.identity[:16],
    }


def history(bundle, user):
    """The whole history of a user: list of dict with item and title, oldest first."""
    items, starts, lengths = bundle.people.histories(bundle.people.numbers([user]))
    return named(bundle, items[starts[0] : starts[0] + lengths[0]])


def named(bundle, numbers):
    """Token and title of item numbers, a list of dict."""
    numbers = np.asarray(numbers, np.int64)
    pairs = zip(bundle.items[numbers], bundle.titles[numbers], strict=True)
    return [{"item": item, "title": title} for item, title in pairs]


def interests(bundle, asked, how):
    """The interests of a person.

    Args:
        bundle (Bundle): what knows them.
        asked (Person): whose.
        how (dict): arguments of ``Bundle.recommend``.

    Returns:
        dict: ``interests``, a list of dict: number, phrase, items.
    """
    chosen = (how[name] for name in ("history", "new_interests", "strict"))
    return {"interests": bundle.interests(asked.user, asked.items, *chosen)}


def explained(bundle, asked, how):
    """Why an item is recommended to a person, or not.

    Args:
        bundle (Bundle): what knows them.
        asked (Explain): of whom and of what.
        how (dict): arguments of ``Bundle.recommend``.

    Returns:
        dict: as ``Bundle.explain`` gives it.
    """
    further = {name: value for name, value in how.items() if name != "history"}
    [found] = bundle.explain(asked.user, asked.items, [asked.item], part=how["history"], **further)
    return found


def similar(bundle, asked):
    """The items nearest to an item, a list of dict."""
    frame = bundle.similar([asked.item], asked.k, asked.by)
    columns = (frame[name].tolist() for name in ("rank", "similar", "title", "similarity"))
    return [
        dict(zip(("rank", "item", "title", "score"), row, strict=True)) for row in zip(*columns, strict=True)
    ]
