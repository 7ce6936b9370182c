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

import json
import logging
import os
import random
import sqlite3
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import filelock

from recbole_sam.errors import SettingError
from recbole_sam.interests.budget import TOKENS_PER_PHRASE, Spending, TokenCounter
from recbole_sam.interests.cache import MINE, AnswerCache, CachedAnswer, InBatch
from recbole_sam.interests.contract import exchange
from recbole_sam.interests.failures import (
    CacheError,
    InterruptedRunError,
    LimitReachedError,
    MalformedFailure,
    ProviderStopError,
    RefusedFailure,
    TransientFailure,
    scrub,
)
from recbole_sam.interests.generate.dashscope import (
    FATAL,
    asked_of_dashscope,
    dashscope_price,
    find_key,
    sdk,
)
from recbole_sam.interests.generate.extractive import central_titles
from recbole_sam.interests.generate.openai import (
    chat_failure,
    decoded,
    error_of,
    http_library,
    read_completion,
)
from recbole_sam.interests.generate.served import check_failures, fingerprint
from recbole_sam.interests.generate.spool import Spool
from recbole_sam.interests.limits import backoff
from recbole_sam.interests.report import RunReport

logger = logging.getLogger(__name__)

ENDPOINT = "/v1/chat/completions"
SUBMISSIONS = 3
"""Times one prompt is sent when its line fails or is left out."""
CLAIMS_AT_ONCE = 1000
_OVER = ("completed", "expired", "failed", "cancelled")
_PASSES = (408, 409, 425, 429)
"""4xx that say nothing about the request itself."""
_FATAL_HERE = {404: (("", "check the endpoint, DASHSCOPE_COMPATIBLE_BASE_URL."),)}
_PROXIES = ("all_proxy", "https_proxy", "http_proxy", "no_proxy")


class _Declined(ProviderStopError):
    """The service answered a request with a definite no.

    Args:
        sentence (str): for the user, without the key.
        status (int): of HTTP.
    """

    def __init__(self, sentence, status):
        super().__init__(sentence)
        self.status = status


class _NothingAccepted(ProviderStopError):
    """A definite no, and the vendor holds no job: nothing can have been paid for."""

    def __init__(self, refusal):
        super().__init__(f"{refusal} This job was not submitted; its prompts are free again.")


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
        self.prompt = settings.prompt()
        self.asked_of = asked_of_dashscope(settings)
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
                open_jobs = [job for job, *_ in cache.call(_open_jobs).result()]
                raise InterruptedRunError(
                    f"Interrupted: {len(open_jobs)} batch jobs are with the vendor, "
                    f"{self.report.asked:,} answers have been collected into {cache.path}. The same "
                    "command collects the rest; nothing is submitted twice."
                ) from None
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
        self._jobs = Jobs(cache, service, self.asked_of, self.settings)

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
        except _NothingAccepted:
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
        if ceilings == (None, None) or not self.cache.call(_open_jobs).result():
            return jobs
        waiting = self._unanswered()
        while slice_ := {entry[0]: entry for entry in islice(waiting, CLAIMS_AT_ONCE)}:
            for key, job in self.cache.call(_jobs_of, list(slice_)).result():
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
            if tokens is None:  # no ceiling, or an earlier run's that did not fit under this one
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


