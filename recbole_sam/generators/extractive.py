"""Interest phrases without a language model: the most central title of each interest group."""

from recbole_sam.generators.base import COMPLETE, InterestAnswer


class ExtractiveGenerator:
    """Answers each group, strongest first, with its most central title that is not yet taken."""

    name = "extractive"

    def fingerprint(self):
        """The name alone: there is nothing to set."""
        return {"name": self.name}

    def generate(self, requests):
        """Answers in the order of the requests, one at a time."""
        for request in requests:
            yield InterestAnswer(request.user, central_titles(request), COMPLETE)


def central_titles(request):
    """A user's k central titles, no two equal.

    Args:
        request (InterestRequest): its k is at most the number of distinct titles.

    Returns:
        tuple of str: k titles; as many as there are when k asks for more.
    """
    taken = {}  # a dict keeps the order
    for ranking in request.rankings[: request.k]:
        ranked = (request.titles[position] for position in ranking)
        free = next((title for title in ranked if title not in taken), None)
        if free is not None:
            taken[free] = None
    return tuple(taken)
