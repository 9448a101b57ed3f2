-- As in src/store/lookup.rs, for one of the rows that figures/polls.rs makes.
\set n random(1, 2000)
SELECT id, status, expires_at, leased_until, purge_at, coalesce(polled_at, opened_at) AS heard_at, now() AS clock FROM device_requests WHERE id = sha256((:n)::text::bytea);
