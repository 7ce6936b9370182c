"""What a run of a language-model generator has done so far, and how it is reported."""

from collections import Counter

from recbole_sam.generators.base import FAILED, STATUSES, UNUSABLE
from recbole_sam.llm import replies


class RunReport:
    """Counts of one run of a generator; read it at any time.

    Args:
        spending (Spending): the run's money.
    """

    def __init__(self, spending):
        self.spending = spending
        self.statuses = Counter()
        self.asked = 0
        """Answers that this run got from the provider and kept."""
        self.from_cache = 0
        """Answers that were there already, or came for another user with the same prompt in this run."""
        self.retries = 0
        self.reasons = Counter()
        """Short reasons of calls that gave no answer."""
        self.shortened = 0
        """Answers that were too long to be read whole."""
        self.expected_input = self.expected_output = 0
        """The estimated tokens of the answers in ``asked``, to be compared with the real ones."""

    @property
    def users(self):
        """Users answered, failed ones included."""
        return self.statuses.total()

    @property
    def failed(self):
        """Users without an answer."""
        return self.statuses[FAILED]

    @property
    def unusable(self):
        """Users in whose answers nothing could be used."""
        return self.statuses[UNUSABLE]

    def expect(self, input_tokens, output_tokens):
        """Adds the estimate of one answered prompt."""
        self.expected_input += input_tokens
        self.expected_output += output_tokens

    def limited(self, answer):
        """An answer (CachedAnswer) as it is kept: one that is too long is cut, and counted."""
        text = replies.limited(answer.text)
        self.shortened += text != answer.text
        return answer._replace(text=text)

    def lines(self):
        """The summary at the end, a list of str."""
        return [
            f"users                {self.users:>14,}",
            *(f"  {name:<19}{self.statuses[name]:>14,}" for name in STATUSES if self.statuses[name]),
            f"answers received     {self.asked:>14,}",
            f"answers from cache   {self.from_cache:>14,}",
            f"calls repeated       {self.retries:>14,}",
            f"input tokens         {self.spending.input_tokens:>14,}   (estimated {self.expected_input:,})",
            f"output tokens        {self.spending.output_tokens:>14,}   (estimated {self.expected_output:,})",
            f"cost                 {self.cost():>14}" + self._expected_cost(),
            *self._unreported(),
            *([f"  {self.shortened:,} x answer cut at {replies.LONGEST >> 10} KB"] if self.shortened else []),
            *(f"  {count:,} x {reason}" for reason, count in self.reasons.most_common(5)),
        ]

    def _expected_cost(self):
        price = self.spending.price
        if price is None:
            return ""
        return f"   (estimated {price.of(self.expected_input, self.expected_output):,.4f})"

    def _unreported(self):
        """One line on calls whose cost is unknown, or none."""
        spending = self.spending
        if not spending.unreported:
            return []
        price = spending.price
        most = f": up to {spending.unreported_cost:,.4f} {price.currency} more" if price else ""
        return [f"  {spending.unreported:,} x usage not reported{most}"]

    def cost(self):
        """The cost so far as text; real usage at the table's price."""
        price = self.spending.price
        return "unknown" if price is None else f"{self.spending.cost:,.4f} {price.currency}"
