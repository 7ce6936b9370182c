"""Interest phrases without a language model: at most 5 words that describe a group of titles.

A candidate is a run of words of a group's titles, or of its items' categories. Its score is a class-based
TF-IDF, the group being the class:

    score = mean over the group's items of place * idf * log2(1 + df) * length * heads * focus

``place`` is 0 for an item without the phrase, and less the later a title says it. df are the items of the
catalogue with the phrase, idf = log(1 + N / df): their product favours phrases that a shop uses for tens of
items, neither for all nor for one. ``heads`` is how often the last word ends a run of words, as what a phrase
is about mostly does. ``focus`` is how alike the titles with the phrase are: "exam gloves" have more in common
than things of "stainless steel".
"""

import heapq
import itertools
import math
from collections import Counter

import numpy as np

from recbole_sam.encoders.encode import TOKEN_PATTERN
from recbole_sam.generators.base import COMPLETE, InterestAnswer
from recbole_sam.generators.keyphrase.title_words import (
    LONGEST,
    STOP_WORDS,
    Lexicon,
    is_cjk,
    phrases_in,
    words_of,
)

MOST_TITLES = 100_000  # of the catalogue that phrases are counted in
MOST_ALIKE = 0.3  # cosine of the words of two phrases of one user
CATEGORY = 1.5  # of a phrase that is part of the category's name, against the title's first words
PLACE = 0.3  # a title says first what it is: 1 / (1 + PLACE * commas before)
UNKNOWN_FOCUS = 0.3  # of a phrase of one title
MOST_CANDIDATES = 40  # of one title
LONGER = 0.15  # what each word after the second adds to a score


