-- The client_id that a client gave when it opened the grant, as RFC 6749 spells it. Only compared: a poll with another one is
-- answered invalid_grant. The Postiz CLI gives none.
ALTER TABLE device_requests ADD COLUMN client_id text CHECK (char_length(client_id) BETWEEN 1 AND 255);
