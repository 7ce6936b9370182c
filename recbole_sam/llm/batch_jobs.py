"""DashScope's batch jobs, each remembered in the cache from before it is sent until it is collected."""

import json
import logging
import os
import sqlite3
import time
import uuid
from contextlib import contextmanager

import filelock

from recbole_sam.files import open_private, private_folder
from recbole_sam.llm.answers import CachedAnswer
from recbole_sam.llm.batch_service import ENDPOINT, DeclinedError, NothingAcceptedError
from recbole_sam.llm.failures import (
    CacheError,
    ProviderStopError,
    RefusedFailure,
    TransientFailure,
    UsedFailure,
)
from recbole_sam.llm.openai import chat_failure
from recbole_sam.llm.prices import usage
from recbole_sam.llm.replies import embedded_error, error_of, read_completion

logger = logging.getLogger(__name__)

_OVER = ("completed", "expired", "failed", "cancelled")


class Jobs:
    """Batch jobs, each remembered in the cache from before it is sent until it is collected.

    Args:
        cache (AnswerCache): remembers them.
        service (Service): sends them.
        asked_of (AskedOf): model and parameters of every line.
        settings (LLMSettings): the completion window.
        report (RunReport): of the run; counts answers that are too long.
    """

    def __init__(self, cache, service, asked_of, settings, report):
        self._cache = cache
        self._service = service
        self._asked_of = asked_of
        self._settings = settings
        self._report = report
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
            private_folder(self._folder)
            with open_private(self._requests(job), "w", encoding="utf-8") as file:
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
                except NothingAcceptedError:
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
        except DeclinedError as refusal:
            raise self._in_doubt(job, f"{refusal} Whether an earlier try created the job is open.") from None

    def drop_unsent(self, job):
        """Forgets a job whose request file was not uploaded: nobody can have paid for it."""
        with self._held(job) as row:
            if row is not None and row[0] is None:
                self._forget(job)

    def collect(self, job):
        """The results of a job that is over, kept in the cache, and the job forgotten.

        Returns:
            list or None: (key, failure or None, its :func:`usage`) of each prompt; None
            while the job is being worked on. Empty when another process has collected it.

        Raises:
            ProviderStopError: the vendor declined the whole job, and its prompts are free again; or does not
                know it, and they are not.
        """
        with self._held(job) as row:
            if row is None:
                return []
            if row[1] is None:
                raise ProviderStopError(f"Batch job {job} was never submitted; run the command again.")
            try:
                state = self._service.show(row[1])
                status = state.get("status")
                if status not in _OVER:
                    logger.info("batch job %s: %s", row[1], self._service.scrub(status)[:100])
                    return None
                results, left = self._results(job, state)
            except DeclinedError as refusal:
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
        for _ in range(2):  # a lost connection can look like the end of a file
            cut_off = False
            for kind, count in (("output_file_id", "completed"), ("error_file_id", "failed")):
                if isinstance(state.get(kind), str) and state[kind]:
                    path = self._folder / f"{job}.{kind}"
                    self._service.download(state[kind], path)
                    results += self._read(path, keys)
                    cut_off = cut_off or _is_cut_off(path, state.get("request_counts"), count)
                    path.unlink()
            if not keys or not cut_off:
                return results, keys
        raise self._in_doubt(
            job,
            f"{len(keys):,} results of batch job {state.get('id')} did not arrive: the same command fetches "
            "them again, in case the connection was lost.",
        )

    def _declined_job(self, batch_id, state):
        error = state.get("errors")
        error = error.get("data") if isinstance(error, dict) else error
        error = error[0] if isinstance(error, list) and error else error
        error = error if isinstance(error, dict) else {}
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
                    known = keys.pop(key, self) is not self
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
                if not known:
                    continue
                answer, failure = read_line(entry, self._service.scrub, self._service.scrub_answer)
                if isinstance(failure, RefusedFailure):
                    stored.append((key, CachedAnswer(str(failure), True, 0, 0)))
                elif answer is not None:
                    stored.append((key, self._report.limited(answer)))
                results.append((key, failure, usage(answer or failure)))
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


def _is_cut_off(path, counts, name):
    """Whether a result file has fewer lines than the vendor counts under a name, or ends within one."""
    lines, last = 0, "{}"
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in filter(str.strip, file):
            lines, last = lines + 1, line
    count = counts.get(name) if isinstance(counts, dict) else None
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        return True
    return isinstance(count, int) and lines < count


def read_line(entry, clean=str, clean_answer=str):
    """One line of a result file.

    Args:
        entry (dict): decoded.
        clean (callable): takes what must not be shown out of the vendor's words.
        clean_answer (callable): takes it out of an answer.

    Returns:
        tuple: a CachedAnswer and None, or None and the failure.
    """
    response = entry.get("response")
    response = response if isinstance(response, dict) else {}
    status, body = response.get("status_code"), response.get("body")
    good = isinstance(status, int) and 200 <= status < 300
    error = embedded_error(body) if good else None
    if good and error is None:
        try:
            answer = read_completion(body)
        except UsedFailure as used:
            return None, used
        return answer._replace(text=clean_answer(answer.text)), None
    if error is None:
        code, message = error_of(body)
        if not code:
            code, message = error_of(entry.get("error"))
        error = status if isinstance(status, int) and status else 500, code, message
    failure = chat_failure("DashScope's batch service", error[0], clean(error[1]), clean(error[2]))
    failure.sent = good  # the vendor says that this line failed, and bills those that did not
    return None, failure


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


def jobs_of(cache, connection, keys):
    """(key, job) of those keys that are part of an open job."""
    query = "SELECT key, job FROM job_keys WHERE key = ?"
    return [row for key in keys if (row := connection.execute(query, (key,)).fetchone())]


def open_jobs(cache, connection):
    return connection.execute("SELECT job FROM jobs").fetchall()


def _close_job(cache, connection, job):
    connection.execute("DELETE FROM job_keys WHERE job = ?", (job,))
    connection.execute("DELETE FROM jobs WHERE job = ?", (job,))
