//! The answer to a successful exchange, read leniently: only the token itself has to be right.

use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::grant::Credentials;

/// `{"id": "<organization>", "access_token": "pos_...", "token_type": "bearer", ..}`.
///
/// Only what the terminal needs is read. In particular `cus`, a billing id, is left behind. Never written: `Serialize` is
/// demanded by [`TokenResponse`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct PostizToken {
    access_token: AccessToken,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    scope: Value,
}

impl PostizToken {
    /// The credentials, or `None` if the token is empty.
    pub(super) fn into_credentials(self) -> Option<Credentials> {
        let text = |value: Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let token = self.access_token.into_secret();
        (!token.is_empty()).then(|| Credentials {
            access_token: token.into(),
            token_type: "bearer".to_owned(),
            organization_id: text(self.id),
            scope: text(self.scope),
        })
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
        assert_eq!((found.organization_id, found.token_type.as_str(), found.scope), (None, "bearer", None));
        assert!(read(r#"{"access_token":"pos_x"}"#).is_some());
    }

    #[test]
    fn no_token_is_no_success() {
        for json in ["{}", r#"{"access_token":""}"#, r#"{"access_token":null}"#, r#"{"access_token":7}"#, "[]"] {
            assert!(read(json).is_none(), "{json}");
        }
    }
}
