"""Asking a language model that somebody serves: the part that all providers share.

Users come in as a stream and answers leave as one; in between, an event loop in a separate thread
keeps a bounded window of users in work, so that routing and encoding in the caller's thread overlap
with the calls. Whatever ends the run - the last user, Ctrl-C, a limit, a fatal error - what is in
flight is finished and kept first.

The order of things for one prompt: claim it, ask, write the answer to the cache, wait until it is
on disk, and only then use it. So a process that is killed loses at most the answers that were
still on the wire.
"""

import asyncio
import concurrent.futures
import queue
import random
import threading
from typing import Protocol

from recbole_sam.errors import RecBoleSAMError
from recbole_sam.generators.dialogue import exchange
from recbole_sam.generators.extractive import central_titles
from recbole_sam.generators.prompts import prompt_of
from recbole_sam.generators.run_report import RunReport
from recbole_sam.llm.answers import THEIRS, AnswerCache, AskedOf, CachedAnswer, InBatch
from recbole_sam.llm.failures import (
    BrokenRunError,
    CallFailure,
    InterruptedRunError,
    LimitReachedError,
    MalformedFailure,
    PendingBatchError,
    ProviderStopError,
    RefusedFailure,
    TooManyFailuresError,
    TransientFailure,
)
from recbole_sam.llm.prices import TOKENS_PER_PHRASE, Spending, TokenCounter, usage
from recbole_sam.llm.throttle import Patience, Throttle, backoff

MALFORMED_TRIES = 3
"""Of a prompt whose answers come back unusable: each may have been paid for."""
THROTTLED_TRIES = 4
"""Times ``llm_tries``: a refused call costs nothing but patience."""
FEWEST_FAILED = 10
"""Failed users before their share is looked at while the run goes on."""
CLAIM_POLL_SECONDS = 0.2


class ChatClient(Protocol):
    """One provider. All methods run in one event loop."""

    asked_of: AskedOf

    async def open(self) -> None:
        """Gets ready to call; raises ProviderStopError when that is impossible (no key)."""

    async def close(self) -> None:
        """Gives everything back."""

    async def ask(self, prompt: str) -> CachedAnswer:
        """One call, without any repetition; raises a CallFailure or ProviderStopError."""


class ServedGenerator:
    """An :class:`InterestGenerator` on top of a :class:`ChatClient`.

    Args:
        name (str): the generator's name.
        client (ChatClient): the provider.
        settings (LLMSettings): limits, tries, ceilings.
        price (Price or None): of the model.
        fill (callable): from a request to phrases of its titles, for what the model leaves open.
    """

    def __init__(self, name, client, settings, price=None, fill=central_titles):
        self.name = name
        self.client = client
        self.settings = settings
        self.price = price
        self.fill = fill
        self.prompt = prompt_of(settings)
        self.report = RunReport(self._spending())

    @property
    def asked_of(self):
        """Provider, model and parameters, an AskedOf."""
        return self.client.asked_of

    def fingerprint(self):
        """Provider, model, parameters, and the prompt with a hash of its text."""
        return fingerprint(self.name, self.asked_of, self.prompt)

    def generate(self, requests):
        """Streams; at most ``4 * llm_concurrency`` users are in work.

        Raises:
            ProviderStopError: no call can succeed.
            LimitReachedError: ``llm_max_cost`` or ``llm_max_users`` is reached.
            TooManyFailuresError: the share of users without an answer is too high.
            InterruptedRunError: Ctrl-C.
            CacheError: the cache cannot be used.
            BrokenRunError: an unexpected failure.
        """
        self.report = RunReport(self._spending())
        with AnswerCache(self.settings.cache_dir) as cache:
            run = _Run(self, cache)
            try:
                run.open()
                for request in requests:
                    run.submit(request)
                    while run.waiting >= run.window or run.has_news():
                        yield run.next()
                while run.waiting:
                    yield run.next()
                check_failures(self.report, self.settings, at_least=1)
            except KeyboardInterrupt:
                run.finish()
                raise InterruptedRunError(
                    f"Interrupted: {self.report.users:,} users are done, {self.report.asked:,} new "
                    f"answers are kept in {cache.path}. The same command goes on from here."
                ) from None
            finally:
                run.finish()

    def count(self, answer):
        """Notes an answer and stops a run that mostly fails."""
        self.report.statuses[answer.status] += 1
        check_failures(self.report, self.settings, FEWEST_FAILED)
        return answer

    def _spending(self):
        # llm_extra_body may allow a longer answer than llm_max_tokens, under either name
        sent = [self.asked_of.parameters.get(name) for name in ("max_tokens", "max_completion_tokens")]
        longest = max([self.settings.max_tokens, *(n for n in sent if isinstance(n, int))])
        return Spending(self.price, self.settings.max_cost, longest)


