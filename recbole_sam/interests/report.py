"""What a run of a language-model generator has done so far, and how it is told."""

import time
from collections import Counter

from recbole_sam.interests.budget import duration
from recbole_sam.interests.generate.base import FAILED, STATUSES


class RunReport:
    """Counts of one run of a generator; read it at any time.

    Args:
        spending (Spending): the run's money.
        clock (callable): seconds, monotonic.
    """

    def __init__(self, spending, clock=time.monotonic):
        self.spending = spending
        self.statuses = Counter()
        self.asked = 0
        """Answers that this run got from the provider and kept."""
        self.from_cache = 0
        """Prompts whose answer was there already, or was just being fetched for another user."""
        self.retries = 0
        self.reasons = Counter()
        """Short reasons of calls that gave no answer."""
        self.expected_input = self.expected_output = 0
        """The estimated tokens of the answers in ``asked``, to be compared with the real ones."""
        self._clock = clock
        self._start = clock()

    @property
    def users(self):
        """Users answered, failed ones included."""
        return self.statuses.total()

    def failed_share(self):
        """Users without any answer, as a share of those done."""
        return self.statuses[FAILED] / self.users if self.users else 0.0

    def rate(self):
        """Users a second since the start."""
        return self.users / max(1e-9, self._clock() - self._start)

    def expect(self, input_tokens, output_tokens):
        """Adds the estimate of one answered prompt."""
        self.expected_input += input_tokens
        self.expected_output += output_tokens

    def line(self, total=None):
        """One line of progress.

        Args:
            total (int or None): users in all, if known.

        Returns:
            str: users done, rate, cost so far, time left.
        """
        parts = [f"{self.users:,}" + (f" of {total:,}" if total else "") + " users"]
        parts += [f"{self.rate():,.1f}/s", self.cost()]
        if total and self.users:
            parts.append(f"{duration((total - self.users) / self.rate())} left")
        return ", ".join(parts)

    def lines(self):
        """The summary at the end, a list of str."""
        return [
            f"users                {self.users:>14,}",
            *(
                f"  {name:<19}{self.statuses[name]:>14,}"
                for name in STATUSES
                if self.statuses[name]
            ),
            f"answers received     {self.asked:>14,}",
            f"answers from cache   {self.from_cache:>14,}",
            f"calls repeated       {self.retries:>14,}",
            f"input tokens         {self.spending.input_tokens:>14,}"
            f"   (estimated {self.expected_input:,})",
            f"output tokens        {self.spending.output_tokens:>14,}"
            f"   (estimated {self.expected_output:,})",
            f"cost                 {self.cost():>14}" + self._expected_cost(),
            *(f"  {count:,} x {reason}" for reason, count in self.reasons.most_common(5)),
        ]

    def _expected_cost(self):
        price = self.spending.price
        if price is None:
            return ""
        return f"   (estimated {price.of(self.expected_input, self.expected_output):,.4f})"

    def cost(self):
        """The cost so far as text; real usage at the table's price."""
        price = self.spending.price
        return "unknown" if price is None else f"{self.spending.cost:,.4f} {price.currency}"
