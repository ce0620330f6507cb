"""The database's schema: created, or brought up from an earlier version.

Connection -> tables as schema.sql has them. Each step up is one transaction, with the version in it.
"""

import sqlite3
from pathlib import Path

import structlog

from towerops_agent.buffer.format.codec import checksum, digest

log = structlog.get_logger()

VERSION = 7

APPLICATION = 0x546F7700
"""The file's application_id less its version, from version 3 on: one flipped bit makes no other version of it."""

STEPS = {
    # Version 1 had the readings in polls, and no clock but the wall's: from here on what it said then counts as age.
    1: """
CREATE TABLE bodies (poll INTEGER PRIMARY KEY, body BLOB NOT NULL);
INSERT INTO bodies SELECT id, body FROM polls ORDER BY id;
ALTER TABLE polls DROP COLUMN body;
ALTER TABLE polls ADD COLUMN age_s INTEGER NOT NULL DEFAULT 0;
UPDATE polls SET age_s = started_at_us / 1000000;
CREATE TABLE ranges (end_poll INTEGER PRIMARY KEY, first_poll INTEGER NOT NULL);
CREATE TABLE packs (id INTEGER PRIMARY KEY, end_poll INTEGER NOT NULL, layout_id INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX packs_by_range ON packs (end_poll, layout_id);
ALTER TABLE uncut ADD COLUMN lane TEXT NOT NULL DEFAULT 'fresh';
ALTER TABLE batches RENAME COLUMN sent_at_us TO sent_age_s;
UPDATE batches SET sent_age_s = sent_age_s / 1000000;
ALTER TABLE batches ADD COLUMN lane TEXT NOT NULL DEFAULT 'fresh';
ALTER TABLE refused ADD COLUMN age_s INTEGER NOT NULL DEFAULT 0;
UPDATE refused SET age_s = at_us / 1000000;
CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), age_us INTEGER NOT NULL, wall_us INTEGER NOT NULL);
INSERT INTO clock SELECT 1, at_us, at_us FROM (SELECT max(at_us) AS at_us FROM (
  SELECT started_at_us AS at_us FROM polls UNION ALL SELECT cut_at_us FROM batches UNION ALL SELECT at_us FROM refused
)) WHERE at_us IS NOT NULL;
""",
    # Version 2 had no checksums: what it has written is taken for true, but for a layout that its digest does not fit.
    2: """
ALTER TABLE layouts ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE layouts SET checksum = checksum_of(id, body) WHERE substr(digest, 1, 16) = digest_of(body);
ALTER TABLE uncut ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE uncut SET checksum = checksum_of(first_poll, first_metric, end_poll, polls, metrics, lane);
ALTER TABLE batches ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE batches SET checksum = checksum_of(
  key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, sent_age_s, lane
);
ALTER TABLE refused ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE refused SET checksum = checksum_of(poll_id, metric_index, equipment_id, metric, reason, at_us, age_s);
ALTER TABLE meta ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET checksum = checksum_of(key, value);
ALTER TABLE clock ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE clock SET checksum = checksum_of(age_us, wall_us);
""",
    3: """
CREATE TABLE tail (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
INSERT INTO tail (id, body) VALUES (1, CAST(x'000000000000000000000000000000008d9bd50f' || zeroblob(32448) AS BLOB));
""",
    # Version 5 may have layouts of pings, which an earlier one would take for damaged.
    4: "",
    # Version 5 had one destination, whose rows go on as they are: "" is not in their checksums.
    5: """
ALTER TABLE uncut ADD COLUMN destination TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN destination TEXT NOT NULL DEFAULT '';
ALTER TABLE refused ADD COLUMN destination TEXT NOT NULL DEFAULT '';
DROP INDEX batches_by_start;
CREATE UNIQUE INDEX batches_by_start ON batches (destination, start_poll, start_metric);
""",
    6: """
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
  what TEXT NOT NULL, why TEXT NOT NULL, age_s INTEGER NOT NULL, checksum INTEGER NOT NULL
);
""",
}
"""What leads from a version to the next."""


def create(connection: sqlite3.Connection) -> None:
    """All tables, in an empty database."""
    schema = Path(__file__).with_name("schema.sql").read_text("utf-8")
    _run(connection, schema, VERSION)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a database of an earlier version up to VERSION."""
    for before in range(version, VERSION):
        _run(connection, STEPS[before], before + 1)
        log.info("database upgraded to a new version", version_before=before, version=before + 1)


def _run(connection: sqlite3.Connection, sql: str, version: int) -> None:
    connection.create_function("checksum_of", -1, checksum, deterministic=True)
    connection.create_function("digest_of", 1, digest, deterministic=True)
    try:
        application = APPLICATION + version if version > 2 else 0
        pragmas = f"PRAGMA user_version = {version};\nPRAGMA application_id = {application};"
        connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\n{pragmas}\nCOMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
