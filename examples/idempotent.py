"""Each message counts once in a database, however often it comes. Its place in Kafka (topic, partition, offset) names it and
never changes: noted in the same transaction as what it does, it says later that this was done.

    python supervisor.py --handler examples.idempotent:process_message

SQLite here, by default in the working directory; with PostgreSQL it is the same, with `INSERT … ON CONFLICT DO NOTHING`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Any, Dict, Iterator

from kafka_worker import Context, per_thread

SCHEMA = """
CREATE TABLE IF NOT EXISTS done (topic TEXT, kafka_partition INTEGER, kafka_offset INTEGER, at TEXT DEFAULT CURRENT_TIMESTAMP,
                                 PRIMARY KEY (topic, kafka_partition, kafka_offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL);
"""
DATABASE = os.environ.get("DATABASE", "accounts.db")
PATIENCE_SECONDS = 30.0  # for other writers


@per_thread
def database() -> Iterator[sqlite3.Connection]:
    """A connection for each handler thread."""
    with contextlib.closing(sqlite3.connect(DATABASE, timeout=PATIENCE_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(SCHEMA)
        yield connection


def process_message(message: Dict[str, Any], context: Context) -> None:
    """Pay an amount into an account, once."""
    with transaction(database()) as connection:
        place = (context.topic, context.partition, context.offset)
        if connection.execute("INSERT OR IGNORE INTO done VALUES (?, ?, ?, CURRENT_TIMESTAMP)", place).rowcount:
            payment = (message["account"], message["amount"])
            connection.execute(
                "INSERT INTO accounts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET balance = balance + excluded.balance",
                payment,
            )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of it or nothing, whatever happens in it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
