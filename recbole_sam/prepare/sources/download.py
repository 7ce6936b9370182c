"""Fetching a published file into a cache: resumed where it broke off, checked before it is used."""

import email.utils
import gzip
import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from recbole_sam.errors import DataError

ATTEMPTS = 5
"""Connections tried for one address once it has answered; each goes on where the last broke off."""

_BLOCK = 1 << 18


class Remote(NamedTuple):
    """A published file.

    Attributes:
        urls: its addresses, mirrors of one file, tried in order.
        md5: its checksum where the publisher gives one, else None.
        lines: how many lines the publisher says it has, else None.
    """

    urls: tuple
    md5: str | None = None
    lines: int | None = None

    @property
    def name(self):
        """str: the file's name, the last part of its address."""
        return self.urls[0].rpartition("/")[2]


class FetchError(Exception):
    """One address did not give the file; the text says why."""


def cache_folder():
    """pathlib.Path: ``$XDG_CACHE_HOME/recbole-sam``, by default below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recbole-sam"


def fetch(remote, folder, timeout=30, pause=1.0, report=lambda done, total: None):
    """The file in the cache, fetched first if it is not there.

    What arrives is checked: against the published MD5 where there is one; always against the size
    the server announced; and a .gz or .zip is unpacked once to see that it is whole. Only then does
    it get its name; before, it is called ``<name>.part``, and a later call goes on from there (if
    the server says that the file is still the same one).

    Args:
        remote (Remote): what to fetch.
        folder (pathlib.Path): the cache.
        timeout (float): seconds without a sign of life before a connection counts as dead.
        pause (float): seconds before the second attempt, doubled after each further one.
        report (callable): told the bytes that are there and the total (None if unknown).

    Returns:
        pathlib.Path: the whole, checked file.

    Raises:
        FetchError: no address gave the file; says what happened at each.
        DataError: the cache cannot be written.
    """
    path = folder / remote.name
    if path.is_file():
        return path
    why = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for url in remote.urls:
            part = folder / f"{remote.name}.part"
            try:
                _fetch(url, part, timeout, pause, report)
                _check(part, remote)
            except FetchError as error:
                why.append(f"{url}: {error}")
                continue
            part.rename(path)
            _origin(part).unlink(missing_ok=True)
            return path
    except OSError as error:
        raise DataError(f"The cache {folder} cannot be written ({error.strerror}).") from error
    raise FetchError("; ".join(why))


def _fetch(url, part, timeout, pause, report):
    """Brings ``part`` to the announced size, over several connections if need be."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            if _continue(url, part, timeout, report):
                return
            why = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise FetchError(f"the server answers {error.code} {error.reason}") from None
            why = f"the server answers {error.code} {error.reason}"
        except urllib.error.URLError as error:
            why = f"no connection ({error.reason})"
            if not part.is_file():
                raise FetchError(why) from None  # offline or blocked: trying again is no use
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            why = f"the connection was cut ({error})"
    raise FetchError(f"{why} ({ATTEMPTS} attempts)")


def _continue(url, part, timeout, report):
    """One connection; true when the file is complete after it."""
    request = urllib.request.Request(url, headers={"User-Agent": "recbole-sam"})
    origin = _origin(part)
    there = part.stat().st_size if part.is_file() and origin.is_file() and origin.stat().st_size else 0
    if there:
        # If-Range: the server sends the rest only of the very same file, else all of it.
        request.add_header("Range", f"bytes={there}-")
        request.add_header("If-Range", origin.read_text(encoding="latin-1").splitlines()[0])
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        part.unlink()  # we have more than the server: not the same file
        return False
    with answer:
        resumed = answer.status == 206
        announced = answer.headers.get("Content-Length")
        done = there if resumed else 0
        total = done + int(announced) if announced and announced.isdecimal() else None
        version = _version(answer.headers)
        if version:
            origin.write_text(version, encoding="utf-8")
        else:
            origin.unlink(missing_ok=True)
        with open(part, "ab" if resumed else "wb") as file:
            while block := _read(answer):
                file.write(block)
                done += len(block)
                report(done, total)
    return total is None or done == total


def _read(answer):
    try:
        return answer.read1(_BLOCK)
    except http.client.IncompleteRead:
        return b""  # _continue sees that bytes are missing


def _version(headers):
    """What the server calls this version of the file, if it is strong enough to resume by."""
    tag = headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    changed = headers.get("Last-Modified")
    return changed if changed and email.utils.parsedate(changed) else None


def _origin(part):
    return part.with_name(part.name + ".origin")


def _check(part, remote):
    problem = None
    if remote.md5 is not None:
        digest = hashlib.md5(usedforsecurity=False)
        with open(part, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != remote.md5:
            problem = f"its MD5 is {digest.hexdigest()}, published is {remote.md5}"
    elif remote.name.endswith(".gz"):
        problem = _gzip_problem(part)
    elif remote.name.endswith(".zip") and not zipfile.is_zipfile(part):
        problem = "it is not a zip archive"
    if problem:
        part.unlink()
        _origin(part).unlink(missing_ok=True)
        raise FetchError(f"the file arrived, but {problem}")


def _gzip_problem(part):
    try:
        with gzip.open(part) as file:
            shutil.copyfileobj(file, _Nowhere(), 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return f"it is no whole gzip file ({error})"
    return None


class _Nowhere:
    """A file that forgets what is written to it."""

    def write(self, data):
        return len(data)
