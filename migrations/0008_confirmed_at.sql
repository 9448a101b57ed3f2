-- When a person last confirmed the code and was sent to Postiz: the decision is near. The replica that holds the grant's poll
-- reads the decision feed more often then. Replicas of the version before leave it alone.
ALTER TABLE device_requests ADD COLUMN confirmed_at timestamptz;

-- The decision feed reads the confirmations since its last read.
CREATE INDEX device_requests_confirmed_at ON device_requests (confirmed_at) WHERE status = 'authorizing';
