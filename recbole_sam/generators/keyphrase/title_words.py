"""The words of a title that may say what an item is, and those that only sell, size or sign it.

Nothing here knows a language but a short list of English shop words. What a brand, a unit or a filler is, is
learnt from the catalogue: a brand from the brand column, or from standing at the start of titles; a unit from
standing beside numbers.
"""

import re
from collections import Counter
from typing import NamedTuple

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from recbole_sam.encoders.encode import CJK

LONGEST = 5  # words of a phrase
LONGEST_CJK = 8  # characters of a phrase of a script without blanks
RARE = 3  # titles; below that nothing is learnt of a word
MOSTLY = 0.5
SIGNED = 0.3

_LETTERS = rf"[^\W\d_{CJK}]"
_LETTERS_AND_DIGITS = rf"[^\W{CJK}]"
_TOKEN = re.compile(
    rf"(?P<cjk>[{CJK}])"
    rf"|(?P<number>\d+(?:[.,/]\d+)*(?!{_LETTERS_AND_DIGITS}))"
    rf"|(?P<mixed>(?=(?:{_LETTERS_AND_DIGITS}|['’-])*\d){_LETTERS_AND_DIGITS}+(?:['’-]{_LETTERS_AND_DIGITS}+)*)"
    rf"|(?P<word>{_LETTERS}+(?:['’-]{_LETTERS}+)*)"
    rf"|(?P<end>[^\s\w])"
)
_CJK_UNIT = 2  # characters behind a number that count it
_INNER = frozenset("and of und de la et y e".split())
"""Small words that may stand inside a phrase."""
_SHOP_WORDS = frozenset(
    """
    new best great perfect premium professional quality super ultra extra deluxe genuine original official
    authentic improved upgraded upgrade free bonus sale guarantee guaranteed warranty lifetime satisfaction
    popular amazing ultimate high low heavy duty brand branded style fashion exclusive edition version model
    series genuine pure natural assorted various multi universal value bulk economy standard regular
    pack packs package packaging piece pieces pcs pc pk count ct lot pair pairs bundle
    size sizes small medium large mini xl xxl jumbo long short wide thick thin length width diameter
    inch inches in ft feet foot yard yards mm cm m meter meters metre oz ounce ounces fl fluid lb lbs pound
    pounds g gram grams kg kilogram ml l liter liters litre gal gallon gallons volt volts watt watts amp amps
    black white red blue green yellow orange pink purple brown grey gray silver gold clear transparent color
    colors colour colours
    made usa china germany japan us uk item product products amazon type types number
    """.split()
)


class Token(NamedTuple):
    """A word of a title."""

    key: str
    """Case and English plural folded: what is counted."""
    shown: str
    first: bool
    """Whether it is the title's first word."""
    beside_number: bool


def words_of(text):
    """A title's words in runs: punctuation ends one, and a number or a small word is left out of it.

    Args:
        text (str): a title.

    Returns:
        list of list of Token: small words that may stand inside a phrase are tokens too.
    """
    runs, run, first, after_number, before = [], [], True, False, None
    matches = list(_TOKEN.finditer(text))
    for index, match in enumerate(matches):
        kind, shown, touches = match.lastgroup, match[0], before is not None and before.end() == match.start()
        before = match
        if kind in ("number", "mixed"):
            after_number, first = (_CJK_UNIT if kind == "number" else 0), False
            continue
        if kind == "cjk":
            if after_number and touches:
                after_number -= 1
                continue
            if not touches or matches[index - 1].lastgroup != "cjk":
                runs.append(run)
                run = []
        if shown == "&":
            shown, after_number = "and", 0
        elif kind == "end":
            after_number = after_number if shown in "-.\"'”″′" else 0
            if shown not in "'’-":
                runs.append(run)
                run = []
            continue
        ahead = matches[index + 1 : index + 3]
        counted = [each.lastgroup for each in ahead[-1:]] == ["number"] and ahead[0][0].lower() == "of"
        run.append(Token(folded(shown), shown, first, bool(after_number) or counted))
        first, after_number = False, 0
    runs.append(run)
    return [run for run in runs if run]


