-- Wrong user codes of each client, over all replicas. A client with too many is rate-limited until its window ends.
CREATE TABLE guess_counters (
    -- The client's network as text: 192.0.2.1/32, or the /64 of an IPv6 address.
    client  text        PRIMARY KEY,
    -- Wrong codes in this window. Right ones change nothing.
    wrong   integer     NOT NULL CHECK (wrong > 0),
    -- The window begins with the first wrong code.
    ends_at timestamptz NOT NULL
);

-- The cleanup looks for windows that are over.
CREATE INDEX guess_counters_ends_at ON guess_counters (ends_at);
