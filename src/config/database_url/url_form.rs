//! The URL form of `DATABASE_URL`. No error holds any of the text.

use percent_encoding::percent_decode_str;

use super::parameters::Pairs;
use super::rules::refuse_cut_password;

/// `[USER[:PASSWORD]@][HOST[:PORT],...][/DATABASE][?NAME=VALUE&...]`, what follows `postgres://`.
pub(super) fn read(rest: &str) -> Result<Pairs, String> {
    let (main, query) = rest.split_once('?').unwrap_or((rest, ""));
    // An @, / or ? of a password that is not percent-encoded moves all that follows to a wrong place.
    let (credentials, place) = match main.split_once('@') {
        Some((credentials, place)) => (credentials, place),
        None => ("", main),
    };
    if credentials.contains('/') || place.contains('@') || query.contains('@') {
        return Err(
            "holds an @, / or ? where none can stand: in user name and password, write @ as %40, / as %2F and ? as \
                    %3F"
            .to_owned(),
        );
    }
    let mut pairs = Vec::new();
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    refuse_placeholder(user, "user name")?;
    refuse_placeholder(password, "password")?;
    pairs.push(("user".to_owned(), decode(user, "user name")?));
    pairs.push(("password".to_owned(), decode(password, "password")?));

    let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
    refuse_placeholder(database, "database name")?;
    pairs.extend(hosts_and_ports(hosts)?);
    pairs.push(("dbname".to_owned(), decode(database, "database name")?));

    let named = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name, "query")?, decode(value, "query")?))
    });
    let named = named.collect::<Result<Pairs, String>>()?;
    refuse_cut_password(&named)?;
    pairs.extend(named);
    Ok(pairs)
}

fn hosts_and_ports(text: &str) -> Result<Pairs, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for item in text.split(',') {
        let (host, port) = match item.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) => (host, ""),
            Some(Some((host, port))) => (host, port.strip_prefix(':').unwrap_or("?")),
            Some(None) => return Err("has a host with a [ that is never closed".to_owned()),
            None if item.matches(':').count() > 1 => {
                return Err("has a host with more than one colon: an IPv6 address stands in [ ]".to_owned());
            }
            None => item.split_once(':').unwrap_or((item, "")),
        };
        hosts.push(decode(host, "host")?);
        ports.push(decode(port, "port")?);
    }
    Ok(vec![("host".to_owned(), hosts.join(",")), ("port".to_owned(), ports.join(","))])
}

/// Refuses what a control panel shows in place of a password, or a template leaves unfilled. Whoever has such a password
/// can percent-encode it.
fn refuse_placeholder(raw: &str, part: &str) -> Result<(), String> {
    let bracketed = [('[', ']'), ('<', '>'), ('{', '}')]
        .into_iter()
        .any(|(open, close)| raw.starts_with(open) && raw.ends_with(close));
    let letters: String = raw.chars().filter(char::is_ascii_alphabetic).collect();
    let masked = !raw.is_empty() && raw.chars().all(|c| matches!(c, '*' | '•'));
    if bracketed || masked || raw.contains("${") || letters.eq_ignore_ascii_case("yourpassword") {
        return Err(format!("has a placeholder for its {part}: put the {part} there, without brackets"));
    }
    Ok(())
}

fn decode(raw: &str, part: &str) -> Result<String, String> {
    let mut after_percent = raw.split('%').skip(1);
    if after_percent.any(|rest| !rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count().eq(&2)) {
        return Err(format!("has a % in its {part} that encodes nothing: write % as %25"));
    }
    match percent_decode_str(raw).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(format!("has a {part} that is not UTF-8")),
    }
}
