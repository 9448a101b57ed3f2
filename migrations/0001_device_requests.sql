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
    -- After this the row is nobody's any more and is swept away. Later than expires_at, so that the
    -- terminal's last poll hears why, and always at least a minute after an approval.
    purge_at      timestamptz NOT NULL,
    -- When the terminal asked last; for its pace, and to tell the person whether it still listens.
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
    -- Who is exchanging the current code (a random id for each callback), and until when nobody else may.
    lease_holder  bytea,
    leased_until  timestamptz,
    -- When the login was approved or denied: what the replicas look for to wake waiting terminals.
    settled_at    timestamptz,
    -- The token, sealed (HPKE): the encapsulated key, then the ciphertext.
    sealed_token  bytea,
    CHECK ((sealed_token IS NOT NULL) = (status IN ('approved', 'delivered')))
);

-- The callback finds its login by the state.
CREATE INDEX device_requests_state ON device_requests (state) WHERE state IS NOT NULL;
-- The feed asks for what was settled since it last asked.
CREATE INDEX device_requests_settled_at ON device_requests (settled_at) WHERE settled_at IS NOT NULL;
-- The sweep takes what is due.
CREATE INDEX device_requests_purge_at ON device_requests (purge_at);
