"""Users on disk: a generator that answers at the end has to look at them more than once."""

import json
import tempfile
from contextlib import contextmanager, suppress

from recbole_sam.generators.base import InterestRequest
from recbole_sam.llm.failures import CacheError


class Spool:
    """All users of a run in a temporary file; iterate as often as needed, one iteration at a time.

    Use it as a context manager; the file is gone at its end, or with the process.

    Args:
        requests (iterable of InterestRequest): read once, here.

    Raises:
        CacheError: the folder of temporary files is full or cannot be written.
    """

    def __init__(self, requests):
        with _disk():
            self._file = tempfile.TemporaryFile("w+", encoding="utf-8")
        try:
            for request in requests:
                with _disk():
                    self._file.write(json.dumps(request) + "\n")
            with _disk():
                self._file.flush()
        except BaseException:
            self._close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._close()

    def __iter__(self):
        self._file.seek(0)
        for line in self._file:
            user, titles, k, rankings, apart = json.loads(line)
            yield InterestRequest(user, tuple(titles), k, tuple(map(tuple, rankings)), apart)

    def _close(self):
        with suppress(OSError):  # closing tries once more to write what could not be written
            self._file.close()


@contextmanager
def _disk():
    """Turns what the operating system refuses into one sentence."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"The users of this run cannot be kept in a temporary file ({error}); free some space, or set "
            "TMPDIR to another folder."
        ) from error
