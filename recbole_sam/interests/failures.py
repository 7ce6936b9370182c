"""What can go wrong between us and a language model, and the sentences a user sees when a run
stops.

Two families. The first three never reach the user: they tell the retry loop what happened to ONE
call. The others end a run; everything answered before is in the cache, so the same command resumes.
"""

from recbole_sam.errors import RecBoleSAMError


class CallFailure(Exception):
    """One call did not give an answer. ``str(failure)`` is a short reason without any secret."""


class TransientFailure(CallFailure):
    """Worth another try: throttled, overloaded, timed out, cut off.

    Args:
        reason (str): what happened.
        retry_after (float or None): seconds the provider asked us to wait.
        throttled (bool): the provider says we are too fast (HTTP 429).
        sent (bool): the request went out and nobody knows what became of it: a provider may bill an answer
            that we did not wait for.
    """

    def __init__(self, reason, retry_after=None, throttled=False, sent=False):
        super().__init__(reason)
        self.retry_after = retry_after
        self.throttled = throttled
        self.sent = sent


class _Used:
    """Of a failure that may have been paid for.

    Args:
        reason (str): what happened.
        input_tokens (int): what the provider said it used, 0 when it said nothing.
        output_tokens (int): the same of the output.
    """

    def __init__(self, reason, input_tokens=0, output_tokens=0):
        super().__init__(reason)
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class MalformedFailure(_Used, TransientFailure):
    """An answer came, and may have been paid for, but holds nothing usable: few further tries."""


class RefusedFailure(_Used, CallFailure):
    """The provider's moderation declined this prompt; asking again would not help."""


class RejectedFailure(CallFailure):
    """The provider cannot process this one prompt (too long, say); asking again would not help."""


class ProviderStopError(RecBoleSAMError):
    """Every further call would fail too: wrong key, no access, unknown model, arrears."""


class InterruptedRunError(RecBoleSAMError):
    """The user pressed Ctrl-C; what was in flight has been finished and kept."""


class LimitReachedError(RecBoleSAMError):
    """``llm_max_cost`` or ``llm_max_users`` is reached; the same command goes on from here."""


class PendingBatchError(RecBoleSAMError):
    """Prompts of this run are in a batch job that has not been collected."""


class TooManyFailuresError(RecBoleSAMError):
    """More than ``llm_max_failed_share`` of the users got no answer."""


class CacheError(RecBoleSAMError):
    """The answer cache cannot be read or written."""


def scrub(text, secret):
    """``text`` with every occurrence of ``secret`` (an API key, or None) replaced by ``***``."""
    return str(text).replace(secret, "***") if secret else str(text)
