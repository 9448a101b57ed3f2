//! The body of `POST /oauth/token`, form or JSON, checked as Postiz's framework checks it.

use serde_json::{Map, Value, json};

use crate::postiz::state::is_dynamic;

pub(super) struct TokenRequest {
    pub(super) grant_type: String,
    pub(super) code: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    pub(super) code_verifier: Option<String>,
    pub(super) redirect_uri: Option<String>,
}

/// The framework's message: a sentence, or a list of them.
pub(super) struct BadRequest(pub(super) Value);

impl TokenRequest {
    /// Reads the credentials from the body only. Without them there it is a framework error, also with Basic authentication.
    pub(super) fn parse(content_type: &str, body: &[u8]) -> Result<Self, BadRequest> {
        let fields = fields(content_type, body)?;
        let mut missing = Vec::new();
        // Only a registered client may be public.
        let is_public = optional(&fields, "client_id").is_some_and(|id| is_dynamic(&id));
        let mut required = |name: &str| {
            let text = optional(&fields, name);
            if text.is_none() {
                missing.push(format!("{name} should not be null or undefined"));
                missing.push(format!("{name} must be a string"));
            }
            text.unwrap_or_default()
        };
        if !is_public {
            required("client_secret");
        }
        let request = Self {
            grant_type: required("grant_type"),
            code: required("code"),
            client_id: required("client_id"),
            client_secret: optional(&fields, "client_secret"),
            code_verifier: optional(&fields, "code_verifier"),
            redirect_uri: optional(&fields, "redirect_uri"),
        };
        if missing.is_empty() { Ok(request) } else { Err(BadRequest(json!(missing))) }
    }
}

/// Treats a body of another media type as empty.
fn fields(content_type: &str, body: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    match content_type {
        "application/json" => serde_json::from_slice(body).map_err(|_| BadRequest(json!("Unexpected token in JSON"))),
        "application/x-www-form-urlencoded" => {
            Ok(url::form_urlencoded::parse(body).map(|(name, text)| (name.into_owned(), json!(text))).collect())
        }
        _ => Ok(Map::new()),
    }
}

fn optional(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(str::to_owned)
}
