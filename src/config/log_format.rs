//! `LOG_FORMAT`.

use std::io::IsTerminal;

use super::vars::Vars;

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::Display)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text, for people.
    Text,
}

pub(super) fn derived(_: &Vars) -> String {
    let format = if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    format.to_string()
}
