-- HMAC over id, user_code, sealing_key and requester, under a key derived from the client secret. The callback checks it
-- before the exchange, so a row whose sealing key was replaced receives no token. NULL in rows of replicas without a client
-- secret, and of the version before: only replicas of that version exchange a code for those.
ALTER TABLE device_requests ADD COLUMN mac bytea CHECK (octet_length(mac) = 32);
