-- As in src/store/open.rs: random bytes for the digest, the key and the MAC, eight letters for the user code.
\set n random(1, 9000000000000000)
\set key :n + 1
\set mac :n + 2
INSERT INTO device_requests (id, user_code, sealing_key, requester, client_id, mac, expires_at, purge_at) VALUES (sha256((:n)::text::bytea), substr(translate(md5((:n)::text), '0123456789abcdef', 'BCDFGHJKLMNPQRST'), 1, 8), sha256((:key)::text::bytea), '127.0.0.1', NULL, sha256((:mac)::text::bytea), now() + 900 * interval '1 second', now() + 960 * interval '1 second') ON CONFLICT DO NOTHING RETURNING id;
