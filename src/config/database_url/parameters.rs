//! The text of `DATABASE_URL`, taken apart into libpq's parameters. No error holds any of the text.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use percent_encoding::percent_decode_str;

const FORM: &str = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";

/// libpq's connection parameters by name; where one is given twice, the last one counts. Has no `Debug`: it holds the
/// password.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a URL, or pairs of `name=value`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let url = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let pairs = if text.starts_with(['"', '\'']) {
            return Err("is in quotation marks: leave them off".to_owned());
        } else if let Some(rest) = url {
            from_url(rest)?
        } else if text.contains("://") || !text.contains('=') {
            return Err(format!(
                "does not begin with postgres:// or postgresql:// (without the +driver of other languages): write {FORM}"
            ));
        } else {
            from_pairs(text)?
        };
        if pairs.iter().any(|(_, value)| value.contains('\0')) {
            return Err("holds a NUL byte".to_owned());
        }
        // libpq takes an empty value for none.
        Ok(Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()))
    }

    /// Whether the text gave it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Its value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Its items: hosts, addresses and ports are lists.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.get(name).map(|value| value.split(',').collect()).unwrap_or_default()
    }

    /// Takes it out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Puts it in.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Drops all others and returns their names.
    pub(super) fn keep_only(&mut self, known: &[&str]) -> Vec<String> {
        let (kept, dropped) =
            std::mem::take(&mut self.0).into_iter().partition(|(name, _)| known.contains(&name.as_str()));
        self.0 = kept;
        let dropped: BTreeMap<String, String> = dropped;
        dropped.into_keys().collect()
    }
}

/// libpq's `name='value'` form, which tokio-postgres reads.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, value)| write!(f, "{name}='{}' ", value.replace('\\', "\\\\").replace('\'', "\\'")))
    }
}

type Pairs = Vec<(String, String)>;

/// `[USER[:PASSWORD]@][HOST[:PORT],...][/DATABASE][?NAME=VALUE&...]`, what follows `postgres://`.
fn from_url(rest: &str) -> Result<Pairs, String> {
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

    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name, "query")?, decode(value, "query")?));
    }
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

/// `NAME = VALUE ...`, values with spaces in `'...'`, with `\` before a `'` or `\`.
fn from_pairs(text: &str) -> Result<Pairs, String> {
    let mut pairs = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        skip_spaces(&mut chars);
        if chars.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            name.push(c);
        }
        skip_spaces(&mut chars);
        if chars.next() != Some('=') {
            return Err(format!("has a parameter without a value: write NAME=VALUE pairs, or {FORM}"));
        }
        skip_spaces(&mut chars);
        let value = value(&mut chars).ok_or("has a value whose ' is never closed")?;
        pairs.push((name, value));
    }
}

fn skip_spaces(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

fn value(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.peek() {
            None if quoted => return None,
            None => return Some(value),
            Some('\'') if quoted => {
                chars.next();
                return Some(value);
            }
            Some(c) if !quoted && c.is_whitespace() => return Some(value),
            Some('\\') => {
                chars.next();
                value.extend(chars.next());
            }
            Some(_) => value.extend(chars.next()),
        }
    }
}
