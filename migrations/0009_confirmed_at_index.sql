-- The condition of the index before, status = 'authorizing', is also one of an approval. So PostgreSQL could find the login to
-- approve by reading this whole index, and did so with a plan that it had made while the index was empty.
DROP INDEX device_requests_confirmed_at;

CREATE INDEX device_requests_confirmed_at ON device_requests (confirmed_at) WHERE confirmed_at IS NOT NULL;
