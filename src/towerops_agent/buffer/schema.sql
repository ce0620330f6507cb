-- The agent's database, version 7 (PRAGMA user_version). docs: buffer/store.py, tail.py, lanes.py, packer.py, retention.py;
-- decisions 0004 (rows and batches), 0009 (packs), 0010 (lanes).
-- AUTOINCREMENT: an id is never used twice, not even after the newest rows were removed; batches name polls by id.
-- `_us`: the wall clock, microseconds since 1970-01-01 UTC. `age_s`: the age clock (buffer/format/batch.py), seconds, never set back.
-- `checksum`: of the columns before it (buffer/format/codec.py), without the row's id but for a layout's.
-- `destination`: whose line it is, by its name; '' is the API's. In the checksum, as the last column, unless it is ''.

-- What the values of a poll belong to, once per content; body: codec.encode_layout.
-- last_poll: NULL while the agent uses it; below 0: idle since age_s -1 - last_poll; else no poll after that id has it.
CREATE TABLE layouts (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  digest    BLOB NOT NULL UNIQUE,
  body      BLOB NOT NULL,
  last_poll INTEGER,
  checksum  INTEGER NOT NULL DEFAULT 0 -- of id and body
);

-- One row per poll, append-only. Its readings are in bodies while it is young, then in packs. age_s: when it was stored.
CREATE TABLE polls (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  layout_id     INTEGER NOT NULL,
  started_at_us INTEGER NOT NULL,
  metric_count  INTEGER NOT NULL,
  age_s         INTEGER NOT NULL DEFAULT 0
);

-- codec.encode_poll, which has a checksum of its own. An empty body: version 2 found the poll damaged and has counted it.
-- A body goes before a pack.
CREATE TABLE bodies (
  poll INTEGER PRIMARY KEY,
  body BLOB NOT NULL
);

-- Stretches of polls, [first_poll, end_poll), that are packed as a whole, and a pack (codec.py) per stretch and layout.
-- Packs without their range are of a packing that was cut short.
CREATE TABLE ranges (
  end_poll   INTEGER PRIMARY KEY,
  first_poll INTEGER NOT NULL
);
CREATE TABLE packs (
  id        INTEGER PRIMARY KEY,
  end_poll  INTEGER NOT NULL,
  layout_id INTEGER NOT NULL,
  body      BLOB NOT NULL
);
CREATE UNIQUE INDEX packs_by_range ON packs (end_poll, layout_id);

-- Stretches of polls of which no batch has been cut yet: from metric first_metric of poll first_poll up to poll end_poll,
-- exclusive (NULL: open, new polls belong to it). polls, metrics: how many it holds, kept with each change of it.
-- Each destination has its own, of the same polls.
CREATE TABLE uncut (
  id           INTEGER PRIMARY KEY,
  first_poll   INTEGER NOT NULL,
  first_metric INTEGER NOT NULL,
  end_poll     INTEGER,
  polls        INTEGER NOT NULL,
  metrics      INTEGER NOT NULL,
  lane         TEXT NOT NULL DEFAULT 'fresh',
  checksum     INTEGER NOT NULL DEFAULT 0,
  destination  TEXT NOT NULL DEFAULT ''
);
INSERT INTO uncut (first_poll, first_metric, end_poll, polls, metrics, lane, checksum)
  VALUES (1, 0, NULL, 0, 0, 'fresh', checksum_of(1, 0, NULL, 0, 0, 'fresh'));

-- A batch is the metrics from (start_poll, start_metric) up to (stop_poll, stop_metric), exclusive. No two of a destination overlap.
-- sent_age_s: NULL while it is open.
CREATE TABLE batches (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  key          TEXT NOT NULL,
  start_poll   INTEGER NOT NULL,
  start_metric INTEGER NOT NULL,
  stop_poll    INTEGER NOT NULL,
  stop_metric  INTEGER NOT NULL,
  metric_count INTEGER NOT NULL,
  cut_at_us    INTEGER NOT NULL,
  sent_age_s   INTEGER,
  lane         TEXT NOT NULL DEFAULT 'fresh',
  checksum     INTEGER NOT NULL DEFAULT 0,
  destination  TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX batches_by_start ON batches (destination, start_poll, start_metric);
CREATE INDEX batches_by_sent ON batches (sent_age_s, start_poll, start_metric);

-- Metrics that the server refused, one by one, with its reason.
CREATE TABLE refused (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  poll_id      INTEGER NOT NULL,
  metric_index INTEGER NOT NULL,
  equipment_id TEXT NOT NULL,
  metric       BLOB NOT NULL,
  reason       TEXT NOT NULL,
  at_us        INTEGER NOT NULL,
  age_s        INTEGER NOT NULL DEFAULT 0,
  checksum     INTEGER NOT NULL DEFAULT 0,
  destination  TEXT NOT NULL DEFAULT ''
);

CREATE TABLE meta (
  key      TEXT PRIMARY KEY,
  value    BLOB NOT NULL,
  checksum INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- One row: the age clock, and the wall clock beside it, as they were some seconds before the last commit.
CREATE TABLE clock (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  age_us   INTEGER NOT NULL,
  wall_us  INTEGER NOT NULL,
  checksum INTEGER NOT NULL DEFAULT 0
);

-- What changed at the site, for the page: written with polls, and only then. kind, what: buffer/format/event.py.
CREATE TABLE events (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at_us    INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  subject  TEXT NOT NULL,
  what     TEXT NOT NULL,
  why      TEXT NOT NULL,
  age_s    INTEGER NOT NULL,
  checksum INTEGER NOT NULL
);

-- The latest polls, before they go to polls and bodies together (codec.encode_tail; it begins with the head of none). One row of
-- a fixed size, written in place; of this one SQLite puts as much into a page of 512 with its head as it can.
CREATE TABLE tail (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  body BLOB NOT NULL
);
INSERT INTO tail (id, body) VALUES (1, CAST(x'000000000000000000000000000000008d9bd50f' || zeroblob(32448) AS BLOB));
