//! A database that can't be inspected, by cause.

use crate::check::report::Finding;
use crate::config::{Config, DatabaseUrl};
use crate::db::InspectError;
use crate::error_chain::error_chain;

pub(super) const REACH: &str = "postgres.reach";
pub(super) const TLS: &str = "postgres.tls";

const WHY: &str = "All logins are kept there: without it, none can be started.";

pub(super) fn finding(config: &Config, error: &InspectError) -> Finding {
    let at = &config.database;
    match error {
        InspectError::Settings(error) => Finding::fail(
            TLS,
            format!("{}.", error_chain(error)),
            WHY,
            "Put the file there, in PEM, readable for the server.",
        ),
        InspectError::Certificate(fault) => Finding::fail(
            TLS,
            format!("The certificate of {at} is refused: {fault}."),
            "sslmode=verify-ca and verify-full require a certificate that can be verified.",
            "Add sslrootcert=FILE with the authority's certificate, as your provider shows it, and use the host name that \
             the certificate is for. sslmode=require encrypts without verifying.",
        ),
        InspectError::CertificateV1 => Finding::fail(
            TLS,
            format!("The certificate of {at} is of X.509 version 1, which can't name a host."),
            "sslmode=verify-full requires a certificate for the host name in DATABASE_URL.",
            "Issue it again with that name: openssl x509 -req .. -extfile FILE, where FILE says \
             subjectAltName=DNS:HOST. Or use sslmode=verify-ca with the authority's certificate in sslrootcert, which accepts \
             it for any host.",
        ),
        InspectError::NoTls => Finding::fail(
            TLS,
            format!("{at} offers no TLS, but sslmode requires it."),
            WHY,
            "Turn TLS on in PostgreSQL (ssl = on). On a private network, sslmode=prefer works without it.",
        ),
        InspectError::ClearText => Finding::fail(
            TLS,
            format!("{at} asks for the password in clear text, which sslmode={} does not protect.", at.tls.mode),
            "An attacker on the network could read it. The server does not send it.",
            "Use sslmode=verify-full, or scram-sha-256 in PostgreSQL's pg_hba.conf.",
        ),
        InspectError::Refused { code, message } => refused(at, code, message),
        InspectError::Unreachable(cause) => unreachable(at, cause),
        InspectError::Timeout => Finding::fail(
            REACH,
            format!("{at} does not answer within 10 s."),
            WHY,
            "Look for a firewall that drops packets, and for a database that is overloaded or paused.",
        ),
    }
}

fn refused(at: &DatabaseUrl, code: &str, message: &str) -> Finding {
    let fix = match code {
        "28P01" => "Put the right password into DATABASE_URL, reserved characters percent-encoded (@ as %40).",
        "28000" => {
            "Create the role, and allow it in pg_hba.conf from this address. A hostssl line needs TLS (sslmode)."
        }
        "3D000" => "Create the database, or name the right one at the end of DATABASE_URL.",
        "53300" => "Raise max_connections, lower DATABASE_POOL_SIZE, or put a pooler in between.",
        "08P01" => "A pooler refuses a parameter of DATABASE_URL: remove options= and the like.",
        "57P03" => "It is starting or recovering: wait and check again.",
        _ => "Fix what the message names.",
    };
    Finding::fail(REACH, format!("{at} refuses the connection: {message} ({code})."), WHY, fix)
}

fn unreachable(at: &DatabaseUrl, cause: &str) -> Finding {
    if cause.contains("password missing") {
        return Finding::fail(
            REACH,
            format!("{at} asks for a password, and DATABASE_URL has none."),
            WHY,
            "Put the password into DATABASE_URL, after the user name: postgres://USER:PASSWORD@HOST/DATABASE, with reserved \
             characters percent-encoded (@ as %40).",
        );
    }
    Finding::fail(
        REACH,
        format!("{at} can't be reached: {cause}."),
        WHY,
        "Compare host and port of DATABASE_URL with PostgreSQL's, as seen from this machine. Check listen_addresses, \
         firewalls and private networks.",
    )
}