class Jobs:
    """Batch jobs, each remembered in the cache from before it is sent until it is collected.

    Args:
        cache (AnswerCache): remembers them.
        service (Service): sends them.
        asked_of (AskedOf): model and parameters of every line.
        settings (LLMSettings): the completion window.
    """

    def __init__(self, cache, service, asked_of, settings):
        self._cache = cache
        self._service = service
        self._asked_of = asked_of
        self._settings = settings
        self._folder = cache.folder / "batches"

    def make(self, lines):
        """Remembers a new job; nothing is sent yet.

        Args:
            lines (dict): key -> prompt, all claimed by us; the claims become the job's.

        Returns:
            str: the job's name.
        """
        job = uuid.uuid4().hex
        try:
            self._folder.mkdir(exist_ok=True)
            with open(self._requests(job), "w", encoding="utf-8") as file:
                for key, prompt in lines.items():
                    body = {
                        "model": self._asked_of.model,
                        "messages": [{"role": "user", "content": prompt}],
                        **self._asked_of.parameters,
                    }
                    line = {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CacheError(
                f"The batch request file {self._requests(job)} cannot be written: {error}."
            ) from error
        self._cache.call(_make_job, job, list(lines)).result()
        return job

    def tokens(self, job, count):
        """The input tokens of a job's prompts.

        Args:
            job (str): its name.
            count (callable): the tokens in a text.

        Returns:
            dict or None: key -> int; None when the request file cannot be read.
        """
        try:
            with open(self._requests(job), encoding="utf-8") as file:
                lines = map(json.loads, file)
                return {line["custom_id"]: count(line["body"]["messages"][0]["content"]) for line in lines}
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def start(self, job):
        """Uploads and creates the job, or finds out that this has been done.

        Raises:
            ProviderStopError: the vendor declines it. Its prompts are free again, unless an earlier try may
                have been accepted.
        """
        with self._held(job) as row:
            if row is None:
                return
            if self._give_up_file(job).exists():
                logger.warning("batch job %s (%s) is given up; its prompts are asked again", job, row[1])
                self._forget(job)
            elif not row[1]:
                try:
                    batch_id = self._send(job, row[0])
                except _NothingAccepted:
                    self._forget(job)
                    raise
                self._cache.call(_set, job, "batch_id", batch_id).result()
                logger.info("batch job %s submitted", batch_id)

    def _send(self, job, file_id):
        again = file_id is not None
        if not again:
            if not self._requests(job).exists():
                self._forget(job)
                raise CacheError(
                    f"The request file {self._requests(job)} of a batch job that was never sent is "
                    "gone; its prompts are free again. Run the same command once more."
                )
            file_id = self._service.upload(self._requests(job))
            self._cache.call(_set, job, "file_id", file_id).result()
        try:
            return self._service.create(file_id, self._settings.batch_window, again)
        except _Declined as refusal:
            raise self._in_doubt(job, f"{refusal} Whether an earlier try created the job is open.") from None

    def drop_unsent(self, job):
        """Forgets a job whose request file was not uploaded: nobody can have paid for it."""
        with self._held(job) as row:
            if row is not None and row[0] is None:
                self._forget(job)

    def collect(self, job):
        """The results of a job that is over, kept in the cache, and the job forgotten.

        Returns:
            list or None: (key, failure or None, (input tokens, output tokens)) of each prompt; None
            while the job is being worked on. Empty when another process has collected it.

        Raises:
            ProviderStopError: the vendor declined the whole job, and its prompts are free again; or does not
                know it, and they are not.
        """
        with self._held(job) as row:
            if row is None:
                return []
            if row[1] is None:
                raise ProviderStopError(
                    f"Batch job {job} was never submitted; run the command again."
                )
            try:
                state = self._service.show(row[1])
                status = state.get("status")
                if status not in _OVER:
                    logger.info("batch job %s: %s", row[1], status)
                    return None
                results, left = self._results(job, state)
            except _Declined as refusal:
                if refusal.status != 404:
                    raise
                raise self._in_doubt(job, _unknown_job(row[1])) from None
            self._forget(job)
        if status == "failed" and not results:
            raise self._declined_job(row[1], state)
        nothing = TransientFailure(f"no result in a batch job that ended as {status}")
        return results + [(key, nothing, (0, 0)) for key in left]

    def _results(self, job, state):
        """What the result files of a job hold, and the keys without a result."""
        keys = dict.fromkeys(self._cache.call(_keys, job).result())
        results = []
        for kind in ("output_file_id", "error_file_id"):
            if state.get(kind):
                path = self._folder / f"{job}.{kind}"
                self._service.download(state[kind], path)
                results += self._read(path, keys)
                path.unlink()
        return results, keys

    def _declined_job(self, batch_id, state):
        error = ((state.get("errors") or {}).get("data") or [{}])[0]
        said = f"{error.get('code') or ''}: {error.get('message') or 'no reason given'}"
        said = " ".join(self._service.scrub(said).split())[:300]
        return ProviderStopError(
            f"DashScope declined batch job {batch_id} ({said}); nothing was charged. "
            "Check llm_model and whether it is offered for batches in the endpoint's region."
        )

    def _in_doubt(self, job, what):
        """An error about a job that may have been paid for; it goes on to hold its prompts."""
        return ProviderStopError(
            f"{what} It may have been paid for, so its prompts are not asked again. To give it up and pay "
            f"for them again, create the empty file {self._give_up_file(job)} and run the same command."
        )

    def _read(self, path, keys):
        """Keeps the answers in a result file and takes their keys out of ``keys``.

        A line that is not ours, not JSON, or comes a second time is left out.
        """
        results, stored = [], []
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    key = entry["custom_id"]
                except (ValueError, KeyError, TypeError):
                    continue
                if keys.pop(key, self) is self:
                    continue
                answer, failure = read_line(entry, self._service.scrub)
                if isinstance(failure, RefusedFailure):
                    stored.append((key, CachedAnswer(str(failure), True, 0, 0)))
                elif answer is not None:
                    stored.append((key, answer))
                used = answer or failure
                results.append(
                    (
                        key,
                        failure,
                        (getattr(used, "input_tokens", 0), getattr(used, "output_tokens", 0)),
                    )
                )
        for future in [self._cache.store(key, self._asked_of, answer) for key, answer in stored]:
            future.result()
        return results

    def _forget(self, job):
        self._cache.call(_close_job, job).result()
        for path in self._folder.glob(f"{job}.*"):
            path.unlink(missing_ok=True)

    def _give_up_file(self, job):
        return self._folder.absolute() / f"{job}.give-up"

    def _row(self, job):
        return self._cache.call(_job, job).result()

    def _requests(self, job):
        return self._folder / f"{job}.jsonl"

    @contextmanager
    def _held(self, job):
        """The job's row under its lock. None for a job that is over, whose lock file is not made again."""
        if self._row(job) is None:
            yield None
            return
        with filelock.FileLock(self._folder / f"{job}.lock", thread_local=False):
            yield self._row(job)


def _unknown_job(batch_id):
    return (
        f"DashScope does not know batch job {batch_id} or its results (HTTP 404). Probably key or endpoint "
        "(DASHSCOPE_COMPATIBLE_BASE_URL) belongs to another region or account than the one it was submitted "
        "to: run the same command with those. Or the vendor has deleted it."
    )


def read_line(entry, clean=str):
    """One line of a result file.

    Args:
        entry (dict): decoded.
        clean (callable): takes what must not be shown out of the vendor's words.

    Returns:
        tuple: a CachedAnswer and None, or None and the failure.
    """
    response = entry.get("response") or {}
    status = response.get("status_code", 0)
    try:
        if status == 200:
            return read_completion(response.get("body")), None
        code, message = error_of(response.get("body") or {})
        if not code:
            code, message = error_of(entry.get("error") or {})
        return None, chat_failure(
            "DashScope's batch service", status or 500, clean(code), clean(message)
        )
    except (MalformedFailure, RefusedFailure) as failure:
        return None, failure


class Service:
    """The vendor's files and batches over HTTP; a context manager.

    Args:
        settings (LLMSettings): timeout, tries, back-off.

    Raises:
        ProviderStopError: no SDK, no httpx, or no key.
        SettingError: the environment's proxy, certificates or address cannot be used.
    """

    def __init__(self, settings):
        self._settings = settings
        self._random = random.Random()
        httpx = http_library("dashscope")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._key = find_key()
        self._http = _client(
            httpx,
            sdk().base_compatible_api_url.rstrip("/"),
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=settings.timeout,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._http.close()
        self._key = None

    def scrub(self, text):
        """``text`` without the key, should the vendor repeat it."""
        return scrub(text, self._key)

    def upload(self, path):
        """Sends a request file and returns its id. Sending one twice costs nothing.

        Raises:
            ProviderStopError: it cannot be had, or the vendor declined it.
        """

        def send():
            with open(path, "rb") as file:
                return self._http.post(
                    "/files", data={"purpose": "batch"}, files={"file": (Path(path).name, file)}
                )

        try:
            return self._field(self._call(send), "id")
        except _Declined as refusal:
            raise _NothingAccepted(refusal) from None

    def create(self, file_id, window, again=False):
        """Creates the job of an uploaded file and returns its id.

        Args:
            file_id (str): of the request file.
            window (str): the vendor's completion window.
            again (bool): whether this may have been done before; then it is looked for first.

        Raises:
            ProviderStopError: it cannot be had, or the vendor declined it.
        """
        body = {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": window}
        maybe_there = again

        def send():
            nonlocal maybe_there
            if maybe_there and (found := self.find(file_id)):
                return found
            before, maybe_there = maybe_there, True  # the answer to this request may get lost
            response = self._http.post("/batches", json=body)
            maybe_there = before or not _definite(response.status_code)
            return response

        try:
            return self._field(self._call(send), "id")
        except _Declined as refusal:
            # Where the list cannot be had either, its refusal leaves here: nobody knows then.
            if maybe_there and (found := self.find(file_id)):
                return self._field(found, "id")
            raise _NothingAccepted(refusal) from None

    def find(self, file_id):
        """The job of an uploaded file as the vendor describes it, a dict, or None."""
        after = None
        while True:
            query = {"input_file_ids": file_id, "limit": 100, **({"after": after} if after else {})}
            content = self._call(lambda query=query: self._http.get("/batches", params=query))
            entries = content.get("data") or []
            for entry in entries:
                if entry.get("input_file_id") == file_id:
                    return entry
            if not content.get("has_more") or not entries:
                return None
            after = entries[-1].get("id")

    def show(self, batch_id):
        """A job's state, a dict."""
        return self._call(lambda: self._http.get(f"/batches/{batch_id}"))

    def download(self, file_id, path):
        """Writes a result file to ``path``.

        Raises:
            CacheError: it cannot be written.
            ProviderStopError: it cannot be had.
        """

        def send():
            with self._http.stream("GET", f"/files/{file_id}/content") as response:
                if response.status_code != 200:
                    response.read()
                    return response
                with open(path, "wb") as file:
                    for block in response.iter_bytes():
                        file.write(block)
            return {}

        try:
            self._call(send)
        except OSError as error:
            raise CacheError(
                f"The result file {path} cannot be written ({error}); the batch job is over and remembered: "
                "free some space, or check the permissions, and run the same command again."
            ) from error

    def _field(self, content, name):
        value = content.get(name)
        if not isinstance(value, str) or not value:
            raise ProviderStopError(f"DashScope's batch service answered without an {name}.")
        return value

    def _call(self, send):
        """The decoded answer of an HTTP exchange that is tried again when that can help."""
        import httpx

        for attempt in range(1, self._settings.tries + 1):
            failure = None
            try:
                response = send()
            except httpx.TransportError as error:
                failure = TransientFailure(f"connection lost ({type(error).__name__})")
            else:
                if isinstance(response, dict):
                    return response
                content = decoded(response)
                if response.status_code == 200 and isinstance(content, dict):
                    return content
                failure = self._failure(response.status_code, content)
            if isinstance(failure, ProviderStopError):
                raise failure
            if attempt < self._settings.tries:
                time.sleep(backoff(attempt, self._random, self._settings.backoff))
        raise ProviderStopError(
            f"DashScope's batch service cannot be reached ({failure}); jobs that are under way are "
            "remembered, so try the same command later."
        )

    def _failure(self, status, content):
        """What an answer that is none means: a TransientFailure, or a ProviderStopError to be raised."""
        if status == 200:
            return TransientFailure("unreadable answer")
        provider = "DashScope's batch service"
        code, message = map(self.scrub, error_of(content))
        failure = chat_failure(provider, status, code, message, fatal=FATAL + _FATAL_HERE.get(status, ()))
        if isinstance(failure, TransientFailure):
            return failure
        if not isinstance(failure, ProviderStopError):
            failure = ProviderStopError(f"{provider}: {failure}.")
        return _Declined(str(failure), status) if _definite(status) else failure


def _definite(status):
    """Whether an HTTP status says that a request was understood and not carried out."""
    return 400 <= status < 500 and status not in _PASSES


def _client(httpx, address, **options):
    """An HTTP client; httpx reads proxies and certificates from the environment, and may not like them.

    Raises:
        SettingError: without the values, which may hold a password.
    """
    try:
        httpx.URL(address)
    except httpx.InvalidURL as error:
        raise SettingError(f"DASHSCOPE_COMPATIBLE_BASE_URL is no address: {error}.") from None
    try:
        return httpx.Client(base_url=address, **options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        names = ", ".join(sorted(name for name in os.environ if name.lower() in _PROXIES))
        advice = (
            "a SOCKS proxy needs one more package, pip install 'httpx[socks]'"
            if isinstance(error, ImportError)
            else "write it as http://host:port, https://host:port or socks5://host:port"
        )
        raise SettingError(
            f"The proxy in {names or 'the system settings'} cannot be used: {advice}; or unset it."
        ) from None
    except OSError as error:
        raise SettingError(
            f"The certificates in the environment (SSL_CERT_FILE, SSL_CERT_DIR) cannot be read ({error}): "
            "mend or unset the variable."
        ) from None


# Operations on the cache's file; each runs in a transaction of its writing thread.


def _make_job(cache, connection, job, keys):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    connection.execute("INSERT INTO jobs VALUES (?, 'open', NULL, NULL, ?)", (job, now))
    connection.executemany("INSERT INTO job_keys VALUES (?, ?)", [(key, job) for key in keys])
    connection.executemany("DELETE FROM claims WHERE key = ?", [(key,) for key in keys])


def _set(cache, connection, job, column, value):
    if column not in ("file_id", "batch_id"):
        raise sqlite3.ProgrammingError(f"no column {column}")
    connection.execute(f"UPDATE jobs SET {column} = ? WHERE job = ?", (value, job))


def _job(cache, connection, job):
    return connection.execute("SELECT file_id, batch_id FROM jobs WHERE job = ?", (job,)).fetchone()


def _keys(cache, connection, job):
    return [row[0] for row in connection.execute("SELECT key FROM job_keys WHERE job = ?", (job,))]


def _jobs_of(cache, connection, keys):
    """(key, job) of those keys that are part of an open job."""
    query = "SELECT key, job FROM job_keys WHERE key = ?"
    return [row for key in keys if (row := connection.execute(query, (key,)).fetchone())]


def _open_jobs(cache, connection):
    return connection.execute("SELECT job FROM jobs").fetchall()


def _close_job(cache, connection, job):
    connection.execute("DELETE FROM job_keys WHERE job = ?", (job,))
    connection.execute("DELETE FROM jobs WHERE job = ?", (job,))
