-- Two thousand pending logins, for look_up.sql.
INSERT INTO device_requests (id, user_code, sealing_key, requester, expires_at, purge_at)
SELECT sha256(n::text::bytea), lpad(n::text, 8, 'X'), sha256('k'), '127.0.0.1', now() + '900 s', now() + '960 s'
FROM generate_series(1, 2000) AS n;
ANALYZE device_requests;
