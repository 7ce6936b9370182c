"""Why an item is recommended: the parts of its score, and where it would stand without this or that."""

import numpy as np

from recbole_sam.serving.reasons import additive, interest_attention, lending
from recbole_sam.serving.reasons.standing import Variant, standing
from recbole_sam.serving.scores import Sessions

OTHERS = 9
"""Other users whose interests are tried in place of a person's own; the median rank is shown."""


def explain(scorer, person, items, steering=None):
    """Explanations of some items for one person.

    Leave-one-out is the measure: ``change`` is how much less likely the item is among the candidates, in
    logarithms, without a history item or an interest. What speaks for the item is positive.

    Args:
        scorer (Scorer): of a bundle.
        person (Person): with at least one item.
        items (torch.LongTensor): [n], item numbers.
        steering (Steering, optional): what the person asked for.

    Returns:
        list of dict: for each item ``score``, ``rank`` among ``candidates`` items, ``parts`` (name to number;
        they sum to the score), ``voters`` (place in the history to what it adds as a neighbour), ``history``
        and ``interests`` (see :func:`_changes`; places and numbers from 0), and the ranks
        ``rank_with_other_interests`` and ``rank_without_interests``, None where the model reads none.
    """
    whole = Variant(person.items, person.interests)
    places = _places(person, scorer.longest)
    fewer = [Variant(np.delete(person.items, place), person.interests) for place in places]
    k = 0 if person.interests is None else int(person.interests.k)
    less = [Variant(person.items, lending.without(person.interests, {number + 1})) for number in range(k)]
    none = [Variant(person.items, lending.without(person.interests, range(1, k + 1)))] if k else []
    others = _others(scorer.model, person) if k else []
    found = standing(scorer, person, [whole, *fewer, *less, *none], items, steering)
    if others:
        of_others = standing(scorer, person, others, items, steering).ranks.median(dim=0).values.tolist()
    parts, voters, looks = _inside(scorer, person, items, steering)
    explanations = []
    for column in range(len(items)):
        changes = _changes(found, column)
        explanations.append(
            {
                "score": float(found.scores[0, column]),
                "rank": int(found.ranks[0, column]),
                "parts": {name: float(values[column]) for name, values in parts.items()},
                "voters": {place: float(values[column]) for place, values in voters.items()},
                "history": [
                    {"place": place, **change}
                    for place, change in zip(places, changes[: len(places)], strict=True)
                ],
                "interests": [
                    {"number": number, **change, "attention": looks and looks[number]}
                    for number, change in enumerate(changes[len(places) : len(places) + k])
                ],
                "rank_without_interests": changes[-1]["rank"] if k else None,
                "rank_with_other_interests": int(of_others[column]) if others else None,
            }
        )
    return explanations


def _changes(found, column):
    """Of every variant but the first: the ``rank`` there, and the ``change``, the lead that is lost."""
    lost = found.leads[0, column] - found.leads[1:, column]
    return [
        {"change": change, "rank": rank}
        for change, rank in zip(lost.tolist(), found.ranks[1:, column].tolist(), strict=True)
    ]


def _places(person, longest):
    """The places of a history that can be left out: those that the model sees, if it is not the only one."""
    length = len(person.items)
    return list(range(max(0, length - longest), length)) if length > 1 else []


def _others(model, person):
    """The person with the interests of others with as many, or nearly, evenly spread over the users."""
    apart = (model.user_k - person.interests.k).abs()
    some = model.user_k > 0
    some[person.number] = False
    if not some.any():
        return []
    near = (some & (apart == apart[some].min())).nonzero().squeeze(1)
    chosen = near[np.linspace(0, len(near) - 1, min(OTHERS, len(near))).astype(int)]
    theirs = lending.of_users(model, chosen)
    each = zip(theirs.rows.split(1), theirs.k.split(1), strict=True)
    return [Variant(person.items, lending.Interests(theirs.embeddings, row, k)) for row, k in each]


def _inside(scorer, person, items, steering):
    """Parts of the scores, what each place votes, and each interest's attention over the history."""
    length = np.array([len(person.items)], np.int64)
    owner = np.array([person.number], np.int64)
    sessions = Sessions(owner, person.items, np.zeros(1, np.int64), length)
    with lending.lent(scorer.model, person.interests, owner) as users:
        interaction = scorer.interaction(sessions._replace(users=users))
        parts, votes = additive.parts(scorer.model, interaction, items)
        if steering is not None:
            scores = scorer.scores(sessions._replace(users=users))
            parts["steer"] = steering.part(scores)[0, items]
        k = 0 if person.interests is None else int(person.interests.k)
        weights = interest_attention.attention(scorer.model, interaction) if k else None
    first = max(0, len(person.items) - scorer.longest)
    seen = range(first, len(person.items))
    voters = {} if votes is None else {place: votes[place - first] for place in seen}
    looks = (
        None if weights is None else [dict(zip(seen, row, strict=False)) for row in weights[0, :k].tolist()]
    )
    return parts, voters, looks