def folded(word):
    """A word without case and English plural ending."""
    word = word.casefold().replace("’", "'").removesuffix("'s")
    if len(word) > 3 and word.isascii() and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    return word


def is_cjk(word):
    """Whether a word is one character of a script that is written without blanks."""
    return len(word) == 1 and bool(re.match(f"[{CJK}]", word))


class Lexicon:
    """What a catalogue says of its words.

    Args:
        texts (sequence of str): titles.
        brands (sequence of str): the brand of each, or ``""``.
        categories (sequence of str): the category of each, or ``""``: its words count as the title's.
    """

    def __init__(self, texts, brands, categories):
        titles, opening, measured, branded, ending = (Counter() for _ in range(5))
        self.shown = {}
        any_brand = any(brands)
        for text, brand, category in zip(texts, brands, categories, strict=True):
            of_brand = {token.key for run in words_of(brand) for token in run}
            seen = {}
            for run in words_of(text) + [
                [token._replace(first=False) for token in run] for run in words_of(category)
            ]:
                ending[run[-1].key] += 1
                for token in run:
                    old = seen.get(token.key, token)
                    seen[token.key] = token._replace(
                        first=token.first or old.first, beside_number=token.beside_number or old.beside_number
                    )
                    self.shown.setdefault(token.key, Counter())[token.shown] += 1
            titles.update(seen.keys())
            opening.update(key for key, token in seen.items() if token.first)
            measured.update(key for key, token in seen.items() if token.beside_number)
            branded.update(of_brand & seen.keys())
        self.titles, self._ending = titles, ending
        self.brands = {key for key, count in branded.items() if count > SIGNED * titles[key]}
        if not any_brand:  # who names no brand column still begins its titles with them
            self.brands |= {
                key for key, count in opening.items() if count > MOSTLY * titles[key] and not is_cjk(key)
            }
        self.units = {
            key for key, count in measured.items() if titles[key] >= RARE and count > MOSTLY * titles[key]
        }

    def banned(self, key):
        """Whether a word has no place in a phrase."""
        return key in _FOLDED_SHOP_WORDS or key in self.brands or key in self.units or (
            len(key) == 1 and not is_cjk(key)
        )  # fmt: skip

    def spelt(self, key):
        """A word as it is mostly written: in lower case, or in capitals where the catalogue has these."""
        common = self.shown[key].most_common(1)[0][0] if key in self.shown else key
        return common if common.isupper() and 1 < len(common) <= 4 else common.lower()

    def heads(self, key):
        """How often a word ends what it stands in: what a phrase is about mostly does (0 to 1)."""
        return min(1.0, self._ending[key] / max(1, self.titles[key]))


_FOLDED_SHOP_WORDS = frozenset(map(folded, _SHOP_WORDS))
STOP_WORDS = frozenset(ENGLISH_STOP_WORDS) | frozenset(
    """
    der die das und für mit von zu im aus ein eine auf bei
    pour avec le les des du en para con por el los per
    """.split()
)  # fmt: skip


def phrases_in(text, lexicon, brand=()):
    """The phrases that a text holds: 2 to 5 words in a row, none of them banned.

    Args:
        text (str): a title, or the name of a category.
        lexicon (Lexicon): of the catalogue.
        brand (sequence of str): the words' keys of the item's brand, no part of any phrase together.

    Yields:
        tuple: the number of the run, and the words' keys, a tuple of str: of a script without blanks 2 to 8
        characters.
    """
    for place, run in enumerate(words_of(text)):
        keys = [token.key for token in run if not lexicon.banned(token.key)]
        for start, key in enumerate(keys):
            if key in STOP_WORDS:
                continue
            most = LONGEST_CJK if is_cjk(key) else LONGEST
            for stop in range(start + 2, min(start + most, len(keys)) + 1):
                last = keys[stop - 1]
                if brand and keys[stop - len(brand) : stop] == brand and stop - len(brand) >= start:
                    break
                if last in STOP_WORDS and last not in _INNER or is_cjk(last) != is_cjk(key):
                    break
                if last not in STOP_WORDS and last not in _INNER:
                    yield place, tuple(keys[start:stop])
