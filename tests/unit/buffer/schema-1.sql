-- The agent's database, version 1 (PRAGMA user_version). docs: buffer/store.py, buffer/retention.py.
-- AUTOINCREMENT: an id is never used twice, not even after the newest rows were removed; batches name polls by id.
-- Times are microseconds since 1970-01-01 UTC.

-- What the values of a poll belong to, once per content; body: codec.encode_layout.
-- last_poll: NULL while the running agent may use it, else no poll after that id does.
CREATE TABLE layouts (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  digest    BLOB NOT NULL UNIQUE,
  body      BLOB NOT NULL,
  last_poll INTEGER
);

-- One row per poll, append-only; body: codec.encode_poll, last, so that the columns before it are read without it.
-- An empty body: it was found damaged and has been counted.
CREATE TABLE polls (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  layout_id     INTEGER NOT NULL,
  started_at_us INTEGER NOT NULL,
  metric_count  INTEGER NOT NULL,
  body          BLOB NOT NULL
);

-- Stretches of polls of which no batch has been cut yet: from metric first_metric of poll first_poll up to poll end_poll,
-- exclusive (NULL: open, new polls belong to it). polls, metrics: how many it holds, kept with each change of it.
CREATE TABLE uncut (
  id           INTEGER PRIMARY KEY,
  first_poll   INTEGER NOT NULL,
  first_metric INTEGER NOT NULL,
  end_poll     INTEGER,
  polls        INTEGER NOT NULL,
  metrics      INTEGER NOT NULL
);
INSERT INTO uncut (first_poll, first_metric, end_poll, polls, metrics) VALUES (1, 0, NULL, 0, 0);

-- A batch is the metrics from (start_poll, start_metric) up to (stop_poll, stop_metric), exclusive. No two overlap.
-- sent_at_us: NULL while it is open.
CREATE TABLE batches (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  key          TEXT NOT NULL,
  start_poll   INTEGER NOT NULL,
  start_metric INTEGER NOT NULL,
  stop_poll    INTEGER NOT NULL,
  stop_metric  INTEGER NOT NULL,
  metric_count INTEGER NOT NULL,
  cut_at_us    INTEGER NOT NULL,
  sent_at_us   INTEGER
);
CREATE UNIQUE INDEX batches_by_start ON batches (start_poll, start_metric);
CREATE INDEX batches_by_sent ON batches (sent_at_us, start_poll, start_metric);

-- Metrics that the server refused, one by one, with its reason.
CREATE TABLE refused (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  poll_id      INTEGER NOT NULL,
  metric_index INTEGER NOT NULL,
  equipment_id TEXT NOT NULL,
  metric       BLOB NOT NULL,
  reason       TEXT NOT NULL,
  at_us        INTEGER NOT NULL
);

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
