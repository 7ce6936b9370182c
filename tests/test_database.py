import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from recbole_sam import database
from recbole_sam.database import open_shared


def test_a_file_that_another_one_writes_for_the_first_time_is_waited_for(tmp_path):
    path = tmp_path / "a.sqlite3"
    first = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    first.execute("CREATE TABLE things (name TEXT)")
    first.execute("BEGIN IMMEDIATE")  # the lock under which SQLite refuses the change of mode at once
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(open_shared, path, check_same_thread=False)
        assert wait([opened], timeout=0.3).not_done
        first.execute("COMMIT")
        opened.result().close()
    first.close()


def test_the_file_is_in_write_ahead_mode(tmp_path):
    connection = open_shared(tmp_path / "a.sqlite3")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_file_that_stays_locked_is_given_up_in_the_end(tmp_path, monkeypatch):
    path = tmp_path / "a.sqlite3"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.2)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        open_shared(path)
    holder.close()


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "a.sqlite3"
    path.write_text("no database at all, but a text of some length\n" * 20)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        open_shared(path)
