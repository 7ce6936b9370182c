"""What can go wrong between us and a language model, and the sentences a user sees when a run
stops.

Two families. The first three never reach the user: they tell the retry loop what happened to ONE
call. The others end a run; everything answered before is in the cache, so the same command resumes.
"""

from recbole_sam.errors import RecBoleSAMError


class CallFailure(Exception):
    """One call did not give an answer. ``str(failure)`` is a short reason without any secret.

    ``sent`` says that the provider may bill it all the same: an answer that came broken, or one that we did
    not wait for.
    """

    sent = False
    input_tokens = output_tokens = 0


class TransientFailure(CallFailure):
    """Worth another try: throttled, overloaded, timed out, cut off.

    Args:
        reason (str): what happened.
        retry_after (float or None): seconds the provider asked us to wait.
        throttled (bool): the provider says we are too fast (HTTP 429).
        sent (bool): the request went out and nobody knows what became of it.
    """

    def __init__(self, reason, retry_after=None, throttled=False, sent=False):
        super().__init__(reason)
        self.retry_after = retry_after
        self.throttled = throttled
        self.sent = sent


class UsedFailure(CallFailure):
    """An answer came without a use for us, and may have been paid for.

    Args:
        reason (str): what happened.
        input_tokens (int): what the provider said it used, 0 when it said nothing.
        output_tokens (int): the same of the output.
        sent (bool): false when the provider declined without working on it.
    """

    def __init__(self, reason, input_tokens=0, output_tokens=0, sent=True):
        super().__init__(reason)
        self.sent = sent
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class MalformedFailure(UsedFailure, TransientFailure):
    """Nothing in the answer can be read: few further tries."""


class ThoughtFailure(UsedFailure):
    """Thinking used up all tokens of the answer; asking again would pay for the same."""

    def __init__(self, input_tokens=0, output_tokens=0):
        super().__init__(
            "thinking used up llm_max_tokens and left no answer: switch thinking off (docs/stage1.md; for "
            "vLLM --llm_extra_body=\"{'chat_template_kwargs': {'enable_thinking': False}}\") "
            "or raise llm_max_tokens",
            input_tokens,
            output_tokens,
        )


class RefusedFailure(UsedFailure):
    """The provider's moderation declined this prompt; asking again would not help."""


class RejectedFailure(CallFailure):
    """The provider cannot process this one prompt (too long, say); asking again would not help."""


class ProviderStopError(RecBoleSAMError):
    """Every further call would fail too: wrong key, no access, unknown model, arrears."""

    sent = False
    """Whether the provider may bill the call that said so, as in :class:`CallFailure`."""


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


class BrokenRunError(RecBoleSAMError):
    """An unexpected failure ended the run; everything answered before is kept."""

    @classmethod
    def of(cls, what, error, where):
        """The error with its sentence.

        Args:
            what (str): what was being done.
            error (BaseException): what happened.
            where (str or Path): of the answers.
        """
        said = " ".join(str(error).split())[:200]
        broken = cls(
            f"{what} ended in an error that was not foreseen ({type(error).__name__}: {said}). What was "
            f"answered is kept in {where}: run the same command again, and report this if it comes back."
        )
        broken.__cause__ = error
        return broken


def stop_error(provider, hint, what):
    """A ProviderStopError with the vendor's words and what to do about them."""
    hint = " ".join(str(hint).split())[:300]
    return ProviderStopError(f"{provider} declined every call ({hint}): {what}")
