-- A file that comes in parts. Its parts are there until it is completed, cancelled or expired.
CREATE TABLE uploads (
    id text PRIMARY KEY,
    owner text NOT NULL,
    filename text NOT NULL,
    purpose text NOT NULL,
    -- Of the whole file, as announced.
    bytes bigint NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'cancelled')),
    file_id text,
    -- Of the file, once it is completed.
    file_expires_seconds integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX uploads_by_age ON uploads (created_at);

CREATE TABLE upload_parts (
    id text PRIMARY KEY,
    upload_id text NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    bytes bigint NOT NULL,
    object_key text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX parts_of_upload ON upload_parts (upload_id);
