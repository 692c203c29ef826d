-- Where the url of a job comes from, and whom its end is told; headers are encrypted.
ALTER TABLE jobs ADD COLUMN url_headers text;
ALTER TABLE jobs ADD COLUMN webhook_url text;

CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    -- True for the one whose secret signs what goes to `webhook_url`s of jobs; it has no url itself.
    is_default boolean NOT NULL DEFAULT false,
    name text NOT NULL,
    url text NOT NULL,
    event_types text[] NOT NULL,
    -- Encrypted (app/jobs/encryption.py).
    secret text NOT NULL,
    secret_hint text NOT NULL,
    old_secret text,
    old_secret_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Its receiver has answered 410.
    disabled_at timestamptz
);
CREATE INDEX webhook_endpoints_of_owner ON webhook_endpoints (owner, number);
CREATE UNIQUE INDEX default_webhook_endpoints ON webhook_endpoints (owner) WHERE is_default;

-- An event on its way to an endpoint, written in the transaction of the event.
CREATE TABLE deliveries (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    endpoint_id text NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    owner text NOT NULL,
    -- Of a job's own `webhook_url`; else the endpoint's counts.
    url text,
    attempts integer NOT NULL DEFAULT 0,
    -- Of the answer to the last attempt; NULL if there was none.
    last_status integer,
    -- The next attempt, or when one that runs counts as lost; NULL once it has ended.
    due_at timestamptz DEFAULT now(),
    delivered_at timestamptz,
    UNIQUE (event_id, endpoint_id)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_of_endpoint ON deliveries (endpoint_id, number);
