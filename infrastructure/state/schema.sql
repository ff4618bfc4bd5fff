CREATE TABLE counter (value INTEGER NOT NULL) STRICT;
CREATE TABLE pipelines (
    submission INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    configuration TEXT NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL, rank INTEGER NOT NULL,
    attempt INTEGER NOT NULL, error TEXT NOT NULL, plan_sha256 TEXT NOT NULL DEFAULT '',
    plan_size INTEGER NOT NULL DEFAULT 0, submitted_at REAL NOT NULL, started_at REAL NOT NULL,
    finished_at REAL NOT NULL, traceparent TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 0,
    jobs INTEGER NOT NULL DEFAULT 0, admitted INTEGER NOT NULL DEFAULT 0,
    needs TEXT NOT NULL DEFAULT '{}', sequence INTEGER NOT NULL DEFAULT 0,
    changes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE VIEW records AS SELECT
    id, configuration, state, owner, rank, attempt, error, plan_sha256, plan_size, submitted_at,
    started_at, finished_at, traceparent, submission FROM pipelines;
CREATE INDEX queued_pipelines ON pipelines (rank, submission) WHERE state = 'queued';
CREATE INDEX running_pipelines ON pipelines (rank) WHERE state = 'running';
CREATE INDEX active_pipelines ON pipelines (owner) WHERE active;
CREATE TABLE jobs (
    pipeline TEXT NOT NULL, job INTEGER NOT NULL, queue TEXT NOT NULL, state TEXT NOT NULL,
    token INTEGER NOT NULL DEFAULT 0, holder TEXT NOT NULL DEFAULT '', until REAL,
    failures INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '', frames INTEGER NOT NULL DEFAULT 0,
    committed INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_states ON jobs (pipeline, state, queue, job);
CREATE INDEX job_times ON jobs (state, until) WHERE until IS NOT NULL;
CREATE TABLE keys (
    pipeline TEXT NOT NULL, cell INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (pipeline, cell)
) STRICT, WITHOUT ROWID;
CREATE TABLE stages (
    pipeline TEXT NOT NULL, stage TEXT NOT NULL, PRIMARY KEY (pipeline, stage)
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
    number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL,
    pipeline TEXT NOT NULL, cell TEXT NOT NULL, attempt INTEGER NOT NULL, message TEXT NOT NULL,
    key TEXT NOT NULL, traceparent TEXT NOT NULL, change INTEGER NOT NULL
) STRICT;
CREATE TABLE stories (
    pipeline TEXT NOT NULL, change INTEGER NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL,
    cell TEXT NOT NULL, attempt INTEGER NOT NULL, message TEXT NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (pipeline, change)
) STRICT, WITHOUT ROWID;
CREATE TABLE readers (reader TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE workers (
    worker TEXT PRIMARY KEY, seen_at REAL NOT NULL, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
