//! What the demo tells its reader, in at most 80 columns.

use stand_in::Event;

/// Bold and cyan: readable on a dark and on a light background.
const COMMAND: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";
/// Above and below the command, so that it stands out without colours too.
const RULE: &str = "--------------------------------------------------------------------------------";

pub(crate) struct Guide {
    pub(crate) home: String,
    pub(crate) server_url: String,
    /// One app for all logins. Otherwise each login has a client of its own.
    pub(crate) has_app: bool,
}

impl Guide {
    /// The command stands on a line of its own, without indentation: a triple click selects it whole. `-y`: the temporary home
    /// has no copy of the CLI, so npx would ask before it downloads one.
    pub(crate) fn ready(&self) -> String {
        let log_in = self.command(&format!("auth:login --auth-server {}", self.server_url));
        format!(
            "
The demo is running. Paste this line into a second terminal:

{RULE}
{log_in}
{RULE}

It shows a code and opens a page in your browser. If none opens, open the link
that it prints. Compare the two codes, then continue, and press Authorize.

npx downloads the CLI, which needs Node.js 20.19 or newer. HOME keeps its
credentials apart from your own.

Each step appears below. Ctrl-C stops the demo.

"
        )
    }

    pub(crate) fn next_steps(&self) -> String {
        let (status, log_out) = (self.command("auth:status"), self.command("auth:logout"));
        format!(
            "
You are signed in. Try next, in the second terminal:

{status}
{log_out}

The first uses the token, the second signs out. Then sign in again, and press
Deny this time.

"
        )
    }

    /// Says what remains. `home_is_removed` is false for a home that the demo does not own.
    pub(crate) fn end(&self, has_own_database: bool, home_is_removed: bool) -> String {
        let database = if has_own_database {
            "The database is removed."
        } else {
            "The server's table stays in the database of DATABASE_URL."
        };
        let home = &self.home;
        let credentials = if home_is_removed {
            format!("{home} is removed, and the CLI's credentials with it.")
        } else {
            format!("The CLI's credentials stay until you remove them: rm -r {home}")
        };
        format!("{database}\n{credentials}\nTo host the server for real: README.md, \"Host it\".\n")
    }

    /// One step of a login, as the stand-in for Postiz sees it.
    pub(crate) fn step(&self, event: Event) -> &'static str {
        match event {
            Event::Registered => "The server registered a client for this login at Postiz.",
            Event::ConsentShown => "Postiz shows the consent page.",
            Event::Approved if self.has_app => "You pressed Authorize. An older token of yours no longer works.",
            Event::Approved => "You pressed Authorize. Older tokens of yours still work.",
            Event::Denied => "You pressed Deny.",
            Event::Exchanged => "The server exchanged the code for a token.",
            Event::ExchangeRefused => "Postiz refused an exchange.",
            Event::TokenUsed => "The CLI used its token.",
        }
    }

    fn command(&self, arguments: &str) -> String {
        format!("{COMMAND}HOME={} npx -y postiz {arguments}{PLAIN}", self.home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide() -> Guide {
        Guide { home: "/tmp/pz-4f2a".to_owned(), server_url: "http://localhost:65535".to_owned(), has_app: false }
    }

    fn without_colour(text: &str) -> String {
        text.replace(COMMAND, "").replace(PLAIN, "")
    }

    #[test]
    fn all_texts_fit_into_80_columns() {
        let guide = guide();
        let ends = [(true, true), (true, false), (false, true), (false, false)];
        let texts = ends.map(|(database, home)| guide.end(database, home));
        for text in texts.into_iter().chain([guide.ready(), guide.next_steps()]) {
            for line in without_colour(&text).lines() {
                assert!(line.len() <= 80, "{line}");
            }
        }
    }

    #[test]
    fn the_command_is_the_only_thing_on_its_line() {
        let ready = without_colour(&guide().ready());
        let command = "HOME=/tmp/pz-4f2a npx -y postiz auth:login --auth-server http://localhost:65535";
        assert!(ready.lines().any(|line| line == command), "{ready}");
    }
}
