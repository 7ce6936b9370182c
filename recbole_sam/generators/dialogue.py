"""Exactly K phrases for a user, whatever the model writes.

One user's whole exchange is a Python generator that knows nothing of networks: it yields the text
to ask and is sent the answer. Live calls, batch jobs and a local model all drive the same
exchange, so they cannot disagree about what an answer is worth.
"""

from recbole_sam.generators.base import COMPLETE, FAILED, FILLED, REFUSED, REPAIRED, UNUSABLE, InterestAnswer
from recbole_sam.generators.prompts import (
    INTERESTS,
    NOTHING_USABLE,
    REPAIR,
    REPAIR_GROUPS,
    question,
    repair_question,
)
from recbole_sam.generators.reading.phrases import distinct, echoes, foreign, parse_phrases, scripts


def exchange(request, prompt, fill):
    """One user's questions and the final answer.

    Args:
        request (InterestRequest): the user, the training titles, and k.
        prompt (Prompt): what to ask.
        fill (callable): from a request to phrases drawn from its titles, best first; called only
            when the model leaves something open.

    Yields:
        str: a prompt; at most two. Send back its
        :class:`~recbole_sam.llm.answers.CachedAnswer`, or None when no answer could be had.

    Returns:
        InterestAnswer: too many phrases are cut to the first k; too few are asked for once more
        (``repaired``), then drawn from the titles (``filled``, or ``unusable`` where the model gave none at
        all). A refused user gets phrases from the titles (``refused``), one with an unanswered prompt none
        (``failed``).
    """
    asked = question(prompt, request.titles, request.k, request.groups())
    first = yield asked
    if first is None:
        return InterestAnswer(request.user, (), FAILED)
    if first.refused:
        return _answer(request, [], fill, REFUSED)
    found = usable(first.text, request, prompt)
    if len(found) >= request.k:
        return _answer(request, found, fill, COMPLETE)
    second = yield repair_question(asked, found, request.k - len(found), request.apart)
    if second is None:  # not filled for good: the next run asks for the repair alone
        return InterestAnswer(request.user, (), FAILED)
    if not second.refused:
        again = usable(second.text, request, prompt)
        if request.apart and len(again) >= request.k:  # a whole list, whose phrases stand by their groups
            return _answer(request, again, fill, REPAIRED)
        found += distinct(again, taken=found)
        if len(found) >= request.k:
            return _answer(request, found, fill, REPAIRED)
    return _answer(request, found, fill, FILLED if found else UNUSABLE)


def replay(request, prompt, fill, key_of, lookup):
    """One user's exchange with answers that are there already.

    Args:
        request (InterestRequest), prompt (Prompt), fill (callable): as for :func:`exchange`.
        key_of (callable): from a prompt to its key, such as ``AskedOf.key``.
        lookup (callable): from a key to a CachedAnswer, or None.

    Returns:
        tuple: the InterestAnswer, or None when an answer is wanting; and the (key, CachedAnswer)
        pairs it was made of.
    """
    steps = exchange(request, prompt, fill)
    asked = next(steps)
    used = []
    while True:
        key = key_of(asked)
        answer = lookup(key)
        if answer is None:
            return None, used
        used.append((key, answer))
        try:
            asked = steps.send(answer)
        except StopIteration as end:
            return end.value, used


def usable(text, request, prompt):
    """The phrases of an answer that can be kept.

    Args:
        text (str): the model's answer.
        request (InterestRequest): what was asked.
        prompt (Prompt): how it was asked; ``same_language`` says whether the script is checked.

    Returns:
        list of str: distinct, in the model's order; what only repeats the question is left out.
    """
    # a user's own template may name interests as examples or to choose from: those are answers, not echoes
    ours = (INTERESTS.of_groups, REPAIR_GROUPS) if request.apart else (INTERESTS.template, REPAIR)
    asked = "\n".join(ours)
    phrases = [
        phrase
        for phrase in parse_phrases(text, request.k)
        if not echoes(phrase, asked) and phrase.strip("()").casefold() != NOTHING_USABLE.strip("()")
    ]
    if not prompt.same_language:
        return phrases
    title_scripts = scripts(" ".join(request.titles))
    return [phrase for phrase in phrases if not foreign(phrase, title_scripts)]


def _answer(request, found, fill, status):
    phrases = found[: request.k]
    if len(phrases) < request.k:
        phrases += distinct(fill(request), taken=phrases)[: request.k - len(phrases)]
    return InterestAnswer(request.user, tuple(phrases), status if phrases else FAILED)
