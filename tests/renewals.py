"""What a collection's database holds of one representation and the other, looked at from outside."""

import sqlite3
import time
from contextlib import closing


def connected(collection):
    return closing(sqlite3.connect(f"file:{collection}/collection.sqlite?mode=ro", uri=True))


def fact(collection, sql):
    with connected(collection) as database:
        return database.execute(sql).fetchone()[0]


def descriptors(collection):
    """Every descriptor by its picture's content."""
    sql = "SELECT content, vector FROM pictures JOIN descriptors ON picture = id"
    with connected(collection) as database:
        return dict(database.execute(sql))


def await_rows(collection, count, running):
    """Waits until so many new descriptors are permanent; False if the run has ended before."""
    until = time.monotonic() + 60
    while fact(collection, "SELECT count(*) FROM refit") < count:
        if running.poll() is not None:
            return False
        assert time.monotonic() < until
        time.sleep(0.0005)
    return True
