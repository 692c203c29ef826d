-- Owners are ids of principals. Numbers give the order of creation, which lists are paged by.

CREATE TABLE owners (
    owner text PRIMARY KEY,
    -- What a worker needs to know of the caller, as of its last submission.
    principal jsonb NOT NULL,
    -- Virtual finish time of the owner's last job, in seconds of audio (app/jobs/owners.py).
    last_tag double precision NOT NULL DEFAULT 0
);

CREATE TABLE virtual_clock (now double precision NOT NULL);
INSERT INTO virtual_clock VALUES (0);

CREATE TABLE files (
    id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    purpose text NOT NULL,
    filename text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    object_key text NOT NULL UNIQUE,
    -- False for the upload of a job, which is deleted with it.
    is_listed boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
CREATE INDEX files_of_owner ON files (owner, number) WHERE is_listed;
CREATE INDEX files_that_expire ON files (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE batches (
    id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    endpoint text NOT NULL,
    input_file_id text NOT NULL,
    completion_window text NOT NULL,
    status text NOT NULL DEFAULT 'validating' CHECK (status IN (
        'validating', 'in_progress', 'finalizing', 'cancelling',
        'completed', 'failed', 'expired', 'cancelled')),
    metadata jsonb,
    errors jsonb,
    -- Its window ended before its lines did.
    is_expired boolean NOT NULL DEFAULT false,
    -- Lines of the input; 0 until they are validated.
    total integer NOT NULL DEFAULT 0,
    -- The last line that has a job.
    expanded integer NOT NULL DEFAULT 0,
    completed integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    output_file_id text,
    error_file_id text,
    output_expires_seconds integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    in_progress_at timestamptz,
    finalizing_at timestamptz,
    completed_at timestamptz,
    failed_at timestamptz,
    expired_at timestamptz,
    cancelling_at timestamptz,
    cancelled_at timestamptz,
    expires_at timestamptz NOT NULL
);
CREATE INDEX batches_of_owner ON batches (owner, number);
CREATE INDEX batches_unfinished ON batches (status)
    WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling');

CREATE TABLE jobs (
    id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    batch_id text REFERENCES batches (id) ON DELETE CASCADE,
    line integer,
    custom_id text,
    task text NOT NULL,
    model text NOT NULL,
    -- The fields of the form, as pairs of names and texts.
    fields jsonb NOT NULL,
    -- {"type": "file", "file_id": …, "filename": …} or {"type": "url", "url": …}
    source jsonb NOT NULL,
    file_id text GENERATED ALWAYS AS (source ->> 'file_id') STORED,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN (
        'queued', 'in_progress', 'completed', 'failed', 'cancelled', 'expired')),
    attempts integer NOT NULL DEFAULT 0,
    -- Of the worker that runs it; publishing needs it.
    lease uuid,
    beat_at timestamptz,
    -- Position in the queue, a virtual finish time in seconds of audio; smaller goes first.
    tag bigint NOT NULL,
    estimated_seconds double precision NOT NULL,
    audio_seconds double precision,
    seconds_done double precision NOT NULL DEFAULT 0,
    result_key text,
    -- {"status": HTTP status, "error": OpenAI's error object}
    error jsonb,
    metadata jsonb,
    idempotency_key text,
    body_hash text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    expires_at timestamptz NOT NULL,
    UNIQUE (batch_id, line),
    UNIQUE (owner, idempotency_key)
);
CREATE INDEX jobs_of_owner ON jobs (owner, number);
CREATE INDEX jobs_unfinished ON jobs (status) WHERE status IN ('queued', 'in_progress');
CREATE INDEX jobs_unfinished_of_owner ON jobs (owner) WHERE status IN ('queued', 'in_progress');
CREATE INDEX jobs_unfinished_of_file ON jobs (file_id) WHERE status IN ('queued', 'in_progress');
CREATE INDEX jobs_by_tag ON jobs (tag, number) WHERE status = 'queued';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_with_key ON jobs (created_at) WHERE idempotency_key IS NOT NULL;

-- One row for each change that a webhook may tell of, written in the transaction of the change.
CREATE TABLE events (
    id text PRIMARY KEY,
    owner text NOT NULL,
    type text NOT NULL,
    object_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_by_age ON events (created_at);

-- The queue's entries of one job or batch, also of those that are running.
CREATE INDEX entries_by_lock ON procrastinate_jobs (queueing_lock);
