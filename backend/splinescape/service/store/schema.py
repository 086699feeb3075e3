"""The database's tables, version by version.

`MIGRATIONS[n]` turns a database of version n into one of version n + 1; a new store runs all of them. Released
versions are never edited: a change is a new entry.
"""

from __future__ import annotations

_JOBS_AND_EVENTS = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of arrival, whatever the clock did
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    session TEXT NOT NULL,
    request TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    device TEXT,
    n_frames INTEGER NOT NULL,
    progress TEXT NOT NULL DEFAULT '{}',
    UNIQUE (owner, request)
);
CREATE INDEX jobs_state ON jobs (state);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,      -- '' when it is about no job
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    slot TEXT,              -- a newer event in the same slot of the same job takes the older one's place
    data TEXT NOT NULL,
    buffers TEXT NOT NULL,  -- JSON: name, dtype and shape of each
    bytes BLOB NOT NULL     -- their data, one after the other
);
CREATE INDEX events_job ON events (job, seq);
CREATE UNIQUE INDEX events_slot ON events (job, slot) WHERE slot IS NOT NULL;
CREATE INDEX events_state ON events (job, seq) WHERE kind = 'state';
INSERT INTO sqlite_sequence (name, seq) VALUES ('events', 0);
"""

_RETENTION = """
ALTER TABLE jobs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN finished_at REAL;  -- on the store's own clock, see clock.py
UPDATE jobs SET finished_at = 0 WHERE state IN ('done', 'failed', 'cancelled');
CREATE TABLE clock (seconds REAL NOT NULL, wall REAL NOT NULL);
INSERT INTO clock VALUES (0, 0);
"""

MIGRATIONS = (_JOBS_AND_EVENTS, _RETENTION)
