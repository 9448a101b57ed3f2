-- How often the terminal has fetched its token. A terminal that can't save its token fetches it again with each poll.
-- Replicas of the version before don't count.
ALTER TABLE device_requests ADD COLUMN deliveries smallint NOT NULL DEFAULT 0;
