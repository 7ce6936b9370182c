import multiprocessing
import sqlite3
import time

import pytest

from recbole_sam.interests import database
from recbole_sam.interests.database import open_shared


def open_at(path, moment, told):
    """Opens all of the files at the same moment as the other process, one after the other."""
    time.sleep(max(0, moment - time.time()))
    try:
        for index in range(40):
            open_shared(path / f"{index}.sqlite3").close()
        told.put("opened")
    except sqlite3.Error as error:
        told.put(str(error))


def test_processes_that_make_the_file_at_once_wait_for_each_other(tmp_path):
    fresh = multiprocessing.get_context("spawn")
    told = fresh.SimpleQueue()
    moment = time.time() + 3
    processes = [fresh.Process(target=open_at, args=(tmp_path, moment, told)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [told.get() for _ in processes] == ["opened"] * 4
    for process in processes:
        process.join()


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
