//! Which parameters tokio-postgres gets, and what has to be true of them.

use super::parameters::{Pairs, Parameters};

/// libpq's parameters that tokio-postgres has too. The others concern files and features that are not here.
pub(super) const PASSED_ON: [&str; 18] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Parameters that are taken out or translated before.
const UNDERSTOOD: [&str; 6] = ["keepalives_count", "ssl", "sslcert", "sslkey", "sslmode", "sslrootcert"];

/// Refuses an unknown parameter beside a password that is a parameter itself: it may be the rest of that password, cut
/// short by a space or an &. It must not be named, and the login would fail.
pub(super) fn refuse_cut_password(named: &Pairs) -> Result<(), String> {
    let known = |name: &str| PASSED_ON.contains(&name) || UNDERSTOOD.contains(&name);
    let has_password = named.iter().any(|(name, _)| name == "password");
    if has_password && !named.iter().all(|(name, _)| known(name)) {
        return Err(
            "has an unknown parameter beside password=, or a password that is cut short: in a URL, write & as %26; in \
                    NAME=VALUE pairs, put it in '...'"
                .to_owned(),
        );
    }
    Ok(())
}

/// Refuses what tokio-postgres would take, and then connect to something else or to nothing.
pub(super) fn check(parameters: &Parameters) -> Result<(), String> {
    let (hosts, addresses, ports) = (parameters.list("host"), parameters.list("hostaddr"), parameters.list("port"));
    let count = hosts.len().max(addresses.len());
    if count == 0 || hosts.contains(&"") {
        return Err("has no host, or an empty one".to_owned());
    }
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if !hosts.iter().all(|host| host.starts_with('/') || host.chars().all(in_name)) {
        return Err("has a host that cannot be one; in user name and password, write @ as %40 and / as %2F".to_owned());
    }
    if !ports.iter().all(|port| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(
            "has a port that is not a number from 1 to 65535; in a password, write @ as %40 and / as %2F".to_owned()
        );
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err("has host and hostaddr lists of different lengths".to_owned());
    }
    if ports.len() > 1 && ports.len() != count {
        return Err("has neither one port nor as many as it has hosts".to_owned());
    }
    if !parameters.has("user") {
        return Err("has no user name".to_owned());
    }
    match parameters.get("dbname") {
        None => Err("has no database name".to_owned()),
        Some(name) if name.contains('/') => Err("has a / in its database name".to_owned()),
        Some(_) => Ok(()),
    }
}

/// Puts libpq's names and units into tokio-postgres's.
pub(super) fn translate(parameters: &mut Parameters) -> Result<(), String> {
    if let Some(count) = parameters.take("keepalives_count") {
        parameters.set("keepalives_retries", &count);
    }
    if let Some(timeout) = parameters.take("tcp_user_timeout") {
        let millis: u32 = timeout.parse().map_err(|_| "has a tcp_user_timeout that is no number of milliseconds")?;
        parameters.set("tcp_user_timeout", &millis.div_ceil(1000).to_string());
    }
    // Of several hosts, one is the primary: a standby that answers first is of no use here.
    let several = parameters.each_host().len() > 1;
    match parameters.get("target_session_attrs") {
        None | Some("any") if several => {
            parameters.set("target_session_attrs", "read-write");
            Ok(())
        }
        None | Some("any" | "read-write") => Ok(()),
        Some("primary") => {
            parameters.set("target_session_attrs", "read-write");
            Ok(())
        }
        Some(_) => {
            Err("has target_session_attrs other than any, read-write or primary, but the server must write".to_owned())
        }
    }
}
