//! What is generated from the entries of the table of variables.

use super::problems::Problems;
use super::variable::Variable;
use super::vars::bare;

/// Parses one variable; `missing` is its value if there is no text. A problem is noted if there is no value.
pub(super) fn take<T, F: From<T>>(
    variable: &'static Variable,
    raw: Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
    missing: Option<F>,
    problems: &mut Problems,
) -> Option<F> {
    let Some(raw) = raw else {
        if variable.is_required() {
            problems.missing(variable);
        }
        return missing;
    };
    let parsed = match bare(&raw) {
        Ok(text) if variable.secret && text == variable.example => {
            Err("still has the value of .env.example: put your own there".to_owned())
        }
        Ok(text) => parse(text),
        Err(why) => Err(why.to_owned()),
    };
    parsed.map(F::from).map_err(|why| problems.bad(variable, &raw, why)).ok()
}

/// Generates, from one entry for each variable: its [`Variable`], `ALL` of them, the fields of `Config`, and `parse`.
macro_rules! variables {
    ($($name:ident {
        field: $field:ident: $type:ty,
        presence: $presence:ident $(($default:expr))?,
        parse: $parse:expr,
        secret: $secret:literal,
        description: $description:literal,
        allowed: $allowed:literal,
        example: $example:literal,
    })*) => {
        $(pub(super) const $name: Variable = Variable {
            name: stringify!($name),
            field: stringify!($field),
            presence: Presence::$presence $(($default))?,
            secret: $secret,
            description: $description,
            allowed: $allowed,
            example: $example,
        };)*

        pub(super) const ALL: &[Variable] = &[$($name),*];

        /// The checked settings of a server.
        #[allow(rustdoc::bare_urls, reason = "the descriptions are read in terminals too")]
        #[derive(Clone, Debug)]
        pub struct Config {
            $(#[doc = $description] pub $field: $type,)*
            /// The hosting platform, if it is a known one.
            pub platform: Option<Platform>,
            pub server_url_source: ServerUrlSource,
            /// Sentences for the operator, without a full stop and without secrets.
            pub warnings: Vec<String>,
        }

        /// The variables as envy maps them. They are text, because a mapper stops at the first value that it can't parse,
        /// and an operator wants to hear of all of them.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        pub(super) struct Raw {
            $($field: Option<String>,)*
        }

        /// Parses all variables before it gives up, so that one start shows all problems.
        pub(super) fn parse(raw: Raw, vars: &Vars, problems: &mut Problems) -> Option<Config> {
            $(let $field = take(&$name, raw.$field, $parse, variables!(@missing $presence), problems);)*
            Some(Config {
                $($field: $field?,)*
                platform: Platform::recognise(vars),
                server_url_source: server_url::source(vars),
                warnings: Vec::new(),
            })
        }
    };
    (@missing Optional) => { Some(Default::default()) };
    (@missing $presence:ident) => { None };
}
pub(super) use variables;
