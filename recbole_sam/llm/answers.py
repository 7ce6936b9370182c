"""Answers that have been paid for, kept for good.

One SQLite file in write-ahead mode, keyed by everything that shapes an answer. An answer is on disk
before anybody hears of it. A prompt is *claimed* before it is asked, so that two processes on the
same cache never ask the same prompt; a claim dies with its process, whichever way that ends,
because it is worth only as much as a file lock that the operating system drops.

SQLite's write-ahead mode needs shared memory: all processes on one cache run on one machine.
"""

import hashlib
import json
import queue
import sqlite3
import threading
import time
import uuid
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import filelock

from recbole_sam.database import open_shared
from recbole_sam.files import private_folder
from recbole_sam.llm.failures import CacheError

FILE_NAME = "answers.sqlite3"
SCHEMA_VERSION = 1

# What SQLite says of one value that it cannot keep, not of its file.
_OF_AN_ENTRY = sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.DataError

MINE = "mine"
"""A claim of ours: nobody else asks this prompt until we store an answer or release it."""
THEIRS = "theirs"
"""Another live process has claimed this prompt; look again soon."""

_SCHEMA = """
CREATE TABLE answers (
    key TEXT PRIMARY KEY, refused INTEGER NOT NULL, text TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, prompt_version TEXT NOT NULL,
    stored_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX claims_of_owner ON claims (owner);
CREATE TABLE jobs (
    job TEXT PRIMARY KEY, state TEXT NOT NULL, file_id TEXT, batch_id TEXT, created_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE job_keys (key TEXT PRIMARY KEY, job TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX keys_of_job ON job_keys (job);
"""


class InBatch(NamedTuple):
    """The prompt is part of a batch job that the provider is working on."""

    job: str


class CachedAnswer(NamedTuple):
    """What a provider said to one prompt."""

    text: str
    """The raw answer, without the end that a token limit left unfinished; or the reason when ``refused``."""
    refused: bool
    input_tokens: int
    output_tokens: int


