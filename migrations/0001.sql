-- One row for each login under way. Nothing in it can become a token: what is secret is kept as a SHA-256 of 256 random bits,
-- and the token is sealed to a key that only the terminal can derive.
-- Most steps change no indexed column, and the free space in each page keeps them in place. There are no CHECK constraints:
-- PostgreSQL reads their text anew for each row that a step writes, which took half of its time for a login.
CREATE TABLE device_requests (
    -- SHA-256 of the device code: what a poll is looked up by.
    id               bytea       PRIMARY KEY,
    -- The eight letters that the person compares or types, without the dash.
    user_code        text COLLATE "C" NOT NULL UNIQUE,
    -- The X25519 public key derived from the device code; the token is sealed to it.
    sealing_key      bytea       NOT NULL,
    -- With the browser's key it makes the PKCE verifier, which so is neither in the database nor in the browser.
    verifier_salt    bytea       NOT NULL,
    -- pending, authorizing, approved, denied, delivered or revoked.
    status           text        NOT NULL DEFAULT 'pending',
    -- What the terminal's client calls itself (RFC 6749). Only compared and shown. The Postiz CLI gives none.
    client_id        text,
    -- The address that the login was started from; the person is shown it.
    requester        inet,
    -- The interval that was announced at the opening, by which polls are paced.
    interval_seconds smallint    NOT NULL,
    opened_at        timestamptz NOT NULL DEFAULT now(),
    -- After this the login can no longer be confirmed or its exchange begun.
    expires_at       timestamptz NOT NULL,
    -- The terminal's last poll that was noted: for its interval, and to show the person whether it still polls.
    polled_at        timestamptz,
    -- SHA-256 of the key in the cookie of the browser that confirmed the code last.
    browser          bytea,
    -- In how many browsers the code was confirmed.
    browsers         smallint    NOT NULL DEFAULT 0,
    -- The client that was registered at Postiz for this login (RFC 7591); null with an app of the operator's.
    postiz_client_id text,
    -- SHA-256 of each authorization code that was taken for exchange, the current one last. A code that stands before another
    -- is never exchanged again.
    codes            bytea[]     NOT NULL DEFAULT '{}',
    -- Whether Postiz has said that the current code is spent.
    code_spent       boolean     NOT NULL DEFAULT false,
    -- The callback that exchanges the current code (a random id), and until when no other one may.
    lease_holder     bytea,
    leased_until     timestamptz,
    -- The time of the decision. Replicas look for it to answer held polls.
    settled_at       timestamptz,
    -- The token, sealed (HPKE): the encapsulated key, then the ciphertext. Present while approved or delivered.
    sealed_token     bytea,
    -- The first delivery, and how often the terminal has fetched its token.
    delivered_at     timestamptz,
    deliveries       smallint    NOT NULL DEFAULT 0
) WITH (fillfactor = 60);

-- The cleanup looks for rows that are due.
CREATE INDEX postiz_auth_expires_at ON device_requests (expires_at);
-- The decision feed reads the decisions since its last read, the cleanup those that are over.
CREATE INDEX postiz_auth_settled_at ON device_requests (settled_at) WHERE settled_at IS NOT NULL;

-- Wrong user codes of each client and of the network around it, over all replicas. Past its limit, a client is rate-limited until its
-- window ends.
CREATE TABLE postiz_auth_wrong_codes (
    -- 192.0.2.1/32 and 192.0.2.0/24, or the /64 and the /48 of an IPv6 address.
    client  text        PRIMARY KEY,
    -- Wrong codes in this window. Right ones change nothing.
    wrong   integer     NOT NULL,
    -- The window begins with the first wrong code.
    ends_at timestamptz NOT NULL
);

-- The cleanup looks for windows that are over.
CREATE INDEX postiz_auth_ends_at ON postiz_auth_wrong_codes (ends_at);
