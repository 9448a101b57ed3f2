-- The client that was registered at Postiz for this grant (RFC 7591). Null before the code is confirmed, and for grants that
-- use the app of POSTIZ_OAUTH_CLIENT_ID. Replicas of the version before know that app only, and leave the column alone.
ALTER TABLE device_requests ADD COLUMN postiz_client_id text CHECK (char_length(postiz_client_id) BETWEEN 1 AND 255);

-- Secrets that all replicas on this database share, and no other server has.
CREATE TABLE server_keys (
    -- self_check: with it, `check` and a server recognise each other. It opens nothing of a grant.
    name text  PRIMARY KEY,
    key  bytea NOT NULL CHECK (octet_length(key) = 32)
);

-- Each UUID holds 122 bits of the server's strong random numbers.
INSERT INTO server_keys (name, key)
VALUES ('self_check', sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