def check_failures(report, settings, at_least):
    """Ends a run that mostly fails, or that pays for answers in which nothing can be used.

    Args:
        report (RunReport): of the run.
        settings (LLMSettings): with ``max_failed_share``.
        at_least (int): failed users before their share counts; of unusable answers always `FEWEST_FAILED`,
            since they are kept, and asking again would not change a small run.

    Raises:
        TooManyFailuresError: with the most frequent reasons.
    """
    allowed = settings.max_failed_share * report.users
    if report.failed >= at_least and report.failed > allowed:
        reasons = "; ".join(f"{n} x {reason}" for reason, n in report.reasons.most_common(3))
        raise TooManyFailuresError(
            f"{report.failed:,} of {report.users:,} users got no answer (llm_max_failed_share is "
            f"{settings.max_failed_share}); the commonest reasons: {reasons}. Answers so far are "
            "kept; fix the cause and run the same command again."
        )
    if report.unusable >= FEWEST_FAILED and report.unusable > allowed:
        raise TooManyFailuresError(
            f"Nothing could be used in the answers for {report.unusable:,} of {report.users:,} users "
            f"(llm_max_failed_share is {settings.max_failed_share}): the model may think aloud until "
            "llm_max_tokens ends it (docs/stage1.md says how to switch that off), decline, or write no list. "
            "Try another model or prompt with --max-users=20 first."
        )


def fingerprint(name, asked_of, prompt):
    """What changes the answers, JSON-able, for an interest store.

    Args:
        name (str): the generator's.
        asked_of (AskedOf): provider, model, parameters.
        prompt (Prompt): the question.

    Returns:
        dict: without any secret.
    """
    return {
        "name": name,
        "provider": asked_of.provider,
        "model": asked_of.model,
        "parameters": asked_of.parameters,
        "prompt": asked_of.prompt_version,
        "prompt_hash": asked_of.key(prompt.template),
    }


class _Stopped(Exception):
    """The run is ending; this user is left for another run."""


