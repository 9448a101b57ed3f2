-- The Node server's table has the device code itself as its key. Its logins live 15 minutes; the table is dropped together
-- with the codes and tokens that it holds in plain text.
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = 'device_requests'
                 AND column_name = 'device_code') THEN
        DROP TABLE device_requests;
        RAISE NOTICE 'dropped the table of the Node server';
    END IF;
END $$;
