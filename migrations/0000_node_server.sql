-- Run only if this is the Node server's table, which has the device code itself as its key. Its logins live 15 minutes; the
-- table is dropped together with the codes and tokens that it holds in plain text.
DROP TABLE device_requests;