class _Run:
    """One pass over the users. Methods without ``async`` are for the caller's thread."""

    def __init__(self, generator, cache):
        settings = generator.settings
        self.generator = generator
        self.client = generator.client
        self.settings = settings
        self.report = generator.report
        self.spending = generator.report.spending
        self.cache = cache
        self.window = 4 * settings.concurrency
        self.waiting = 0
        counter = TokenCounter(self.client.asked_of.model)
        # A ceiling needs every prompt counted, for the pace of calls a guess will do.
        self._count = counter.count if settings.max_cost is not None else counter.roughly
        self._random = random.Random()  # jitter: must differ between processes
        self._news = queue.SimpleQueue()
        self._shared = {}
        self._paid_users = set()
        self._reserved = 0
        self._patience = Patience(settings.max_wait, "The provider")
        self._finished = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="llm-calls", daemon=True)

    # in the caller's thread

    def open(self):
        self._thread.start()
        try:
            self._await(self._open())
        except RecBoleSAMError:
            raise
        except Exception as error:
            raise self._broken("Getting ready to ask the language model", error) from error

    def submit(self, request):
        self.waiting += 1
        self._loop.call_soon_threadsafe(self._begin, request)

    def has_news(self):
        return not self._news.empty()

    def next(self):
        """The next answer, of any user; raises what ends the run."""
        news = self._news.get()
        self.waiting -= 1
        if isinstance(news, BaseException):
            raise news
        return self.generator.count(news)

    def finish(self):
        """Lets calls in flight end, keeps their answers, and closes. Does nothing a second time."""
        if self._finished:
            return
        self._finished = True
        if self._thread.is_alive():
            self._await(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _await(self, coroutine):
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        while not future.done() and self._thread.is_alive():
            concurrent.futures.wait([future], timeout=1.0)
        if not future.done():
            return None  # the thread has left its error among the news
        return future.result()

    def _broken(self, what, error):
        return BrokenRunError.of(what, error, self.cache.path)

    # in the loop's thread

    def _work(self):
        try:
            self._loop.run_forever()
        except BaseException as error:
            self._news.put(self._broken("The thread that asks the language model", error))

    async def _open(self):
        self._stop = asyncio.Event()
        self._settled = asyncio.Event()
        self._tasks = set()
        self._throttle = Throttle(
            self.settings.concurrency,
            self.settings.requests_per_minute,
            self.settings.tokens_per_minute,
            sleep=self._pause,
        )
        await self.client.open()

    async def _close(self):
        self._stop.set()
        self._settled.set()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.close()

    def _begin(self, request):
        try:
            task = self._loop.create_task(self._answer(request), name=request.user)
        except Exception as error:
            self._news.put(self._broken("Asking for a user", error))
            return
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task):
        self._tasks.discard(task)
        error = asyncio.CancelledError("cancelled") if task.cancelled() else task.exception()
        if error is not None:
            if not isinstance(error, RecBoleSAMError | _Stopped):
                error = self._broken(f"Asking for user {task.get_name()}", error)
        if error is None:
            self._news.put(task.result())
        elif not isinstance(error, _Stopped):
            # The first of these ends the run; nobody may start another call.
            self._stop.set()
            self._news.put(error)

    async def _answer(self, request):
        """One user's exchange, from the first prompt to the InterestAnswer."""
        steps = exchange(request, self.generator.prompt, self.generator.fill)
        prompt = next(steps)
        while True:
            outcome = await self._outcome(prompt, request)
            try:
                prompt = steps.send(outcome)
            except StopIteration as end:
                return end.value

    async def _outcome(self, prompt, request):
        """The answer to a prompt, however often it is wanted at this moment; None without one."""
        key = self.client.asked_of.key(prompt)
        task = self._shared.get(key)
        if task is not None:
            answer = await task
            self.report.from_cache += answer is not None  # it is in the cache by now
            return answer
        task = self._shared[key] = self._loop.create_task(self._obtain(key, prompt, request))
        task.add_done_callback(lambda _: self._shared.pop(key))
        return await task

    async def _obtain(self, key, prompt, request):
        while True:
            self._check_stop()
            claim = self.cache.get(key)  # at once, without a turn of the writing thread
            if claim is None:
                claim = await asyncio.wrap_future(self.cache.claim(key))
            if isinstance(claim, CachedAnswer):
                self.report.from_cache += 1
                return claim
            if isinstance(claim, InBatch):
                raise PendingBatchError(
                    f"A prompt of this run is part of batch job {claim.job}, which has not been "
                    "collected. Finish it with --interest_generator=dashscope-batch (same "
                    "llm_cache_dir) instead of paying for it twice; if the vendor has lost that job, this "
                    "command says how to give it up."
                )
            if claim != THEIRS:
                break
            await self._pause(CLAIM_POLL_SECONDS)
        answer = None
        try:
            answer = await self._ask(key, prompt, request)
        finally:
            if answer is None:
                await asyncio.wrap_future(self.cache.release(key))
        return answer

    async def _ask(self, key, prompt, request):
        """Asks until there is an answer, a refusal, or no try left (None)."""
        tokens = self._count(prompt)
        expected = tokens + TOKENS_PER_PHRASE * request.k
        failures = malformed = throttled = 0
        while True:
            await self._afford(tokens, request)
            used = None  # whatever ends a call in another way: it may have been sent
            try:
                answer, failure, used = await self._call(key, prompt, expected, tokens)
            except (ProviderStopError, _Stopped) as stop:
                used = None if getattr(stop, "sent", False) else (0, 0)
                raise
            finally:
                if used is None:
                    self.spending.settle_unreported(tokens)
                else:
                    self.spending.settle(tokens, *used)
                self._reserved -= 1
                self._settled.set()
            if answer is not None:
                self.report.expect(tokens, TOKENS_PER_PHRASE * request.k)
                return answer
            self.report.reasons[str(failure)] += 1
            if not isinstance(failure, TransientFailure):
                return None
            asked_wait = self._patience.check(failure.retry_after, str(failure))
            throttled += failure.throttled
            malformed += isinstance(failure, MalformedFailure)
            failures += not failure.throttled
            if (
                failures >= self.settings.tries
                or malformed >= MALFORMED_TRIES
                or throttled >= THROTTLED_TRIES * self.settings.tries
            ):
                return None
            self.report.retries += 1
            wait = backoff(failures + throttled, self._random, self.settings.backoff)
            await self._pause(max(wait, asked_wait))

    async def _call(self, key, prompt, expected, tokens):
        """One call under the limits: an answer that is on disk and None, or None and the failure; and its
        :func:`usage`.

        The place among the calls in flight is held until the answer is on disk, so a killed process
        loses ``llm_concurrency`` answers at the very most.
        """
        started = await self._throttle.enter(expected)
        taken = None
        try:
            self._check_stop()
            try:
                answer = self.report.limited(await self.client.ask(prompt))
                used = usage(answer, tokens)
                taken = sum(used) if used else None
            except RefusedFailure as refusal:
                self.report.reasons[str(refusal)] += 1
                used = usage(refusal, tokens)
                answer = CachedAnswer(str(refusal), True, refusal.input_tokens, refusal.output_tokens)
            await asyncio.wrap_future(self.cache.store(key, self.client.asked_of, answer))
            self.report.asked += 1
            self._throttle.went_well()
            return answer, None, used
        except CallFailure as failure:
            if isinstance(failure, TransientFailure) and failure.throttled:
                self._throttle.slow_down(started, failure.retry_after or self.settings.backoff)
            return None, failure, usage(failure, tokens)
        except ProviderStopError:
            self._stop.set()
            raise
        finally:
            self._throttle.leave(expected, taken)

    async def _afford(self, tokens, request):
        """Waits until the dearest outcome of one more call is within the ceilings."""
        while not (limit := self._admit(tokens, request.user)):
            self._settled.clear()
            await self._settled.wait()
            self._check_stop()
        if limit is not True:
            raise LimitReachedError(self._limit_sentence(limit))
        self._reserved += 1

    def _admit(self, tokens, user):
        """True, or the name of the limit that is reached, or False while that is still open."""
        limit = self.settings.max_users
        known = limit is None or user in self._paid_users
        if not known and len(self._paid_users) >= limit:
            return False if self._reserved else f"llm_max_users ({limit:,})"
        if not self.spending.reserve(tokens):
            return False if self._reserved else f"llm_max_cost ({self.settings.max_cost})"
        if not known:
            self._paid_users.add(user)
        return True

    def _limit_sentence(self, limit):
        return (
            f"Stopped at {limit}: {self.report.asked:,} new answers were paid for in this run and are "
            f"kept in {self.cache.path}. The same command, with a new allowance, goes on from here."
        )

    def _check_stop(self):
        if self._stop.is_set():
            raise _Stopped

    async def _pause(self, seconds):
        """Sleeps, but not into the end of the run."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except asyncio.TimeoutError:  # noqa: UP041 - not the builtin before Python 3.11
            return
        raise _Stopped
