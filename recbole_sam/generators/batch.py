"""DashScope's batch service: half the price, within a day instead of a second.

Prompts are written to request files, submitted as jobs, and their results collected into the same
cache, under the same keys, as live calls. A job is remembered before it is sent, with the prompts
in it, so that a restart goes on where the last run was, and no other process asks those prompts:

    file on disk -> job and its prompts in the cache -> uploaded -> created -> polled -> collected

A crash between "create this job" and "it has been created" leaves open whether the vendor has it.
The vendor's list of jobs knows: it is searched for our input file before a job is created a second
time. A definite refusal (HTTP 4xx) before that leaves nothing open: the job is forgotten, its prompts are
free. A job that the vendor does not know any more is not asked again by itself, since it may have been paid
for: the user gives it up with an empty file beside its request file.

Protocol: https://www.alibabacloud.com/help/en/model-studio/batch-interfaces-compatible-with-openai
"""

import time
from collections import Counter
from itertools import islice

from recbole_sam.errors import RecBoleSAMError
from recbole_sam.generators.dialogue import exchange
from recbole_sam.generators.extractive import central_titles
from recbole_sam.generators.live import check_failures, fingerprint
from recbole_sam.generators.prompts import prompt_of
from recbole_sam.generators.run_report import RunReport
from recbole_sam.generators.spool import Spool
from recbole_sam.llm.answers import MINE, AnswerCache, CachedAnswer, InBatch
from recbole_sam.llm.batch_jobs import Jobs, jobs_of, open_jobs
from recbole_sam.llm.batch_service import NothingAcceptedError, Service
from recbole_sam.llm.dashscope import asked_of_dashscope, dashscope_price
from recbole_sam.llm.failures import (
    BrokenRunError,
    InterruptedRunError,
    LimitReachedError,
    ProviderStopError,
    RefusedFailure,
    TransientFailure,
)
from recbole_sam.llm.prices import TOKENS_PER_PHRASE, Spending, TokenCounter

SUBMISSIONS = 3
"""Times one prompt is sent when its line fails or is left out."""
CLAIMS_AT_ONCE = 1000


class BatchGenerator:
    """An :class:`InterestGenerator` on the batch service.

    Args:
        settings (LLMSettings): model, parameters, ``batch_lines``, ``batch_poll``,
            ``batch_window``.
        fill (callable): from a request to phrases of its titles, for what the model leaves open.
    """

    name = "dashscope-batch"

    def __init__(self, settings, fill=central_titles):
        self.settings = settings
        self.fill = fill
        self.prompt = prompt_of(settings)
        self.asked_of = asked_of_dashscope(settings, self.prompt)
        self.price = dashscope_price(settings, self.asked_of.model, batch=True)
        self.report = RunReport(self._spending())

    def fingerprint(self):
        """Provider, model, parameters, and the prompt with a hash of its text."""
        return fingerprint(self.name, self.asked_of, self.prompt)

    def generate(self, requests):
        """Submits everything, waits, and answers at the end; users are spooled to disk meanwhile.

        Raises:
            ProviderStopError: no key, or the service declines every job, or does not know one any more.
            SettingError: the environment's proxy or address cannot be used.
            LimitReachedError: ``llm_max_cost`` or ``llm_max_users`` is reached; what was affordable
                has been submitted and collected.
            TooManyFailuresError: the share of users without an answer is too high.
            InterruptedRunError: Ctrl-C; jobs go on at the vendor's.
            CacheError: the cache, or the folder of temporary files, cannot be used.
        """
        self.report = RunReport(self._spending())
        with (
            AnswerCache(self.settings.cache_dir) as cache,
            Service(self.settings) as service,
            Spool(requests) as spool,
        ):
            rounds = _Rounds(self, cache, service, spool)
            try:
                rounds.run()
            except KeyboardInterrupt:
                count = len(cache.call(open_jobs).result())
                raise InterruptedRunError(
                    f"Interrupted: {count} batch jobs are with the vendor, "
                    f"{self.report.asked:,} answers have been collected into {cache.path}. The same "
                    "command collects the rest; nothing is submitted twice."
                ) from None
            except RecBoleSAMError:
                raise
            except Exception as error:
                raise BrokenRunError.of("The run of batch jobs", error, cache.path) from error
            for answer in rounds.answers():
                self.report.statuses[answer.status] += 1
                yield answer
            check_failures(self.report, self.settings, at_least=1)

    def _spending(self):
        return Spending(self.price, self.settings.max_cost, self.settings.max_tokens)


