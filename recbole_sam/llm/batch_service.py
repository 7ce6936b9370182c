"""The HTTP side of DashScope's batch service: files, jobs, results.

Protocol: https://www.alibabacloud.com/help/en/model-studio/batch-interfaces-compatible-with-openai
"""

import random
import time
from datetime import datetime, timezone
from pathlib import Path

from recbole_sam.errors import SettingError
from recbole_sam.files import open_private
from recbole_sam.llm.dashscope import FATAL, find_key, sdk
from recbole_sam.llm.failures import CacheError, ProviderStopError, TransientFailure
from recbole_sam.llm.http import decoded, http_client, http_library
from recbole_sam.llm.openai import chat_failure
from recbole_sam.llm.replies import embedded_error, error_of, redirected
from recbole_sam.llm.scrub import scrub, scrub_answer
from recbole_sam.llm.throttle import Patience, backoff, retry_after

ENDPOINT = "/v1/chat/completions"
_PASSES = (408, 409, 425, 429)
"""4xx that say nothing about the request itself."""
_NAME = "DashScope's batch service"
_FATAL_HERE = {404: (("", "check the endpoint, DASHSCOPE_COMPATIBLE_BASE_URL."),)}


class DeclinedError(ProviderStopError):
    """The service answered a request with a definite no.

    Args:
        sentence (str): for the user, without the key.
        status (int): of HTTP.
    """

    def __init__(self, sentence, status):
        super().__init__(sentence)
        self.status = status


class NothingAcceptedError(ProviderStopError):
    """A definite no, and the vendor holds no job: nothing can have been paid for."""

    def __init__(self, refusal):
        super().__init__(f"{refusal} This job was not submitted; its prompts are free again.")


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
        self._patience = Patience(settings.max_wait, _NAME)
        httpx = http_library("dashscope")
        self._key = find_key()
        address = sdk().base_compatible_api_url.rstrip("/")
        try:
            httpx.URL(address)
        except httpx.InvalidURL as error:
            raise SettingError(f"DASHSCOPE_COMPATIBLE_BASE_URL is no address: {error}.") from None
        self._http = http_client(
            httpx.Client,
            base_url=address,
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

    def scrub_answer(self, text):
        """A model's answer without the key."""
        return scrub_answer(text, self._key)

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
        except DeclinedError as refusal:
            raise NothingAcceptedError(refusal) from None

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
        except DeclinedError as refusal:
            # Where the list cannot be had either, its refusal leaves here: nobody knows then.
            if maybe_there and (found := self.find(file_id)):
                return self._field(found, "id")
            raise NothingAcceptedError(refusal) from None

    def find(self, file_id):
        """The job of an uploaded file as the vendor describes it, a dict, or None."""
        after = None
        while True:
            query = {"input_file_ids": file_id, "limit": 100, **({"after": after} if after else {})}
            content = self._call(lambda query=query: self._http.get("/batches", params=query))
            entries = content.get("data") or []
            entries = entries if isinstance(entries, list) else []
            entries = [entry for entry in entries if isinstance(entry, dict)]
            for entry in entries:
                if entry.get("input_file_id") == file_id:
                    return entry
            last = entries[-1].get("id") if entries else None
            if not content.get("has_more") or last in (None, after):
                return None
            after = last

    def show(self, batch_id):
        """A job's state as the vendor describes it, a dict."""
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
                with open_private(path, "wb") as file:
                    for line in _lines(response.iter_bytes()):
                        file.write(self.scrub_answer(line.decode("utf-8", "replace")).encode())
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
        if not isinstance(value, str) or not value or self.scrub(value) != value:  # we keep and show it
            raise ProviderStopError(f"{_NAME} answered without an {name} that can be used.")
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
            except httpx.DecodingError:
                failure = TransientFailure("unreadable answer")
            else:
                if isinstance(response, dict):
                    return response
                content = decoded(response)
                found = embedded_error(content) if response.status_code == 200 else None
                if response.status_code == 200 and isinstance(content, dict) and found is None:
                    return content
                failure = self._failure(response, content, found)
            if isinstance(failure, ProviderStopError):
                raise failure
            wait = self._patience.check(failure.retry_after, str(failure))
            if attempt < self._settings.tries:
                time.sleep(max(wait, backoff(attempt, self._random, self._settings.backoff)))
        raise ProviderStopError(
            f"DashScope's batch service cannot be reached ({failure}); jobs that are under way are "
            "remembered, so try the same command later."
        )

    def _failure(self, response, content, error):
        """What an answer that is none means: a TransientFailure, or a ProviderStopError to be raised."""
        status = response.status_code
        if 300 <= status < 400:
            target = self.scrub(response.headers.get("Location", ""))
            advice = "set DASHSCOPE_COMPATIBLE_BASE_URL to the address that answers."
            return redirected(_NAME, status, str(response.request.url), target, advice)
        if 200 <= status < 300 and error is None:
            return TransientFailure("unreadable answer")
        definite = error is None and _definite(status)  # after a good status it is open what was done
        status, code, message = error or (status, *error_of(content))
        code, message = self.scrub(code), self.scrub(message)
        wait = retry_after(response.headers, datetime.now(timezone.utc))
        failure = chat_failure(_NAME, status, code, message, wait, FATAL + _FATAL_HERE.get(status, ()))
        if isinstance(failure, TransientFailure):
            return failure
        if not isinstance(failure, ProviderStopError):
            failure = ProviderStopError(f"{_NAME}: {failure}.")
        return DeclinedError(str(failure), status) if definite else failure


def _lines(blocks):
    """The lines in blocks of bytes, each with its end."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _definite(status):
    """Whether an HTTP status says that a request was understood and not carried out."""
    return 400 <= status < 500 and status not in _PASSES
