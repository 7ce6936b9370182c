"""Opening an SQLite file that several processes share."""

import sqlite3
import time

from recbole_sam.files import make_private

WAIT_SECONDS = 60
"""How long we wait for another process that has the file locked; opening may take twice that."""


def open_shared(path, **options):
    """Opens an SQLite file in write-ahead mode where its file system allows that.

    A missing one is made, readable by its owner alone; SQLite gives its log the same permissions.

    Args:
        path (str or Path): the file; its folder is there.
        **options: for :func:`sqlite3.connect`.

    Returns:
        sqlite3.Connection: one that waits up to :data:`WAIT_SECONDS` for other writers.

    Raises:
        OSError: the file cannot be made or opened.
        sqlite3.Error: the file is no database, cannot be written, or stayed locked for so long.
    """
    make_private(path)
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, **options)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return connection
        except sqlite3.OperationalError as error:
            # SQLite never waits for the lock that changing the mode needs, whatever its timeout says: two
            # processes that make the file at once would fail at once.
            if "locked" not in str(error) or time.monotonic() > deadline:
                connection.close()
                raise
            time.sleep(0.01)
        except sqlite3.Error:
            connection.close()
            raise