class KeyphraseGenerator:
    """Answers each group with the phrase that says best what its titles share.

    Args:
        items (iterable of tuple): title, brand and category of every item of the catalogue; the last two may
            be empty.
    """

    name = "keyphrases"

    def __init__(self, items):
        from sklearn.feature_extraction.text import CountVectorizer

        self._category, self._brand = {}, {}
        for title, brand, category in items:
            if title:
                self._category.setdefault(title, category)
                self._brand.setdefault(title, brand)
        titles = sorted(self._category)
        if len(titles) > MOST_TITLES:
            chosen = np.random.default_rng(0).choice(len(titles), MOST_TITLES, replace=False)
            titles = [titles[row] for row in np.sort(chosen)]
        brands, categories = ([of[title] for title in titles] for of in (self._brand, self._category))
        self._lexicon = Lexicon(titles, brands, categories)
        self._catalogue, self._ratings = max(2, len(titles)), {}
        self._items_with, self._focus = {}, {}
        if any(self._candidates(title) for title in titles):  # titles of numbers alone have none
            counter = CountVectorizer(analyzer=self._candidates, binary=True)
            table = counter.fit_transform(titles)
            counts = np.asarray(table.sum(axis=0)).ravel()
            focus = focus_of(table, titles)
            for key, row in counter.vocabulary_.items():
                self._items_with[key], self._focus[key] = int(counts[row]), float(focus[row])

    def fingerprint(self):
        """The name alone: titles, brands and categories stand with the settings."""
        return {"name": self.name}

    def generate(self, requests):
        """Answers in the order of the requests, one at a time."""
        for request in requests:
            yield InterestAnswer(request.user, self.phrases(request), COMPLETE)

    def phrases(self, request):
        """A user's k phrases, no two equal.

        Args:
            request (InterestRequest): of a user.

        Returns:
            tuple of str: one for each group, in their order; fewer where groups run out of words.
        """
        share = math.ceil(len(request.titles) / request.k)
        groups = request.groups() or [
            [request.titles[position] for position in ranking[:share]] for ranking in request.rankings
        ]
        taken, shown = [], {}  # a dict keeps the order
        for titles in groups:
            key = self._best(titles, taken)
            ways = itertools.chain([self._spelt(key)] if key else [], map(self._words, titles), titles)
            phrase = next((way for way in ways if way not in shown), None)
            if phrase is not None:
                taken += [self._weights(key)] if key else []
                shown[phrase] = None
        return tuple(shown)

    def _candidates(self, title):
        """The phrases of an item's title and category, keys of words joined by blanks, and their weights."""
        brand = [token.key for run in words_of(self._brand.get(title, "")) for token in run]
        found = {}
        for _, keys in phrases_in(self._category.get(title, ""), self._lexicon, brand):
            found[" ".join(keys)] = CATEGORY
        for place, keys in phrases_in(title, self._lexicon, brand):
            found.setdefault(" ".join(keys), 1 / (1 + PLACE * place))
        return found

    def _rated(self, title):
        """A title's best candidates and their scores in a group of this title alone (dict)."""
        if title not in self._ratings:
            rated = {key: weight * self._score(key) for key, weight in self._candidates(title).items()}
            best = heapq.nlargest(MOST_CANDIDATES, rated.items(), key=lambda pair: (pair[1], pair[0]))
            self._ratings[title] = dict(best)
        return self._ratings[title]

    def _words(self, title):
        """The words of a title that holds no phrase: no numbers, and no brand where others are left."""
        keys = list(dict.fromkeys(token.key for run in words_of(title) for token in run))
        keys = [key for key in keys if key not in STOP_WORDS]
        for unwanted in (self._lexicon.banned, self._lexicon.brands.__contains__):
            left = [key for key in keys if not unwanted(key)]
            if len(left) > 1:
                return self._spelt(" ".join(left[:LONGEST]))
        return self._spelt(" ".join(keys[:LONGEST])) if keys else title

    def _best(self, titles, taken):
        """The key of the best candidate that says something else than those taken, or the least alike."""
        total = Counter()
        for title in titles:
            total.update(self._rated(title))
        alike = {}
        for key in sorted(total, key=lambda key: (-total[key], key)):
            weights = self._weights(key)
            alike[key] = max((cosine(weights, other) for other in taken), default=0.0)
            if alike[key] < MOST_ALIKE:
                return key
        return min(alike, key=alike.get, default=None)

    def _score(self, key):
        common = self._items_with.get(key, 1)
        words = key.split(" ")
        length = 1 + LONGER * (min(len(words), 4) - 2)
        idf = math.log(1 + self._catalogue / common)
        heads = 0.5 + self._lexicon.heads(words[-1])
        focus = 0.1 + self._focus.get(key, UNKNOWN_FOCUS)
        return idf * math.log2(1 + common) * length * heads * focus

    def _weights(self, key):
        """A phrase's words, each weighted by its rarity, as a unit vector (dict)."""
        titles = self._lexicon.titles
        words = set(key.replace("-", " ").split(" "))
        weights = {word: math.log(1 + self._catalogue / max(1, titles[word])) for word in words}
        norm = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {word: weight / norm for word, weight in weights.items()}

    def _spelt(self, key):
        words = [self._lexicon.spelt(word) for word in key.split(" ")]
        return ("" if is_cjk(words[0]) else " ").join(words)


def cosine(first, second):
    """The cosine of two unit vectors, each a dict."""
    return sum(weight * second.get(word, 0.0) for word, weight in first.items())


def focus_of(table, titles):
    """How alike the titles are that hold a phrase: a kind of product is, a material or a colour is not.

    Args:
        table (scipy.sparse.csr_matrix): [N, P], 1 where a title holds a phrase.
        titles (list of str): N.

    Returns:
        numpy.ndarray: float [P], the mean cosine of two of its titles, 0.3 for a phrase of one title.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from threadpoolctl import threadpool_limits

    words = TfidfVectorizer(token_pattern=TOKEN_PATTERN, sublinear_tf=True).fit_transform(titles)
    width = min(64, *words.shape)
    with threadpool_limits(1), np.errstate(invalid="ignore"):
        vectors = TruncatedSVD(width, random_state=0).fit_transform(words)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
        together = table.T @ vectors
    n = np.asarray(table.sum(axis=0)).ravel()
    squared = (together**2).sum(axis=1)
    return np.where(n > 1, (squared - n) / np.maximum(1, n * (n - 1)), UNKNOWN_FOCUS)
