//! A terminal: speaks like the published CLI, or like a client of RFC 8628.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{FORM, JSON, eventually_some};

#[derive(Clone)]
pub struct Cli {
    server: String,
    http: Client,
}

/// A login under way, as its terminal knows it.
#[derive(Clone)]
pub struct Login {
    pub device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    pub answer: Value,
    cli: Cli,
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    Token(String),
    Error(String),
}

impl Poll {
    pub fn error(word: &str) -> Self {
        Self::Error(word.to_owned())
    }
}

impl Cli {
    pub fn new(server: &str) -> Self {
        Self { server: server.to_owned(), http: super::http().build().unwrap() }
    }

    /// `POST /device/code` as the CLI sends it: JSON, and an empty body.
    pub async fn open(&self) -> Login {
        self.opened(self.send("/device/code", JSON, String::new()).await).await
    }

    /// As an RFC 8628 client opens it: it has to keep the interval.
    pub async fn open_by_form(&self) -> Login {
        self.open_with("client_id=x").await
    }

    /// The same with these fields.
    pub async fn open_with(&self, form: &str) -> Login {
        self.opened(self.send("/device/code", FORM, form.to_owned()).await).await
    }

    /// The same from an address that a proxy names.
    pub async fn open_at(&self, address: &str) -> Login {
        let request = self.http.post(format!("{}/device/code", self.server)).header("X-Forwarded-For", address);
        self.opened(request.send().await.unwrap()).await
    }

    async fn opened(&self, answer: Response) -> Login {
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Login {
            device_code: text("device_code"),
            user_code: text("user_code"),
            verification_uri: text("verification_uri"),
            cli: self.clone(),
            answer,
        }
    }

    /// Opens a login, again and again while the server has to refuse.
    pub async fn open_at_last(&self) -> Login {
        let open = async || {
            let answer = self.send("/device/code", JSON, String::new()).await;
            assert!(answer.status() == 200 || answer.status() == 503, "{}", answer.status());
            Some(answer).filter(|answer| answer.status() == 200)
        };
        self.opened(eventually_some("a login to be opened", open).await).await
    }

    pub async fn send(&self, path: &str, content_type: &str, body: String) -> Response {
        let request = self.http.post(format!("{}{path}", self.server)).header(CONTENT_TYPE, content_type).body(body);
        request.send().await.unwrap()
    }
}

impl Login {
    /// The same login, polled at another address.
    pub fn at(&self, server: &str) -> Self {
        Self { cli: Cli::new(server), ..self.clone() }
    }

    /// The CLI's link to the code page.
    pub fn link(&self) -> String {
        format!("{}?code={}", self.verification_uri, self.user_code)
    }

    /// What the CLI sends with each poll.
    pub fn poll_body(&self) -> String {
        serde_json::json!({ "device_code": self.device_code }).to_string()
    }

    /// One poll in the CLI's dialect; it may be held.
    pub async fn poll(&self) -> Poll {
        poll(self.cli.send("/device/token", JSON, self.poll_body()).await).await
    }

    /// The same beside the test.
    pub fn held(&self) -> JoinHandle<Poll> {
        let login = self.clone();
        tokio::spawn(async move { login.poll().await })
    }

    /// Polls until the login is decided, as the published CLI does: no broken connection ends it.
    pub async fn decided_at_last(&self) -> Poll {
        let request = self.cli.http.post(format!("{}/device/token", self.cli.server));
        let request = request.header(CONTENT_TYPE, JSON).body(self.poll_body());
        let ask = async || match request.try_clone().unwrap().send().await {
            Ok(answer) => decision(poll(answer).await),
            Err(_) => None,
        };
        eventually_some("a decision", ask).await
    }

    /// One poll in RFC 8628's dialect.
    pub async fn poll_form(&self) -> Poll {
        poll(self.poll_with("&client_id=x").await).await
    }

    /// The same with these fields: the answer as it is.
    pub async fn poll_with(&self, fields: &str) -> Response {
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
        let body = format!("grant_type={grant}&device_code={}{fields}", self.device_code);
        self.cli.send("/device/token", FORM, body).await
    }

    /// Nothing is decided yet.
    pub async fn assert_pending(&self) {
        assert_eq!(self.poll_form().await, Poll::error("authorization_pending"));
    }

    /// Every poll gets this error, in both dialects.
    pub async fn assert_refused(&self, error: &str) {
        assert_eq!((self.poll_form().await, self.poll().await), (Poll::error(error), Poll::error(error)));
    }

    /// Polls until the login is decided.
    pub async fn decided(&self) -> Poll {
        eventually_some("a decision", async || decision(self.poll().await)).await
    }
}

fn decision(poll: Poll) -> Option<Poll> {
    Some(poll).filter(|poll| *poll != Poll::error("authorization_pending"))
}

async fn poll(answer: Response) -> Poll {
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    match body["access_token"].as_str() {
        Some(token) => {
            assert_eq!(status, 200);
            assert!(body["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"));
            assert!(body["api_url"].as_str().unwrap().ends_with("/api"));
            assert_eq!(body["cus"], Value::Null);
            Poll::Token(token.to_owned())
        }
        None => {
            assert_eq!(status, 400);
            Poll::Error(body["error"].as_str().unwrap().to_owned())
        }
    }
}
