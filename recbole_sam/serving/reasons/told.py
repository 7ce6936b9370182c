"""Explanations and interests in tokens, titles and phrases: what users of a bundle get."""

import torch
from torch.nn import functional as F

from recbole_sam.errors import SettingError


def check_numbers(numbers, most):
    """Refuses interests that nobody has.

    Args:
        numbers (int or iterable of int): counted from 1.
        most (int or None): how many interests a person has at most; None: the model reads none.

    Returns:
        frozenset of int

    Raises:
        SettingError: saying which there are.
    """
    numbers = frozenset([numbers] if isinstance(numbers, int) else numbers)
    if numbers and most is None:
        raise SettingError("This model reads no interests, so none can be taken away.")
    wrong = [number for number in numbers if not isinstance(number, int) or not 1 <= number <= most]
    if wrong:
        has = f"the interests are numbered from 1 to {most}" if most else "there are no interests"
        raise SettingError(f"without-interest names {wrong[0]!r}, and {has}.")
    return numbers


def told(found, item, history, numbers, phrases):
    """One explanation.

    Args:
        found (dict): of :func:`recbole_sam.serving.reasons.explanation.explain`.
        item (dict): ``item`` and ``title`` of the item that is explained.
        history (list of dict): the same for every item of the whole history, oldest first.
        numbers (list of int): of the interests, as the person has them, from 1.
        phrases (list of str or None): of the same.

    Returns:
        dict: JSON-able. ``history`` and ``interests`` stand in order of their ``change``, the largest first.
    """
    taken = [
        {**history[each["place"]], "place": each["place"] + 1, "change": each["change"],
         "rank_without": each["rank"]}
        for each in found["history"]
    ]  # fmt: skip
    interests = []
    for each in found["interests"]:
        looks = [
            {**history[place], "place": place + 1, "weight": weight}
            for place, weight in sorted((each["attention"] or {}).items(), key=lambda pair: -pair[1])
        ]
        interests.append(
            {"number": numbers[each["number"]], "phrase": phrases[each["number"]], "change": each["change"],
             "rank_without": each["rank"], "attention": looks}
        )  # fmt: skip
    voters = [
        {**history[place], "place": place + 1, "part": part}
        for place, part in sorted(found["voters"].items(), key=lambda pair: -pair[1])
        if part
    ]
    largest_first = {"key": lambda each: -each["change"]}
    return {
        **item,
        "score": found["score"],
        "rank": found["rank"],
        "parts": found["parts"],
        "voters": voters,
        "history": sorted(taken, **largest_first),
        "interests": sorted(interests, **largest_first),
        "rank_with_other_interests": found["rank_with_other_interests"],
        "rank_without_interests": found["rank_without_interests"],
    }


def described(phrases, vectors, history, texts):
    """Interests with the items of the history whose titles are nearest to each.

    Args:
        phrases (list of str or None): K.
        vectors (torch.Tensor): [K, H], of the phrases.
        history (list of dict): ``item`` and ``title`` of m items, oldest first.
        texts (torch.Tensor or None): [m, H], of their titles; None where the model reads none.

    Returns:
        list of dict: number (from 1), phrase, items (a part of ``history``; every item belongs to the
        interest that its title is most like, or to none).
    """
    belongs = [None] * len(history)
    if texts is not None and len(phrases) and texts.shape[1] == vectors.shape[1]:
        cosines = F.normalize(texts.float(), dim=1) @ F.normalize(vectors.float(), dim=1).T
        best, which = cosines.max(dim=1)
        belongs = torch.where(best > 0, which, -1).tolist()
    return [
        {"number": number + 1, "phrase": phrase,
         "items": [item for item, of in zip(history, belongs, strict=True) if of == number]}
        for number, phrase in enumerate(phrases)
    ]  # fmt: skip


def shown(explanation, width=100):
    """An explanation as lines for the terminal.

    Args:
        explanation (dict): of :func:`told`.
        width (int): at which titles are cut.

    Returns:
        str
    """

    def name(each, room):
        text = " ".join((each["title"] or each["item"]).split())
        return (text if len(text) <= room else text[: room - 3] + "...").ljust(room)

    room = max(20, width - 34)
    parts = ", ".join(f"{part} {value + 0.0:+.3f}" for part, value in explanation["parts"].items())
    lines = [
        f"{explanation['item']}  {name(explanation, room).rstrip()}",
        f"rank {explanation['rank']:,}, score {explanation['score']:.3f} = {parts}",
    ]
    if explanation["history"]:
        lines.append(f"\n{'without this item of the history'.ljust(room)}    change  rank then")
        lines += [
            f"{name(each, room)}  {each['change']:+8.3f}  {each['rank_without']:9,}"
            for each in explanation["history"]
        ]
    if explanation["voters"]:
        lines.append(f"\n{'neighbours among the history'.ljust(room)}      part")
        lines += [f"{name(each, room)}  {each['part']:+8.3f}" for each in explanation["voters"]]
    if explanation["interests"]:
        lines.append(f"\n{'without this interest'.ljust(room)}    change  rank then")
        for each in explanation["interests"]:
            phrase = {"title": f"{each['number']} {each['phrase'] or ''}".strip()}
            lines.append(f"{name(phrase, room)}  {each['change']:+8.3f}  {each['rank_without']:9,}")
    if explanation["rank_without_interests"] is not None:
        others = explanation["rank_with_other_interests"]
        then = f", with those of others {others:,}" if others else ""
        lines.append(f"\nrank without interests {explanation['rank_without_interests']:,}{then}")
    return "\n".join(lines)
