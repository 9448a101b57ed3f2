-- One row for each login under way. Nothing in it can become a token: what is secret is kept as a
-- SHA-256 of 256 random bits, and the token is sealed to a key that only the terminal can derive.
CREATE TABLE device_requests (
    -- SHA-256 of the device code: what a poll is looked up by.
    id            bytea       PRIMARY KEY CHECK (octet_length(id) = 32),
    -- The eight letters that the person compares or types, without the dash.
    user_code     text        NOT NULL UNIQUE CHECK (char_length(user_code) = 8),
    -- The X25519 public key derived from the device code; the token is sealed to it.
    sealing_key   bytea       NOT NULL CHECK (octet_length(sealing_key) = 32),
    status        text        NOT NULL DEFAULT 'pending'
                  CHECK (status IN ('pending', 'authorizing', 'approved', 'denied', 'delivered')),
    -- The address that the login was started from; the person is shown it.
    requester     text,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    -- After this the login can no longer be confirmed or its exchange begun.
    expires_at    timestamptz NOT NULL,
    -- The row is deleted after this time. Later than expires_at, so that the terminal's last poll
    -- gets the reason, and always at least a minute after an approval.
    purge_at      timestamptz NOT NULL,
    -- The terminal's last poll, for its interval, and to show the person whether it still polls.
    polled_at     timestamptz,
    -- SHA-256 of the key in the cookie of the browser that confirmed the code last, and of the state
    -- that it took to Postiz.
    browser       bytea       CHECK (octet_length(browser) = 32),
    state         bytea       CHECK (octet_length(state) = 32),
    -- In how many browsers the code was confirmed.
    browsers      smallint    NOT NULL DEFAULT 0,
    -- SHA-256 of each authorization code that was taken for exchange, the current one last. A code
    -- that stands before another is never exchanged again.
    codes         bytea[]     NOT NULL DEFAULT '{}',
    -- Whether Postiz has said that the current code is spent.
    code_spent    boolean     NOT NULL DEFAULT false,
    -- The callback that exchanges the current code (a random id), and until when no other one may.
    lease_holder  bytea,
    leased_until  timestamptz,
    -- The time of the decision. Replicas look for it to answer held polls.
    settled_at    timestamptz,
    -- The token, sealed (HPKE): the encapsulated key, then the ciphertext.
    sealed_token  bytea,
    CHECK ((sealed_token IS NOT NULL) = (status IN ('approved', 'delivered')))
);

-- The callback finds its login by the state.
CREATE INDEX device_requests_state ON device_requests (state) WHERE state IS NOT NULL;
-- The decision feed reads the decisions since its last read.
CREATE INDEX device_requests_settled_at ON device_requests (settled_at) WHERE settled_at IS NOT NULL;
-- The cleanup looks for rows that are due.
CREATE INDEX device_requests_purge_at ON device_requests (purge_at);
