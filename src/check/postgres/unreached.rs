//! A database that can't be looked at, told by its cause.

use crate::check::postgres::{REACH, TLS};
use crate::check::report::Finding;
use crate::config::Config;
use crate::db::InspectError;

/// Why it can't be looked at, and what helps.
pub(super) fn finding(config: &Config, error: &InspectError) -> Finding {
    let at = &config.database;
    let why = "Every login is kept there: without it none can be started.";
    match error {
        InspectError::Settings(error) => {
            Finding::wrong(TLS, format!("{error}."), why, "Put the file in place, readable for the server, in PEM.")
        }
        InspectError::Certificate(fault) => Finding::wrong(
            TLS,
            format!("{at} shows a certificate that sslmode refuses: {fault}."),
            "With sslmode=verify-ca or verify-full, only a server that proves who it is is talked to.",
            "Name the authority's certificate by sslrootcert=FILE, as your provider shows it, and use the host name that \
             the certificate is for. sslmode=require encrypts without this proof.",
        ),
        InspectError::NoTls => Finding::wrong(
            TLS,
            format!("{at} offers no TLS, and sslmode demands it."),
            why,
            "Switch TLS on in PostgreSQL (ssl = on). On a private network, sslmode=prefer does without.",
        ),
        InspectError::Refused { code, message } => {
            let mend = match code.as_str() {
                "28P01" => "Put the right password into DATABASE_URL, reserved characters percent-encoded (@ as %40).",
                "28000" => {
                    "Create the role, and let it in by pg_hba.conf from this address, with TLS where that asks for it."
                }
                "3D000" => "Create the database, or name the right one at the end of DATABASE_URL.",
                "53300" => "Raise max_connections, lower DATABASE_POOL_SIZE, or put a pooler in between.",
                "08P01" => "A pooler refuses a parameter of DATABASE_URL: leave options= and the like out.",
                "57P03" => "It is starting or recovering: wait, and check again.",
                _ => "Mend what it says.",
            };
            Finding::wrong(REACH, format!("{at} refuses the connection: {message} ({code})."), why, mend)
        }
        InspectError::Unreachable(cause) => Finding::wrong(
            REACH,
            format!("{at} can't be reached: {cause}."),
            why,
            "Compare host and port of DATABASE_URL with where PostgreSQL listens, as seen from this machine; look at \
             listen_addresses, firewalls and private networks.",
        ),
        InspectError::Timeout => Finding::wrong(
            REACH,
            format!("{at} does not answer within 10 s."),
            why,
            "A firewall that drops packets looks like this, and so does a database that is overloaded or paused.",
        ),
    }
}
