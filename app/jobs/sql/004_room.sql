-- For the sum of what an owner has stored (app/jobs/room.py).
CREATE INDEX files_by_owner ON files (owner) INCLUDE (bytes);
CREATE INDEX uploads_pending ON uploads (owner) WHERE status = 'pending';

-- Workers ask for each batch that waits whether another of its owner runs.
CREATE INDEX entries_of_owner ON procrastinate_jobs (lock) WHERE lock IS NOT NULL;

-- The next delivery of an owner.
CREATE INDEX deliveries_due_of_owner ON deliveries (owner, due_at) WHERE due_at IS NOT NULL;
DROP INDEX deliveries_due;
