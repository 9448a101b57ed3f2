//! The `name=value` form of `DATABASE_URL`. No error holds any of the text.

use std::iter::Peekable;
use std::str::Chars;

use super::parameters::Pairs;
use super::rules::refuse_cut_password;

/// `NAME = VALUE ...`, values with spaces in `'...'`, with `\` before a `'` or `\`.
pub(super) fn read(text: &str) -> Result<Pairs, String> {
    let mut pairs = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        skip_spaces(&mut chars);
        if chars.peek().is_none() {
            refuse_cut_password(&pairs)?;
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            name.push(c);
        }
        skip_spaces(&mut chars);
        if chars.next() != Some('=') {
            return Err("has a parameter without a value: write NAME=VALUE pairs, or a URL".to_owned());
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
