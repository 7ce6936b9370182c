"""What a run would ask and cost, in place of the run."""

from recbole_sam.interests.budget import TokenCounter, estimate
from recbole_sam.interests.cache import AnswerCache
from recbole_sam.interests.generate.local import LocalGenerator


class DryRunFinished(Exception):
    """The end of a dry run; not an error.

    Args:
        estimate (Estimate): what it found.
    """

    def __init__(self, estimate):
        super().__init__("dry run")
        self.estimate = estimate


class DryRun:
    """Stands in for a language-model generator: reads all requests, asks nothing, and stops.

    Args:
        generator: a generator with settings, prompt, asked_of and price, which is never run.
    """

    def __init__(self, generator):
        self.name = generator.name
        self._generator = generator

    def fingerprint(self):
        """The generator's own."""
        return self._generator.fingerprint()

    def generate(self, requests):
        """Raises DryRunFinished after the last request, so that no store is written."""
        generator = self._generator
        settings = generator.settings
        limits = None
        if generator.name != LocalGenerator.name:
            limits = settings.concurrency, settings.requests_per_minute, settings.tokens_per_minute
        with AnswerCache(settings.cache_dir) as cache:
            found = estimate(
                requests,
                generator.prompt,
                generator.asked_of,
                cache,
                generator.price,
                TokenCounter(generator.asked_of.model),
                limits,
            )
        yield from ()  # a generator function, as the interface wants
        raise DryRunFinished(found)
