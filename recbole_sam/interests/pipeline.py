"""The Stage 1 pipeline: from training histories to an interest store.

In memory are the histories as numbers, the embeddings of the titles in them, and the distinct
phrases. Requests, answers and the phrases' embeddings stream.
"""

import time
from array import array
from collections import Counter
from contextlib import closing
from typing import NamedTuple

import numpy as np

from recbole_sam.config.groupings import CLUSTERING
from recbole_sam.data.histories import HASH_BYTES, history_hash
from recbole_sam.data.store import write_store
from recbole_sam.errors import DataError
from recbole_sam.generators.base import COMPLETE, STATUSES, InterestRequest
from recbole_sam.interests.grouping.grouper import catalogue_scale, make_grouper
from recbole_sam.interests.grouping.routing import pad

BLOCK = 8192  # texts encoded and written at a time
_UNANSWERED = 255


class ExtractSummary(NamedTuple):
    """What a run of :func:`extract` did."""

    users: int
    """All users in the store."""
    without_text: int
    """Users none of whose items has a title; they get no interests."""
    items: int
    """Distinct items in the histories."""
    items_without_text: int
    """How many of these have no title; they take no part."""
    k_histogram: dict
    """K -> users for whom K interests were asked; 0 are those without text."""
    statuses: dict
    """Status -> users, of those who were asked for."""
    phrases: int
    """Distinct phrases."""
    width: int
    """H, the embedding width."""
    seconds: float
    """Wall-clock time."""


class _Histories(NamedTuple):
    """All histories as numbers; U users, T distinct titles, n positions with a title."""

    users: list
    """U tokens."""
    titles: list
    """T distinct titles, in order of appearance."""
    values: np.ndarray
    """int32 [n], title numbers of all users one after another, oldest first."""
    offsets: np.ndarray
    """int64 [U + 1], where each user begins in ``values``."""
    hashes: np.ndarray
    """uint8 [U, 16], of all item tokens, also those without a title."""
    items: int
    items_without_text: int


def fingerprint(encoder, generator, settings, extra=None):
    """What a store is made of; two equal fingerprints and equal histories give equal stores.

    Args:
        encoder (TextEncoder): after its ``fit``.
        generator (InterestGenerator): who writes the phrases.
        settings (ExtractSettings): of the grouping.
        extra (dict): more to record, such as the dataset's name.

    Returns:
        dict: JSON-able.
    """
    return {
        **(extra or {}),
        "encoder": encoder.fingerprint(),
        "generator": generator.fingerprint(),
        "settings": settings.fingerprint(),
    }


def extract(
    users, histories, titles, encoder, generator, settings, path, extra=None, progress=None, scale=None
):
    """Builds an interest store.

    Args:
        users (iterable of str): user tokens; the store keeps their order.
        histories (iterable of sequence of str): for each user the item tokens of the TRAINING
            history, oldest first, at most ``settings.history_length``.
        titles (mapping of str to str): item token -> cleaned title. Items that are not in it, or
            with an empty title, take no part in routing and prompts, only in the history's hash.
        encoder (TextEncoder): fitted here, on all titles.
        generator (InterestGenerator): who writes the phrases.
        settings (ExtractSettings): of the grouping and the store.
        path (str or Path): the store; an old one is replaced at the very end.
        extra (dict): recorded in the fingerprint beside encoder, generator and settings.
        progress (callable): told ``(stage, done, total)``, the stages being ``titles``, ``users``
            and ``phrases``.
        scale (Scale): what similarity means, where ``titles`` are not the whole catalogue; default: as these
            titles say.

    Returns:
        ExtractSummary: counts and time.

    Raises:
        DataError: no item of any history has a title.
        StoreError: the store cannot be written.
    """
    started = time.perf_counter()
    progress = progress or (lambda stage, done, total: None)
    table = _number(users, histories, titles, settings.history_length)
    if not table.titles:
        raise DataError(
            f"None of the {table.items} items in the training histories has a title, and interests "
            "are made of titles: give the dataset an .item file with texts (prepare --items=...)."
        )
    texts = catalogue(titles)
    encoder.fit(texts)
    vectors = np.concatenate(list(_encoded(table.titles, encoder, "titles", progress)))
    grouper = make_grouper(vectors, scale or catalogue_scale(encoder, texts, settings), settings)
    asked = np.zeros(len(table.users), np.int64)
    requests = _requests(table, grouper, settings, asked)
    answers = _Answers(table.users, asked, generator.name)
    # A user without any title is not asked for, and is done from the start.
    done = answers.skip(table.offsets[1:] == table.offsets[:-1])
    with closing(generator.generate(requests)) as stream:  # however it ends, calls in flight are kept
        for answer in stream:
            answers.add(answer)
            done += 1
            progress("users", done, len(table.users))
    phrases, offsets, index = answers.ragged()
    write_store(
        path,
        users=table.users,
        offsets=offsets,
        phrase_index=index,
        phrases=phrases,
        embeddings=_encoded(phrases, encoder, "phrases", progress, table.titles, vectors),
        history_hashes=table.hashes,
        statuses=answers.statuses,
        status_names=STATUSES,
        fingerprint=fingerprint(encoder, generator, settings, extra),
        dtype=settings.dtype,
    )
    counts = np.bincount(answers.statuses[asked > 0], minlength=len(STATUSES)).tolist()
    return ExtractSummary(
        users=len(table.users),
        without_text=int((asked == 0).sum()),
        items=table.items,
        items_without_text=table.items_without_text,
        k_histogram=dict(sorted(Counter(asked.tolist()).items())),
        statuses=dict(zip(STATUSES, counts, strict=True)),
        phrases=len(phrases),
        width=vectors.shape[1],
        seconds=time.perf_counter() - started,
    )