class AskedOf(NamedTuple):
    """Whom a prompt is put to; with the prompt itself, all that shapes the answer."""

    provider: str
    model: str
    parameters: dict
    """JSON-able: temperature and the like."""
    prompt_version: str

    def key(self, prompt):
        """The cache key of one exact prompt: SHA-256 in 64 hexadecimal digits."""
        whole = json.dumps([*self, prompt], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(whole.encode("ascii")).hexdigest()


class AnswerCache:
    """The cache in one folder; shareable between datasets, models, runs and processes.

    All writes go through one thread that commits whatever has gathered as one transaction, so a
    thousand waiting answers cost one disk flush. Close it, or use it as a context manager.

    Args:
        folder (str or Path): created when missing.

    Raises:
        CacheError: the folder cannot be written, or the file is not a cache of this version.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / FILE_NAME
        self._owner = uuid.uuid4().hex
        self._closed = False
        self._broken = None
        try:
            private_folder(self.folder)
            private_folder(self.folder / "owners")
            self._life = filelock.FileLock(self._life_file(self._owner), thread_local=False)
            self._life.acquire(blocking=False)
            self._write = self._connect()
            self._prepare()
            self._sweep()
            self._read = self._connect()
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        self._read_lock = threading.Lock()
        self._inbox = queue.SimpleQueue()
        self._gate = threading.Lock()  # nothing is put into an inbox that nobody empties any more
        self._thread = threading.Thread(target=self._serve, name="answer-cache", daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Finishes the pending writes and gives up this process's claims."""
        if self._closed:
            return
        self._closed = True
        with self._gate:
            if self._broken is None:
                self._inbox.put(None)
        self._thread.join()
        self._write.close()
        self._read.close()
        self._life.release()
        self._life_file(self._owner).unlink(missing_ok=True)

    def get(self, key):
        """The stored answer.

        Args:
            key (str): from :meth:`AskedOf.key`.

        Returns:
            CachedAnswer or None: None when this prompt has not been answered.
        """
        with self._read_lock:
            try:
                return _fetch(self._read, key)
            except sqlite3.Error as error:
                raise self._error(error) from error

    def claim(self, key):
        """Asks for the right to ask a prompt.

        Args:
            key (str): from :meth:`AskedOf.key`.

        Returns:
            Future: of a :class:`CachedAnswer`, :class:`InBatch`, :data:`MINE` or :data:`THEIRS`.
        """
        return self._submit(_claim, key)

    def store(self, key, asked_of, answer):
        """Keeps an answer and drops the claim on it. Stored answers never change.

        Args:
            key (str): the prompt's key.
            asked_of (AskedOf): for the reader of the file; never holds a secret.
            answer (CachedAnswer): what came back.

        Returns:
            Future: done when the answer is on disk.
        """
        return self._submit(_store, key, asked_of, answer)

    def release(self, key):
        """Gives up a claim without an answer. Returns a Future."""
        return self._submit(_release, key)

    def count(self):
        """How many answers there are."""
        with self._read_lock:
            return self._read.execute("SELECT COUNT(*) FROM answers").fetchone()[0]

    def call(self, operation, *arguments):
        """Runs ``operation(cache, connection, *arguments)`` in the next transaction; a Future."""
        return self._submit(operation, *arguments)

    def owner_lives(self, owner):
        """Whether the process behind a claim is still there."""
        if owner == self._owner:
            return True
        path = self._life_file(owner)
        if not path.exists():
            return False
        lock = filelock.FileLock(path, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return True
        lock.release()
        path.unlink(missing_ok=True)
        return False

    @property
    def owner(self):
        """The name under which this cache object claims prompts."""
        return self._owner

    def _life_file(self, owner):
        return self.folder / "owners" / f"{owner}.lock"

    def _connect(self):
        connection = open_shared(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _prepare(self):
        self._write.execute("BEGIN IMMEDIATE")
        version = self._write.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._write.execute(statement)
            self._write.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._write.execute("COMMIT")
        if version not in (0, SCHEMA_VERSION):
            raise CacheError(
                f"The answer cache {self.path} has format {version}; this version of recbole-sam "
                f"reads format {SCHEMA_VERSION}. Use another llm_cache_dir."
            )

    def _sweep(self):
        """Removes what killed processes left behind; young files may be about to be locked."""
        for path in (self.folder / "owners").glob("*.lock"):
            try:
                age = time.time() - path.stat().st_mtime
            except FileNotFoundError:
                continue
            if age > 60 and not self.owner_lives(path.stem):
                self._write.execute("DELETE FROM claims WHERE owner = ?", (path.stem,))

    def _submit(self, operation, *arguments):
        if self._closed:
            raise CacheError(f"The answer cache {self.path} is closed already.")
        future = Future()
        with self._gate:
            if self._broken is not None:
                raise self._broken
            self._inbox.put((future, operation, arguments))
        return future

    def _serve(self):
        """The writer: one transaction for everything that has gathered since the last one."""
        going = True
        try:
            while going:
                batch = [self._inbox.get()]
                while not self._inbox.empty():
                    batch.append(self._inbox.get())
                going = None not in batch
                self._commit([entry for entry in batch if entry is not None], closing=not going)
        except BaseException as error:  # whatever ends this thread: nobody may wait for it any more
            self._break(error)

    def _break(self, error):
        """Fails whatever waits for the writer, and whatever comes later."""
        with self._gate:
            self._broken = self._error(error)
            self._broken.__cause__ = error
            while not self._inbox.empty():
                entry = self._inbox.get()
                if entry is not None and entry[0].set_running_or_notify_cancel():
                    entry[0].set_exception(self._broken)

    def _commit(self, batch, closing):
        outcomes, problem = [], self._error(RuntimeError("the writing thread ended"))
        try:
            self._write.execute("BEGIN IMMEDIATE")
            outcomes = [self._apply(operation, given) for _, operation, given in batch]
            if closing:
                self._write.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
            self._write.execute("COMMIT")
            problem = None
        except Exception as error:
            problem = self._error(error)
            problem.__cause__ = error
        finally:
            # Also when this thread ends here: whoever waits for one of these futures must hear of it.
            for index, (future, _, _) in enumerate(batch):
                if not future.set_running_or_notify_cancel():
                    continue
                result, wrong = (None, problem) if problem is not None else outcomes[index]
                if wrong is None:
                    future.set_result(result)
                else:
                    future.set_exception(wrong)
            if self._write.in_transaction:
                self._write.execute("ROLLBACK")

    def _apply(self, operation, given):
        """One operation's result and None, or None and what was wrong with it; the others are not undone."""
        self._write.execute("SAVEPOINT operation")
        try:
            result = operation(self, self._write, *given)
        except Exception as error:
            if not self._write.in_transaction:  # SQLite has given up the whole of it: a full disk, say
                raise
            self._write.execute("ROLLBACK TO operation")
            self._write.execute("RELEASE operation")
            wrong = self._error(error)
            wrong.__cause__ = error
            return None, wrong
        self._write.execute("RELEASE operation")
        return result, None

    def _error(self, error):
        if isinstance(error, CacheError):
            return error
        if isinstance(error, _OF_AN_ENTRY) or not isinstance(error, sqlite3.Error | OSError):
            return CacheError(
                f"Something cannot be kept in the answer cache {self.path} ({_named(error)}). What was "
                "answered before is kept: run the same command again, and report this if it comes back."
            )
        return CacheError(
            f"The answer cache {self.path} cannot be used ({error}); free some space, check the "
            "permissions, or set llm_cache_dir to another folder."
        )


def _named(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _fetch(connection, key):
    row = connection.execute(
        "SELECT text, refused, input_tokens, output_tokens FROM answers WHERE key = ?", (key,)
    ).fetchone()
    return None if row is None else CachedAnswer(row[0], bool(row[1]), row[2], row[3])


def _claim(cache, connection, key):
    found = _fetch(connection, key)
    if found is not None:
        return found
    row = connection.execute("SELECT job FROM job_keys WHERE key = ?", (key,)).fetchone()
    if row is not None:
        return InBatch(row[0])
    row = connection.execute("SELECT owner FROM claims WHERE key = ?", (key,)).fetchone()
    if row is not None and row[0] != cache.owner:
        if cache.owner_lives(row[0]):
            return THEIRS
        connection.execute("DELETE FROM claims WHERE owner = ?", row)
    connection.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (key, cache.owner))
    return MINE


def _store(cache, connection, key, asked_of, answer):
    connection.execute(
        "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (
            key, answer.refused, answer.text, answer.input_tokens, answer.output_tokens,
            asked_of.provider, asked_of.model, asked_of.prompt_version,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        ),
    )  # fmt: skip
    connection.execute("DELETE FROM claims WHERE key = ?", (key,))


def _release(cache, connection, key):
    connection.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, cache.owner))
