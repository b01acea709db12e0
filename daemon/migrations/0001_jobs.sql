-- The queue: jobs with their leases, whose turn it is, batches, and submits that may be repeated.
-- Times are milliseconds since 1970. A job's state is queued, held (it waits for another job's picture),
-- processing, completed, failed, dead (failed, after too many attempts) or cancelled.

CREATE TABLE queue (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    paused INTEGER NOT NULL DEFAULT 0,
    -- The last fencing token and the last place in line that were given out.
    tokens INTEGER NOT NULL DEFAULT 0,
    places INTEGER NOT NULL DEFAULT 0,
    -- Virtual time: when the job that began last had its turn.
    clock INTEGER NOT NULL DEFAULT 0,
    -- Counted apart from the jobs, which are forgotten some time.
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    -- Those that an engine made, and how long it took in all.
    timed INTEGER NOT NULL DEFAULT 0,
    milliseconds INTEGER NOT NULL DEFAULT 0,
    -- Jobs that have ended and are still known.
    ended INTEGER NOT NULL DEFAULT 0
);
INSERT INTO queue (one) VALUES (1);

CREATE TABLE owners (
    name TEXT PRIMARY KEY NOT NULL,
    -- Virtual time at which the owner's next turn is due.
    due INTEGER NOT NULL DEFAULT 0,
    served INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE batches (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    request TEXT NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE jobs (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    batch TEXT REFERENCES batches (id) ON DELETE CASCADE,
    -- Its number in the batch.
    position INTEGER NOT NULL DEFAULT 0,
    label TEXT,
    -- The job whose picture it starts from.
    after TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    place INTEGER NOT NULL,
    model TEXT NOT NULL,
    -- Work, as the turns of an owner count it.
    cost INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    request TEXT NOT NULL,
    params TEXT NOT NULL,
    picture_bytes INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    -- Since when it waits.
    since INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    progress INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- How often another job of the same line went first because its model was loaded.
    overtaken INTEGER NOT NULL DEFAULT 0,
    -- The fencing token of the lease, and until when it holds.
    token INTEGER,
    lease INTEGER,
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT,
    -- Some of its events with their numbers, and the final one's number.
    events TEXT,
    last_event INTEGER
);
CREATE INDEX jobs_line ON jobs (owner, priority, place) WHERE status = 'queued';
CREATE INDEX jobs_leased ON jobs (lease) WHERE status = 'processing';
CREATE INDEX jobs_status ON jobs (status, id);
CREATE INDEX jobs_batch ON jobs (batch, position) WHERE batch IS NOT NULL;
CREATE INDEX jobs_after ON jobs (after) WHERE after IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (ended) WHERE ended IS NOT NULL;
CREATE INDEX jobs_pictures ON jobs (picture_bytes)
    WHERE picture_bytes > 0 AND status IN ('queued', 'held', 'processing');

-- The pictures that a job starts from, and those that it made: hashes of blobs.
CREATE TABLE job_inputs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE INDEX job_inputs_hash ON job_inputs (hash);
CREATE TABLE job_outputs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    hash TEXT NOT NULL,
    -- Its name in the history.
    image TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE INDEX job_outputs_hash ON job_outputs (hash);

-- Submits that may be repeated: the same key from the same owner is the same submit.
CREATE TABLE submits (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    job TEXT REFERENCES jobs (id) ON DELETE CASCADE,
    batch TEXT REFERENCES batches (id) ON DELETE CASCADE,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX submits_job ON submits (job) WHERE job IS NOT NULL;
CREATE INDEX submits_batch ON submits (batch) WHERE batch IS NOT NULL;

-- How many wait in each line, so that nobody counts ten thousand jobs to take in one.
CREATE TABLE lines (
    owner TEXT NOT NULL,
    priority INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    PRIMARY KEY (owner, priority)
) WITHOUT ROWID;

CREATE TRIGGER jobs_join AFTER INSERT ON jobs WHEN NEW.status = 'queued' BEGIN
    INSERT INTO lines (owner, priority, waiting) VALUES (NEW.owner, NEW.priority, 1)
        ON CONFLICT (owner, priority) DO UPDATE SET waiting = waiting + 1;
END;
CREATE TRIGGER jobs_leave AFTER UPDATE OF status, priority ON jobs
WHEN OLD.status = 'queued' AND (NEW.status <> 'queued' OR NEW.priority <> OLD.priority) BEGIN
    UPDATE lines SET waiting = waiting - 1 WHERE owner = OLD.owner AND priority = OLD.priority;
END;
CREATE TRIGGER jobs_return AFTER UPDATE OF status, priority ON jobs
WHEN NEW.status = 'queued' AND (OLD.status <> 'queued' OR NEW.priority <> OLD.priority) BEGIN
    INSERT INTO lines (owner, priority, waiting) VALUES (NEW.owner, NEW.priority, 1)
        ON CONFLICT (owner, priority) DO UPDATE SET waiting = waiting + 1;
END;
CREATE TRIGGER jobs_gone AFTER DELETE ON jobs WHEN OLD.status = 'queued' BEGIN
    UPDATE lines SET waiting = waiting - 1 WHERE owner = OLD.owner AND priority = OLD.priority;
END;

CREATE TRIGGER jobs_begin_ended AFTER INSERT ON jobs WHEN NEW.ended IS NOT NULL BEGIN
    UPDATE queue SET ended = ended + 1;
END;
CREATE TRIGGER jobs_end AFTER UPDATE OF ended ON jobs WHEN (OLD.ended IS NULL) <> (NEW.ended IS NULL) BEGIN
    UPDATE queue SET ended = ended + iif(NEW.ended IS NULL, -1, 1);
END;
CREATE TRIGGER jobs_gone_ended AFTER DELETE ON jobs WHEN OLD.ended IS NOT NULL BEGIN
    UPDATE queue SET ended = ended - 1;
END;