def catalogue(titles):
    """What a text encoder learns from: the distinct titles of the whole catalogue, sorted.

    Args:
        titles (mapping of str to str): item token to title.
    """
    return sorted({title for title in titles.values() if title})


def _number(users, histories, titles, longest):
    """Reads the histories once, and keeps numbers."""
    tokens, values, lengths, hashes = [], array("i"), array("q", [0]), bytearray()
    number_of_title, number_of_item = {}, {}
    for user, history in zip(users, histories, strict=True):
        if len(history) > longest:
            raise ValueError(f"user {user}: a history of {len(history)} items, not of {longest}")
        known = len(values)
        for item in history:
            number = number_of_item.get(item)
            if number is None:
                title = titles.get(item)
                number = number_of_title.setdefault(title, len(number_of_title)) if title else -1
                number_of_item[item] = number
            if number >= 0:
                values.append(number)
        tokens.append(str(user))
        lengths.append(len(values) - known)
        hashes += history_hash(history)
    return _Histories(
        users=tokens,
        titles=list(number_of_title),
        values=np.frombuffer(values, np.int32) if values else np.zeros(0, np.int32),
        offsets=np.cumsum(np.frombuffer(lengths, np.int64)),
        hashes=np.frombuffer(bytes(hashes), np.uint8).reshape(-1, HASH_BYTES),
        items=len(number_of_item),
        items_without_text=sum(number < 0 for number in number_of_item.values()),
    )


def _encoded(texts, encoder, stage, progress, known=(), vectors=None):
    """Embeddings in blocks [n, H]; those of ``known`` texts are copied from ``vectors``."""
    row_of = {text: row for row, text in enumerate(known)}
    for start in range(0, max(len(texts), 1), BLOCK):  # no text at all still gives a block [0, H]
        block = texts[start : start + BLOCK]
        rows = np.array([row_of.get(text, -1) for text in block], np.int64)
        new = encoder.encode([text for text, row in zip(block, rows, strict=True) if row < 0])
        embeddings = np.empty((len(block), new.shape[1]), np.float32)
        embeddings[rows < 0] = new
        if vectors is not None:
            embeddings[rows >= 0] = vectors[rows[rows >= 0]]
        yield embeddings
        progress(stage, min(start + BLOCK, len(texts)), len(texts))


def _requests(table, grouper, settings, asked):
    """Yields the requests of all users with a title, and notes each K in ``asked``."""
    for start in range(0, len(table.users), settings.chunk):
        offsets = table.offsets[start : start + settings.chunk + 1]
        for row, groups in enumerate(grouper(pad(table.values, offsets)), start):
            if groups:
                asked[row] = len(groups)
                titles = tuple(table.titles[i] for i in table.values[slice(*table.offsets[row : row + 2])])
                apart = settings.grouping == CLUSTERING
                yield InterestRequest(table.users[row], titles, len(groups), groups, apart)


class _Answers:
    """Answers as they come in, in any order; small, since a phrase's text is kept once."""

    def __init__(self, users, asked, generator):
        self.row_of = {user: row for row, user in enumerate(users)}
        if len(self.row_of) != len(users):
            raise ValueError("a user token occurs twice")
        self.asked, self.generator = asked, generator
        self.statuses = np.full(len(users), _UNANSWERED, np.uint8)
        self.first, self.count = np.zeros(len(users), np.int64), np.zeros(len(users), np.int64)
        self.flat, self.number_of = array("i"), {}

    def skip(self, rows):
        """Notes users for whom nothing is asked (mask [U]), and returns how many."""
        self.statuses[rows] = STATUSES.index(COMPLETE)
        return int(rows.sum())

    def add(self, answer):
        """Keeps an answer, after seeing that it holds to the generators' contract."""
        row = self.row_of.get(answer.user)
        phrases = answer.phrases
        if row is None or self.statuses[row] != _UNANSWERED:
            problem = "was not asked for, or was answered before"
        elif len(phrases) > self.asked[row]:
            problem = f"has {len(phrases)} phrases where {self.asked[row]} were asked for"
        elif len(set(phrases)) != len(phrases) or not all(phrases):
            problem = "has empty or equal phrases"
        else:
            self.statuses[row] = STATUSES.index(answer.status)
            self.first[row], self.count[row] = len(self.flat), len(phrases)
            for phrase in phrases:
                self.flat.append(self.number_of.setdefault(phrase, len(self.number_of)))
            return
        raise ValueError(f"generator {self.generator}: the answer for user {answer.user} {problem}")

    def ragged(self):
        """Distinct phrases, offsets [U + 1] and phrase numbers [N], whatever order they came in."""
        missing = np.flatnonzero(self.statuses == _UNANSWERED)
        if len(missing):
            raise ValueError(f"generator {self.generator} left {len(missing)} users unanswered")
        offsets = np.concatenate([[0], np.cumsum(self.count)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], self.count)
        arrived = np.array(self.flat, np.int64)[np.repeat(self.first, self.count) + within]
        numbers, first, index = np.unique(arrived, return_index=True, return_inverse=True)
        place = np.empty_like(first)
        order = first.argsort()
        place[order] = np.arange(len(order))
        texts = list(self.number_of)
        return [texts[numbers[i]] for i in order], offsets, place[index.reshape(-1)]
