"""Interest phrases without a language model: 2 to 5 words that describe a group of titles.

A candidate is a run of words of a group's titles, or of its items' categories. Its score is a class-based
TF-IDF, the group being the class:

    score = share of the group's items that hold it * idf * log2(1 + df) * length * heads

with df the items of the catalogue that hold it, and idf = log(N / df). The product of the two favours phrases
that a shop uses for tens of items: neither of everything nor of one. ``heads`` is how often its last word
ends a run of words, as what a phrase is about mostly does.
"""

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
PLACE = 0.3
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
        self._lexicon = Lexicon(titles, [self._brand[title] for title in titles])
        self._catalogue, self._found = max(2, len(titles)), {}
        self._items_with, self._focus = {}, {}
        if titles:
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
            ways = [*([self._spelt(key)] if key else ()), *map(self._words, titles), *titles]
            phrase = next((way for way in ways if way not in shown), None)
            if phrase is not None:
                taken.append(key)
                shown[phrase] = None
        return tuple(shown)

    def _candidates(self, title):
        """The candidates that an item's title and category give, as keys of words joined by blanks."""
        found = self._found.get(title)
        if found is None:
            brand = [token.key for run in words_of(self._brand.get(title, "")) for token in run]
            found = {}
            for text in (title, self._category.get(title, "")):
                for place, keys in phrases_in(text, self._lexicon, brand):
                    found.setdefault(" ".join(keys), 1 / (1 + PLACE * place))
            self._found[title] = found
        return found

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
        held = Counter()
        for title in titles:
            held.update(self._candidates(title))
        scored = {key: self._score(key, weight / len(titles)) for key, weight in held.items()}
        ranked = sorted(scored, key=lambda key: (-scored[key], key))
        alike = {}
        for key in ranked:
            alike[key] = max((self._cosine(key, other) for other in taken if other), default=0.0)
            if alike[key] < MOST_ALIKE:
                return key
        return min(ranked, key=lambda key: (alike[key], -scored[key]), default=None)

    def _score(self, key, share):
        common = self._items_with.get(key, 1)
        words = key.split(" ")
        length = 1 + LONGER * (min(len(words), 4) - 2)
        idf = math.log(1 + self._catalogue / common)
        heads = 0.5 + self._lexicon.heads(words[-1])
        focus = 0.1 + self._focus.get(key, 0.3)
        return share * idf * math.log2(1 + common) * length * heads * focus

    def _cosine(self, key, other):
        """The cosine of two phrases' words, each weighted by its rarity."""
        ours, theirs = (self._weights(each) for each in (key, other))
        dot = sum(weight * theirs.get(word, 0) for word, weight in ours.items())
        return dot / math.sqrt(sum(w * w for w in ours.values()) * sum(w * w for w in theirs.values()))

    def _weights(self, key):
        titles = self._lexicon.titles
        words = key.replace("-", " ").split(" ")
        return {word: math.log(1 + self._catalogue / max(1, titles[word])) for word in words}

    def _spelt(self, key):
        words = [self._lexicon.spelt(word) for word in key.split(" ")]
        return ("" if is_cjk(words[0]) else " ").join(words)


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
    return np.where(n > 1, (squared - n) / np.maximum(1, n * (n - 1)), 0.3)
