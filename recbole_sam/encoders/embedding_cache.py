"""Text embeddings that were computed once, kept on disk by content."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from recbole_sam.database import open_shared
from recbole_sam.files import private_folder
from recbole_sam.llm.failures import CacheError

BLOCK = 1024  # texts computed and kept at a time: what a crash can lose
LOOK_UP = 500  # keys a query, below SQLite's limit of variables


class CachedEncoder:
    """A text encoder that computes each text once, whatever the dataset or the run.

    One SQLite file for each encoder, named after the hash of its fingerprint (which holds the hash of its
    weights), so another model, pooling or precision never meets these vectors. Processes may share it.

    Args:
        encoder (TextEncoder): one whose vectors depend on nothing but its fingerprint and the text.
        folder (str or Path): where the file is kept; made when it is missing.

    Raises:
        CacheError: the file cannot be used; on first use.
    """

    def __init__(self, encoder, folder):
        self._encoder = encoder
        content = json.dumps(encoder.fingerprint(), sort_keys=True).encode()
        self.path = Path(folder) / f"embeddings-{hashlib.sha256(content).hexdigest()[:16]}.sqlite3"

    @property
    def name(self):
        """The encoder's own."""
        return self._encoder.name

    def fingerprint(self):
        """The encoder's own: keeping vectors does not change them."""
        return self._encoder.fingerprint()

    def fit(self, texts):
        """Passes the titles on; returns itself."""
        self._encoder.fit(texts)
        return self

    def encode(self, texts):
        """Vectors float32 [n, H], from disk where they are there."""
        keys = {text: hashlib.sha256(text.encode(errors="surrogatepass")).digest() for text in texts}
        try:
            private_folder(self.path.parent)
            with closing(open_shared(self.path)) as connection:
                vector_of = self._vectors(connection, keys)
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"The cache of text embeddings {self.path} cannot be used ({error}): repair or delete it, or "
                "set text_cache_dir to another folder."
            ) from error
        if not texts:
            return self._encoder.encode(texts)
        return np.stack([vector_of[keys[text]] for text in texts])

    def _vectors(self, connection, keys):
        """Key -> vector of every text; those that are missing are computed and kept."""
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
        )
        found = {}
        for some in batched(keys.values(), LOOK_UP):
            query = f"SELECT key, vector FROM vectors WHERE key IN ({','.join('?' * len(some))})"
            found |= {key: np.frombuffer(data, "<f4") for key, data in connection.execute(query, some)}
        missing = sorted((text for text, key in keys.items() if key not in found), key=len)
        for some in batched(missing, BLOCK):
            vectors = self._encoder.encode(list(some)).astype("<f4")
            rows = [(keys[text], vector.tobytes()) for text, vector in zip(some, vectors, strict=True)]
            with connection:  # one transaction: all of the block or nothing
                connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
            found |= {keys[text]: vector for text, vector in zip(some, vectors, strict=True)}
        return found


def batched(values, size):
    """Tuples of at most ``size`` of the values (itertools has it from Python 3.12)."""
    values = list(values)
    return [tuple(values[start : start + size]) for start in range(0, len(values), size)]
