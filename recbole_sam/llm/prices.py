"""What a run will cost, what it has cost, and where it must stop.

Prices stand in ``properties/prices.yaml``, which users edit. A reserved call is counted at its
dearest (all of ``llm_max_tokens`` written) until the provider says what it really used, so
``llm_max_cost`` is a ceiling and not a hope.
"""

import functools
import math
from pathlib import Path
from typing import NamedTuple

import yaml

from recbole_sam.errors import DataError, SettingError, nearest
from recbole_sam.llm.answers import CachedAnswer

MILLION = 1_000_000
TOKENS_PER_PHRASE = 9
"""Of output, estimated: a phrase of four to six words and its line break."""
ROUGHLY_AFTER = 300
"""Prompts that a run counts exactly before it goes by length; counting takes half a millisecond."""


class Price(NamedTuple):
    """Of a million tokens of one model in one region."""

    input: float
    output: float
    currency: str
    source: str
    """Where the number is from, and what of it is unchecked."""

    def of(self, input_tokens, output_tokens):
        """The cost of that many tokens, in ``currency``."""
        return (input_tokens * self.input + output_tokens * self.output) / MILLION


def read_price(path, region, model, batch=False):
    """One model's price.

    Args:
        path (str or Path): the price table, a YAML file.
        region (str): ``china`` or ``international``, a section of the table.
        model (str): the model's name.
        batch (bool): whether the batch service's discount applies.

    Returns:
        Price or None: None when the table does not know the model there.

    Raises:
        DataError: the table cannot be read or an entry makes no sense.
        SettingError: the table has no such region.
    """
    path = Path(path)
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"Cannot read the price table {path}: {reason}.") from error
    if not isinstance(table, dict) or region not in table:
        known = table if isinstance(table, dict) else {}
        raise SettingError(
            f"The price table {path} has no region '{region}'; it has "
            f"{', '.join(map(str, known)) or 'none'}." + nearest(region, map(str, known))
        )
    try:
        entry = table[region]["models"].get(model)
        if entry is None:
            return None
        share = float(entry.get("batch", 1)) if batch else 1.0
        price = Price(
            float(entry["input"]) * share,
            float(entry["output"]) * share,
            str(table[region]["currency"]),
            str(entry.get("source", "no source given")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"The price table {path} has a bad entry for '{model}' in '{region}' ({error!r}); it "
            "needs input and output as numbers, and the region a currency and models."
        ) from error
    if not all(math.isfinite(p) and p >= 0 for p in price[:2]):
        raise DataError(f"The price table {path} has a negative or infinite price for '{model}'.")
    return price


class TokenCounter:
    """Counts tokens: with the DashScope SDK's tokenizer for Qwen models, else by a stated rule.

    Args:
        model (str): the model's name.
    """

    def __init__(self, model):
        self._exact = model.startswith("qwen") and _has_tokenizer()
        self.how = (
            "counted with the DashScope SDK's own Qwen tokenizer (offline)"
            if self._exact
            else "estimated at 4 characters a token, 1.5 for Chinese, Japanese and Korean"
        )
        self._texts = self._tokens = self._characters = 0

    def count(self, text):
        """Tokens in ``text``, at least 1."""
        if self._exact:
            return max(1, len(_tokenizer().encode(text)))
        wide = sum(1 for c in text if "\u2e80" <= c <= "\ud7af")
        return max(1, math.ceil((len(text) - wide) / 4 + wide / 1.5))

    def roughly(self, text):
        """Tokens in ``text``: counted for the first texts, then by the length of those."""
        if self._texts < ROUGHLY_AFTER:
            tokens = self.count(text)
            self._texts += 1
            self._tokens += tokens
            self._characters += len(text)
            return tokens
        return max(1, round(len(text) * self._tokens / max(1, self._characters)))


def _has_tokenizer():
    try:
        import dashscope.tokenizers.tokenizer  # noqa: F401
        import tiktoken  # noqa: F401
    except ImportError:
        return False
    return True


@functools.cache
def _tokenizer():
    """The SDK's Qwen tokenizer, about 70 MB, loaded when the first text is counted."""
    from dashscope.tokenizers.tokenizer import get_tokenizer

    return get_tokenizer("qwen-plus")


class Spending:
    """The money of one run.

    Args:
        price (Price or None): None when unknown; then nothing is summed but tokens.
        max_cost (float or None): in the price's currency; None for no ceiling.
        max_output (int): tokens a single answer can have at most.

    Raises:
        SettingError: a ceiling without a price cannot be kept.
    """

    def __init__(self, price, max_cost, max_output):
        if max_cost is not None and price is None:
            raise SettingError(
                "llm_max_cost needs a price, and properties/prices.yaml has none for this model and "
                "region; add one there."
            )
        self.price = price
        self.max_cost = max_cost
        self.input_tokens = 0
        self.output_tokens = 0
        self.unreported = 0
        """Calls that may have been paid for and of which the provider said no usage."""
        self.unreported_cost = 0.0
        """Of those, at their dearest; not in `cost`, but under the ceiling. 0 without a price."""
        self._max_output = max_output
        self._reserved = 0.0

    @property
    def cost(self):
        """Spent so far by the usage the provider reported; None without a price."""
        return self.price and self.price.of(self.input_tokens, self.output_tokens)

    def reserve(self, input_tokens):
        """Whether one more call is affordable; if so, its dearest cost is set aside.

        Args:
            input_tokens (int): of its prompt.

        Returns:
            bool: false when the ceiling could be passed.
        """
        if self.max_cost is None:
            return True
        worst = self.price.of(input_tokens, self._max_output)
        if self.cost + self.unreported_cost + self._reserved + worst > self.max_cost:
            return False
        self._reserved += worst
        return True

    def settle(self, input_tokens, used_input=0, used_output=0):
        """A reserved call has ended.

        Args:
            input_tokens (int): as given to :meth:`reserve`.
            used_input (int), used_output (int): what the provider charged for; 0 for a failed call.
        """
        if self.max_cost is not None:
            self._reserved -= self.price.of(input_tokens, self._max_output)
        self.input_tokens += used_input
        self.output_tokens += used_output

    def settle_unreported(self, input_tokens):
        """A reserved call has ended that may have been paid for, and nobody said how much: the most counts.

        Args:
            input_tokens (int): as given to :meth:`reserve`.
        """
        self.settle(input_tokens)
        self.count_unreported(input_tokens)

    def count_unreported(self, input_tokens):
        """As :meth:`settle_unreported`, of a call that was not reserved."""
        self.unreported += 1
        if self.price is not None:
            self.unreported_cost += self.price.of(input_tokens, self._max_output)


def duration(seconds):
    """Seconds as a person says them: ``"45 s"``, ``"12 min"``, ``"3 h 20 min"``, ``"3 days"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds > 100 * 365 * 86_400:
        return "more than 100 years"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours = minutes // 60
    if hours > 48:
        return f"{round(hours / 24):,} days"
    return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"


def usage(came, tokens=0):
    """What a call cost. Nothing that was sent is free.

    Args:
        came (CachedAnswer or CallFailure): what came of it.
        tokens (int): of its prompt, as we count them; taken where the provider counts only the output.

    Returns:
        tuple or None: input and output tokens, 0 for what costs nothing; None when the provider may bill the
        call and said no number.
    """
    answered = isinstance(came, CachedAnswer)
    told = came.input_tokens, came.output_tokens
    if told[1] or (told[0] and not answered):
        return told[0] or tokens, told[1]
    return None if answered or came.sent else (0, 0)
