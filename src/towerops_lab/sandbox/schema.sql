-- What the sandbox has received. A metric's body is its JSON: counters of 64 bits do not fit SQLite's integers.
CREATE TABLE IF NOT EXISTS batch (
  id INTEGER PRIMARY KEY,
  key TEXT UNIQUE,             -- the idempotency key, if there was one
  digest BLOB NOT NULL,        -- of the JSON, decompressed
  size_octets INTEGER NOT NULL,
  arrived_us INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS metric (
  id INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL REFERENCES batch (id),
  kind INTEGER NOT NULL,       -- kinds.KINDS
  item TEXT NOT NULL,          -- the sensor's, interface's or equipment's id
  timestamp TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS metric_item ON metric (item, kind, timestamp);
CREATE INDEX IF NOT EXISTS metric_batch ON metric (batch);
CREATE TABLE IF NOT EXISTS heartbeat (
  id INTEGER PRIMARY KEY,
  heard_us INTEGER NOT NULL,
  body BLOB NOT NULL
);
