"""DashScope's batch service: half the price, within a day instead of a second.

Prompts are written to request files, submitted as jobs, and their results collected into the same
cache, under the same keys, as live calls. A job is remembered before it is sent, with the prompts
in it, so that a restart goes on where the last run was, and no other process asks those prompts:

    file on disk -> job and its prompts in the cache -> uploaded -> created -> polled -> collected

A crash between "create this job" and "it has been created" leaves open whether the vendor has it.
The vendor's list of jobs knows: it is searched for our input file before a job is created a second
time.

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
from itertools import islice
from pathlib import Path

import filelock

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
            ProviderStopError: no key, or the service declines every job.
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
        self._reserved = {}
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
            for job in jobs:
                self._jobs.start(job)
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

    def _submit(self):
        """Makes jobs of all prompts that nobody is asking; returns the jobs to wait for."""
        self._limit = None  # what an earlier round could not afford, this one may
        jobs, others, lines = {}, False, {}
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
                    jobs[self._jobs.make(lines)] = None
                    lines = {}
        if lines:
            jobs[self._jobs.make(lines)] = None
        return list(jobs), others

    def _admit(self, key, prompt, user, k):
        limit = self.settings.max_users
        if limit is not None and user not in self._paid_users:
            if len(self._paid_users) >= limit:
                self._limit = f"llm_max_users ({limit:,})"
                return False
            self._paid_users.add(user)
        tokens = self._counter.count(prompt)
        if not self.spending.reserve(tokens):
            self._limit = f"llm_max_cost ({self.settings.max_cost})"
            return False
        if self.settings.max_cost is not None:
            self._reserved[key] = tokens
        self.report.expect(tokens, TOKENS_PER_PHRASE * k)
        return True

    def _wait(self, job):
        """Waits for one job and takes its results over."""
        while (results := self._jobs.collect(job)) is None:
            time.sleep(self.settings.batch_poll)
        for key, failure, used in results:
            tokens = self._reserved.pop(key, None)
            if tokens is None:  # submitted by an earlier run
                self.spending.input_tokens += used[0]
                self.spending.output_tokens += used[1]
            else:
                self.spending.settle(tokens, *used)
            if failure is None or isinstance(failure, RefusedFailure):
                self.report.asked += 1
            if failure is not None:
                self._note(key, failure)

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

    def start(self, job):
        """Uploads and creates the job, or finds out that this has been done."""
        with self._lock(job):
            row = self._row(job)
            if row is None or row[1]:
                return
            file_id, _ = row
            again = file_id is not None
            if not again:
                if not self._requests(job).exists():
                    self._cache.call(_close_job, job).result()
                    raise CacheError(
                        f"The request file {self._requests(job)} of a batch job that was never sent is "
                        "gone; its prompts are free again. Run the same command once more."
                    )
                file_id = self._service.upload(self._requests(job))
                self._cache.call(_set, job, "file_id", file_id).result()
            batch_id = self._service.create(file_id, self._settings.batch_window, again)
            self._cache.call(_set, job, "batch_id", batch_id).result()
            logger.info("batch job %s submitted", batch_id)

    def collect(self, job):
        """The results of a job that is over, kept in the cache, and the job forgotten.

        Returns:
            list or None: (key, failure or None, (input tokens, output tokens)) of each prompt; None
            while the job is being worked on. Empty when another process has collected it.

        Raises:
            ProviderStopError: the vendor declined the whole job; its prompts are free again.
        """
        with self._lock(job):
            row = self._row(job)
            if row is None:
                return []
            if row[1] is None:
                raise ProviderStopError(
                    f"Batch job {job} was never submitted; run the command again."
                )
            state = self._service.show(row[1])
            status = state.get("status")
            if status not in _OVER:
                logger.info("batch job %s: %s", row[1], status)
                return None
            keys = dict.fromkeys(self._cache.call(_keys, job).result())
            results = []
            for kind in ("output_file_id", "error_file_id"):
                if state.get(kind):
                    path = self._folder / f"{job}.{kind}"
                    self._service.download(state[kind], path)
                    results += self._read(path, keys)
                    path.unlink()
            self._cache.call(_close_job, job).result()
            for path in self._folder.glob(f"{job}.*"):
                path.unlink(missing_ok=True)
        if status == "failed" and not results:
            errors = (state.get("errors") or {}).get("data") or [{}]
            raise ProviderStopError(
                f"DashScope declined batch job {row[1]} ({errors[0].get('code', '')}: "
                f"{errors[0].get('message', 'no reason given')}); nothing was charged. Check llm_model "
                "and whether it is offered for batches in the endpoint's region."
            )
        nothing = TransientFailure(f"no result in a batch job that ended as {status}")
        return results + [(key, nothing, (0, 0)) for key in keys]

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

    def _row(self, job):
        return self._cache.call(_job, job).result()

    def _requests(self, job):
        return self._folder / f"{job}.jsonl"

    def _lock(self, job):
        return filelock.FileLock(self._folder / f"{job}.lock", thread_local=False)


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
    """

    def __init__(self, settings):
        self._settings = settings
        self._random = random.Random()
        httpx = http_library("dashscope")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._key = find_key()
        self._http = httpx.Client(
            base_url=sdk().base_compatible_api_url.rstrip("/"),
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
        """Sends a request file and returns its id. Sending one twice costs nothing."""

        def send():
            with open(path, "rb") as file:
                return self._http.post(
                    "/files", data={"purpose": "batch"}, files={"file": (Path(path).name, file)}
                )

        return self._field(self._call(send), "id")

    def create(self, file_id, window, again=False):
        """Creates the job of an uploaded file and returns its id.

        Args:
            file_id (str): of the request file.
            window (str): the vendor's completion window.
            again (bool): whether this may have been done before; then it is looked for first.
        """
        body = {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": window}
        maybe_there = again

        def send():
            nonlocal maybe_there
            found = self.find(file_id) if maybe_there else None
            maybe_there = True  # from here on: the answer to the request below may get lost
            return found or self._http.post("/batches", json=body)

        return self._field(self._call(send), "id")

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
                code, message = error_of(content)
                failure = (
                    TransientFailure("unreadable answer")
                    if response.status_code == 200
                    else chat_failure(
                        "DashScope's batch service",
                        response.status_code,
                        self.scrub(code),
                        self.scrub(message),
                    )
                )
            if isinstance(failure, ProviderStopError):
                raise failure
            if not isinstance(failure, TransientFailure):
                raise ProviderStopError(f"DashScope's batch service: {failure}.")
            if attempt < self._settings.tries:
                time.sleep(backoff(attempt, self._random, self._settings.backoff))
        raise ProviderStopError(
            f"DashScope's batch service cannot be reached ({failure}); jobs that are under way are "
            "remembered, so try the same command later."
        )


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


def _open_jobs(cache, connection):
    return connection.execute("SELECT job FROM jobs").fetchall()


def _close_job(cache, connection, job):
    connection.execute("DELETE FROM job_keys WHERE job = ?", (job,))
    connection.execute("DELETE FROM jobs WHERE job = ?", (job,))