class _Rounds:
    """First questions, then repairs and second tries, until nobody waits for an answer."""

    def __init__(self, generator, cache, service, spool):
        self.generator = generator
        self.settings = generator.settings
        self.asked_of = generator.asked_of
        self.report = generator.report
        self.spending = generator.report.spending
        self.cache = cache
        self.service = service
        self._spool = spool
        self._given_up = set()
        self._failed = Counter()
        self._admitted = {}  # key -> tokens, of lines that no job has yet
        self._reserved = {}  # job -> {key: tokens}
        self._overdrawn = False
        self._paid_users = set()
        self._limit = None
        self._counter = TokenCounter(self.asked_of.model)
        self._jobs = Jobs(cache, service, self.asked_of, self.settings, self.report)

    def run(self):
        """Asks everything that is not answered.

        Raises:
            LimitReachedError: after collecting, when a ceiling kept prompts from being sent.
        """
        while True:
            jobs, others = self._submit()
            if not jobs and not others:
                break
            self._start(jobs)
            for job in jobs:
                self._wait(job)
            if others:  # another process is asking some prompts live
                time.sleep(min(1.0, self.settings.batch_poll))
        if self._limit:
            raise LimitReachedError(
                f"Stopped at {self._limit}: {self.report.asked:,} answers of this run are kept in "
                f"{self.cache.path}. The same command, with a new allowance, goes on from here."
            )

    def answers(self):
        """Every user's final answer, from the cache."""
        for request in self._spool:
            steps = exchange(request, self.generator.prompt, self.generator.fill)
            prompt = next(steps)
            try:
                while True:
                    prompt = steps.send(self.cache.get(self.asked_of.key(prompt)))
            except StopIteration as end:
                yield end.value

    def _unanswered(self):
        """The prompts that users wait for now: (key, prompt, user, k), a key perhaps repeated."""
        for request in self._spool:
            steps = exchange(request, self.generator.prompt, self.generator.fill)
            prompt = next(steps)
            while True:
                key = self.asked_of.key(prompt)
                answer = self.cache.get(key)
                if answer is None and key not in self._given_up:
                    yield key, prompt, request.user, request.k
                    break
                try:
                    prompt = steps.send(answer)
                except StopIteration:
                    break

    def _start(self, jobs):
        """Sends what has not been sent; after a definite refusal the jobs behind it are not tried."""
        try:
            for job in jobs:
                self._jobs.start(job)
        except NothingAcceptedError:
            for job in jobs:
                self._jobs.drop_unsent(job)
            raise

    def _open_jobs(self):
        """Counts what is open in jobs as spent at its dearest and its users as asked; returns the jobs.

        Only for a run with a ceiling. Each restart while jobs are open would else grant the allowance anew.
        """
        self._overdrawn = False
        jobs = {}
        ceilings = (self.settings.max_cost, self.settings.max_users)
        if ceilings == (None, None) or not self.cache.call(open_jobs).result():
            return jobs
        waiting = self._unanswered()
        while slice_ := {entry[0]: entry for entry in islice(waiting, CLAIMS_AT_ONCE)}:
            for key, job in self.cache.call(jobs_of, list(slice_)).result():
                self._paid_users.add(slice_[key][2])
                if job not in jobs:
                    jobs[job] = None
                    self._reserve(job)
        return jobs

    def _reserve(self, job):
        """Sets aside what a whole open job may cost, with its prompts that are not of this run."""
        if self.settings.max_cost is None:
            return
        tokens = self._jobs.tokens(job, self._counter.count)
        kept = {key: count for key, count in (tokens or {}).items() if self.spending.reserve(count)}
        if tokens is None or len(kept) < len(tokens):
            self._overdrawn = True
        self._reserved[job] = kept

    def _submit(self):
        """Makes jobs of all prompts that nobody is asking; returns the jobs to wait for."""
        self._limit = None  # what an earlier round could not afford, this one may
        jobs, others, lines = self._open_jobs(), False, {}
        waiting = self._unanswered()
        # A slice holds a key once: a second claim on it, taken before a job is made of the first, would
        # still say MINE after it.
        while slice_ := {entry[0]: entry for entry in islice(waiting, CLAIMS_AT_ONCE)}:
            claims = [self.cache.claim(key) for key in slice_]
            for (key, prompt, user, k), future in zip(slice_.values(), claims, strict=True):
                claim = future.result()
                if isinstance(claim, InBatch):
                    jobs[claim.job] = None
                elif claim == MINE:
                    if key in lines:
                        continue
                    if self._admit(key, prompt, user, k):
                        lines[key] = prompt
                    else:
                        self.cache.release(key).result()
                elif not isinstance(claim, CachedAnswer):
                    others = True
                if len(lines) >= self.settings.batch_lines:
                    jobs[self._make(lines)] = None
                    lines = {}
        if lines:
            jobs[self._make(lines)] = None
        return list(jobs), others

    def _make(self, lines):
        job = self._jobs.make(lines)
        self._reserved[job], self._admitted = self._admitted, {}
        return job

    def _admit(self, key, prompt, user, k):
        limit = self.settings.max_users
        if limit is not None and user not in self._paid_users:
            if len(self._paid_users) >= limit:
                self._limit = f"llm_max_users ({limit:,})"
                return False
            self._paid_users.add(user)
        tokens = self._counter.count(prompt)
        if self._overdrawn or not self.spending.reserve(tokens):
            self._limit = f"llm_max_cost ({self.settings.max_cost})"
            return False
        if self.settings.max_cost is not None:
            self._admitted[key] = tokens
        self.report.expect(tokens, TOKENS_PER_PHRASE * k)
        return True

    def _wait(self, job):
        """Waits for one job and takes its results over."""
        while (results := self._jobs.collect(job)) is None:
            time.sleep(self.settings.batch_poll)
        reserved = self._reserved.pop(job, {})
        for key, failure, used in results:
            tokens = reserved.pop(key, None)
            if used is None and tokens is None:
                self.spending.count_unreported(0)
            elif used is None:
                self.spending.settle_unreported(tokens)
            elif tokens is None:  # no ceiling, or an earlier run's that did not fit under this one
                self.spending.input_tokens += used[0]
                self.spending.output_tokens += used[1]
            else:
                self.spending.settle(tokens, *used)
            if failure is None or isinstance(failure, RefusedFailure):
                self.report.asked += 1
            if failure is not None:
                self._note(key, failure)
        for tokens in reserved.values():  # another process has collected them, and counts them
            self.spending.settle(tokens)

    def _note(self, key, failure):
        """A line without an answer: again in the next round, or never."""
        if isinstance(failure, ProviderStopError):
            raise failure
        self.report.reasons[str(failure)] += 1
        self._failed[key] += 1
        if not isinstance(failure, TransientFailure) or self._failed[key] >= SUBMISSIONS:
            self._given_up.add(key)
        else:
            self.report.retries += 1
