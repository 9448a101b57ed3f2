-- A revoked grant has a status of its own. Before, it was pending, past expires_at, and had a settled_at.
-- Replicas of the version before answer "pending" for such a grant until it is deleted, a minute after its revocation.
ALTER TABLE device_requests DROP CONSTRAINT device_requests_status_check;
ALTER TABLE device_requests ADD CONSTRAINT device_requests_status_check
    CHECK (status IN ('pending', 'authorizing', 'approved', 'denied', 'delivered', 'revoked'));
