//! `GET /health/mirror`: how a request looks when it arrives here, shown to our own `check` alone.
//!
//! `check` asks through `SERVER_URL`, from outside in. It proves with the client secret, which both
//! sides have, that it may ask; the answer proves in the same way that it comes from this very
//! server or a sibling. The secret itself does not travel. To everyone else there is nothing here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::http::Deps;
use crate::http::errors::ClientError;
use crate::secret::{Digest, Secret};

/// Below `SERVER_URL`.
pub const PATH: &str = "/health/mirror";
/// The request header with the question.
pub const QUESTION: &str = "X-Postiz-Auth-Check";
/// What proxies tell of the client.
const FORWARDED: [&str; 6] =
    ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "fly-client-ip", "forwarded", "x-forwarded-proto"];

/// What this server and its `check` have in common.
#[derive(Debug)]
pub struct MirrorKey(Secret);

/// One question of `check`'s: a random number, and the proof that it may ask.
#[derive(Debug)]
pub struct Question(Secret);

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reflection {
    /// Proves that it comes from a holder of the client secret.
    proof: String,
    /// Tells the server's database from others; none where it did not answer.
    pub database: Option<i64>,
    /// The other end of the TCP connection.
    pub peer: Option<IpAddr>,
    /// Who the request came from, by `CLIENT_IP_SOURCE`.
    pub client: Option<IpAddr>,
    /// The headers in which proxies tell of the client, by their names in lower case.
    pub forwarded: BTreeMap<String, String>,
}

impl MirrorKey {
    /// Derives it; nothing leads back to the client secret.
    pub fn new(client_secret: &SecretString) -> Self {
        let digest = Digest::of(client_secret.expose_secret().as_bytes());
        Self(Secret::from_bytes(*digest.as_bytes()).derive("mirror", b""))
    }

    /// The header that asks.
    pub fn ask(&self, question: &Question) -> String {
        let number = question.0.to_base64url();
        format!("{number}.{}", self.0.derive("question", number.as_bytes()).to_base64url())
    }

    /// Reads the header; none where it was not made with this key.
    fn asked(&self, header: &str) -> Option<Question> {
        let (number, proof) = header.split_once('.')?;
        let expected = self.0.derive("question", number.as_bytes());
        // Digests are compared: the time that takes says nothing of the proof.
        let right = Secret::from_base64url(proof)?.digest() == expected.digest();
        right.then(|| Secret::from_base64url(number).map(Question))?
    }

    fn proof(&self, question: &Question) -> String {
        self.0.derive("answer", question.0.expose()).to_base64url()
    }

    /// Whether this answer to this question comes from a holder of the same key.
    pub fn recognises(&self, question: &Question, reflection: &Reflection) -> bool {
        let given = Secret::from_base64url(&reflection.proof).map(|proof| proof.digest());
        given == Some(self.0.derive("answer", question.0.expose()).digest())
    }
}

impl Question {
    /// A new one.
    pub fn random() -> Self {
        Self(Secret::random())
    }
}

/// Answers `check`.
pub async fn mirror(request: HttpRequest, deps: Data<Deps>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(question) = header(QUESTION).and_then(|header| deps.mirror_key.asked(header)) else {
        return ClientError::NotFound.error_response();
    };
    let forwarded = FORWARDED.into_iter().filter_map(|name| {
        let lines: Vec<_> = request.headers().get_all(name).filter_map(|line| line.to_str().ok()).collect();
        (!lines.is_empty()).then(|| (name.to_owned(), lines.join(", ")))
    });
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Reflection {
        proof: deps.mirror_key.proof(&question),
        database: deps.flow.store().database().fingerprint().await.ok().flatten(),
        peer: request.peer_addr().map(|peer| peer.ip().to_canonical()),
        client: deps.client_ip.of(&request),
        forwarded: forwarded.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> MirrorKey {
        MirrorKey::new(&SecretString::from(secret))
    }

    fn answer(key: &MirrorKey, question: &Question) -> Reflection {
        let proof = key.proof(question);
        Reflection { proof, database: None, peer: None, client: None, forwarded: BTreeMap::new() }
    }

    #[test]
    fn who_has_the_secret_is_answered_and_recognised() {
        let question = Question::random();
        let heard = key("a").asked(&key("a").ask(&question)).expect("the same key");
        assert!(key("a").recognises(&question, &answer(&key("a"), &heard)));
    }

    #[test]
    fn who_has_another_secret_or_repeats_a_question_as_its_answer_is_not() {
        let question = Question::random();
        assert!(key("a").asked(&key("b").ask(&question)).is_none());
        assert!(!key("a").recognises(&question, &answer(&key("b"), &question)));
        let header = key("a").ask(&question);
        for header in ["", ".", "a.b", &header[1..], header.split_once('.').unwrap().0] {
            assert!(key("a").asked(header).is_none(), "{header}");
        }
        let echo = Reflection { proof: header.split_once('.').unwrap().1.to_owned(), ..answer(&key("a"), &question) };
        assert!(!key("a").recognises(&question, &echo));
    }
}
