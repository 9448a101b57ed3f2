//! The answer to a successful exchange, read leniently: only the token itself has to be right.

use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::grant::Credentials;

/// `{"id": "<organization>", "access_token": "pos_...", "token_type": "bearer", ..}`.
///
/// Only what the terminal needs is read. In particular `cus`, a billing id, is left behind.
#[derive(Deserialize)]
pub(super) struct PostizToken {
    access_token: AccessToken,
    #[serde(default)]
    token_type: Value,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    scope: Value,
}

impl PostizToken {
    /// The credentials, or `None` if the token is empty.
    pub(super) fn into_credentials(self) -> Option<Credentials> {
        // Words of RFC 6749 §3.3.
        let is_scope = |text: &str| text.bytes().all(|byte| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~'));
        let token = self.access_token.into_secret();
        (!token.is_empty()).then(|| Credentials {
            access_token: token.into(),
            token_type: text(self.token_type).unwrap_or_else(|| "bearer".to_owned()),
            // A string today, and perhaps a number one day.
            organization_id: if self.id.is_number() { Some(self.id.to_string()) } else { text(self.id) },
            scope: text(self.scope).filter(|scope| is_scope(scope)),
        })
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

impl std::fmt::Debug for PostizToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostizToken(..)")
    }
}

/// Demanded by [`TokenResponse`]; a token of ours is never written this way.
impl Serialize for PostizToken {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a token is not written"))
    }
}

impl TokenResponse for PostizToken {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &BasicTokenType::Bearer
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(json: &str) -> Option<Credentials> {
        serde_json::from_str::<PostizToken>(json).ok().and_then(PostizToken::into_credentials)
    }

    #[test]
    fn the_token_responses_of_postiz_are_read() {
        let found =
            read(r#"{"id":"org","cus":"cus_1","access_token":"pos_x","token_type":"bearer","scope":"a"}"#).unwrap();
        assert_eq!(found.access_token.expose_secret(), "pos_x");
        assert_eq!((found.organization_id.as_deref(), found.scope.as_deref()), (Some("org"), Some("a")));
    }

    #[test]
    fn odd_types_beside_the_token_do_no_harm() {
        let found = read(r#"{"id":7,"access_token":"pos_x","token_type":null,"scope":null,"expires_in":"1"}"#).unwrap();
        assert_eq!((found.organization_id.as_deref(), found.token_type.as_str()), (Some("7"), "bearer"));
        assert!(read(r#"{"access_token":"pos_x"}"#).is_some());
        for scope in [r#""""#, r#""a\nb""#, r#""ä""#, "7", r#"["a"]"#] {
            assert_eq!(read(&format!(r#"{{"access_token":"pos_x","scope":{scope}}}"#)).unwrap().scope, None, "{scope}");
        }
    }

    #[test]
    fn no_token_is_no_success() {
        for json in ["{}", r#"{"access_token":""}"#, r#"{"access_token":null}"#, r#"{"access_token":7}"#, "[]"] {
            assert!(read(json).is_none(), "{json}");
        }
    }
}
