-- One round: $rows logins go through all steps until they are due for cleanup, each step for all of them at once. One in
-- ten is never confirmed.
INSERT INTO device_requests (id, user_code, sealing_key, requester, expires_at, purge_at)
SELECT sha256(('$round-' || n)::bytea), lpad((($round::bigint * $rows + n) % 100000000)::text, 8, '0'), sha256('k'), '127.0.0.1',
       now() + interval '900 s', now() + interval '960 s'
FROM generate_series(1, $rows) AS n;
UPDATE device_requests SET status = 'authorizing', confirmed_at = now(), browser = id, state = sha256(id), browsers = 1
WHERE status = 'pending' AND get_byte(id, 0) < 230;
UPDATE device_requests SET codes = ARRAY[id], lease_holder = id, leased_until = now() WHERE status = 'authorizing';
UPDATE device_requests SET status = 'approved', sealed_token = decode(repeat('00', 200), 'hex'), settled_at = now(),
       confirmed_at = NULL, lease_holder = NULL, leased_until = NULL
WHERE status = 'authorizing';
UPDATE device_requests SET status = 'delivered', purge_at = now() WHERE status = 'approved';
UPDATE device_requests SET purge_at = now() WHERE status = 'pending';
