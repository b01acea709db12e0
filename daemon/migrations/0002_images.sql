-- Stored pictures, what people say about them, answers that can be given again, and files on their way to a store.

CREATE TABLE images (
    -- A UUID of version 7: names sort by time.
    id TEXT PRIMARY KEY NOT NULL,
    job_id TEXT,
    position INTEGER NOT NULL,
    -- The file's SHA-256 in hex, by which the blobs know it.
    hash TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    -- Milliseconds since 1970.
    created INTEGER NOT NULL,
    owner TEXT NOT NULL,
    prompt TEXT NOT NULL,
    -- The prompt in lower case, to search in: SQLite knows the case of ASCII only.
    words TEXT NOT NULL,
    model TEXT NOT NULL,
    -- All 64 bits, read as a signed number.
    seed INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    favourite INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A job gives each of its pictures once, however often it is finished.
CREATE UNIQUE INDEX images_by_job ON images (job_id, position) WHERE job_id IS NOT NULL;
CREATE INDEX images_by_hash ON images (hash);
CREATE INDEX images_by_model ON images (model, id);
CREATE INDEX images_by_created ON images (created);
CREATE INDEX images_favourite ON images (id) WHERE favourite = 1;

CREATE TABLE image_tags (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (image_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX image_tags_by_tag ON image_tags (tag, image_id);

-- Which job has answered a request before; the answer is its pictures.
CREATE TABLE cache_entries (
    key TEXT PRIMARY KEY NOT NULL,
    job_id TEXT NOT NULL,
    -- How many pictures the job has: an answer that lost one is none.
    images INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX cache_entries_by_use ON cache_entries (used);
CREATE INDEX cache_entries_by_job ON cache_entries (job_id);

-- What has yet to happen to files: a bucket gets them, or they go for good.
CREATE TABLE blob_moves (
    hash TEXT PRIMARY KEY NOT NULL,
    wanted TEXT NOT NULL CHECK (wanted IN ('upload', 'delete')),
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Not before this time, in milliseconds since 1970.
    due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_moves_by_due ON blob_moves (due);
