mod consent;
mod exchange;
mod faults;
mod registration;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

use super::*;

const CALLBACK: &str = "http://localhost:3111/device/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Of `VERIFIER`: RFC 7636, appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough to see that no answer comes.
const BRIEF: Duration = Duration::from_millis(150);

fn app(client_id: &str) -> RegisteredApp {
    RegisteredApp { client_id: client_id.into(), client_secret: "pcs_secret".into(), redirect_uri: CALLBACK.into() }
}

fn stand_in() -> StandIn {
    start("pca_demo", None)
}

fn start(client_id: &str, events: Option<UnboundedSender<Event>>) -> StandIn {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    StandIn::start(app(client_id), listener, events).unwrap()
}

/// A browser is a person.
fn browser() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).cookie_store(true).build().unwrap()
}

fn location(response: &Response) -> Url {
    let location = response.headers()["location"].to_str().unwrap();
    response.url().join(location).unwrap()
}

fn query(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}

fn authorize_url(postiz: &StandIn, client_id: &str) -> Url {
    let mut url = Url::parse(&format!("{}/oauth/authorize", postiz.frontend_url())).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("client_id", client_id),
        ("response_type", "code"),
        ("state", "st&te"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    url
}

/// Submits the form of a page with one of its buttons.
async fn press(browser: &Client, page: Response, button: Option<&str>) -> Response {
    assert_eq!(page.status(), 200);
    let here = page.url().clone();
    let html = scraper::Html::parse_document(&page.text().await.unwrap());
    let select = |css| scraper::Selector::parse(css).unwrap();
    let form = html.select(&select("form")).next().unwrap();
    let input = select("input");
    let inputs = form.select(&input);
    let mut fields: Vec<(&str, &str)> =
        inputs.map(|input| (input.attr("name").unwrap(), input.attr("value").unwrap())).collect();
    if let Some(value) = button {
        let css = format!("button[value={value}]");
        fields.push((form.select(&select(&css)).next().unwrap().attr("name").unwrap(), value));
    }
    let action = here.join(form.attr("action").unwrap()).unwrap();
    browser.post(action).form(&fields).send().await.unwrap()
}

async fn approve(postiz: &StandIn, browser: &Client) -> String {
    let page = browser.get(authorize_url(postiz, "pca_demo")).send().await.unwrap();
    query(&location(&press(browser, page, Some("approve")).await))["code"].clone()
}

fn request<'a>(client_id: &'a str, code: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", client_id),
        ("client_secret", "pcs_secret"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

async fn try_exchange(postiz: &StandIn, code: &str) -> reqwest::Result<Response> {
    let url = format!("{}/oauth/token", postiz.api_url());
    browser().post(url).form(&request("pca_demo", code)).send().await
}

async fn exchange(postiz: &StandIn, code: &str) -> (u16, Value) {
    let response = try_exchange(postiz, code).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn integrations(postiz: &StandIn, authorization: &str) -> u16 {
    let url = format!("{}/public/v1/integrations", postiz.api_url());
    browser().get(url).header("Authorization", authorization).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_login_goes_through_consent_exchange_and_integrations() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let (postiz, browser) = (start("pca_demo", Some(sender)), browser());

    let page = browser.get(authorize_url(&postiz, "pca_demo")).send().await.unwrap();
    let back = location(&press(&browser, page, Some("approve")).await);
    assert!(back.as_str().starts_with(CALLBACK));
    assert_eq!(query(&back)["state"], "st&te");
    let (status, answer) = exchange(&postiz, &query(&back)["code"]).await;

    assert_eq!(status, 201, "not 200");
    let token = answer["access_token"].as_str().unwrap();
    assert!(token.starts_with("pos_"));
    assert_eq!((&answer["token_type"], &answer["id"]), (&json!("bearer"), &json!("org_1")));
    assert!(answer["cus"].is_string() && answer.get("expires_in").is_none());
    assert_eq!(integrations(&postiz, token).await, 200);
    assert_eq!(integrations(&postiz, &format!("Bearer {token}")).await, 401);
    assert_eq!(postiz.live_token().as_deref(), Some(token));

    assert!(postiz.authorizations()[0].contains(&("code_challenge".into(), CHALLENGE.into())));
    let seen = &postiz.exchanges()[0];
    assert_eq!(seen.redirect_uri.as_deref(), Some(CALLBACK));
    assert!(seen.verifier_matches && seen.granted);
    for event in [Event::ConsentShown, Event::Approved, Event::Exchanged, Event::TokenUsed] {
        assert_eq!(events.recv().await, Some(event));
    }
}

#[tokio::test]
async fn the_registered_app_needs_no_secret_to_be_read() {
    let postiz = stand_in();
    let url = format!("{}/oauth/authorize?response_type=code&client_id=", postiz.api_url());
    let answer: Value = browser().get(format!("{url}pca_demo")).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&answer["app"]["name"], &answer["app"]["redirectUrl"]),
        (&json!("postiz-auth-server"), &json!(CALLBACK))
    );
    let unknown = browser().get(format!("{url}pca_other")).send().await.unwrap();
    assert_eq!(unknown.status(), 400);
    assert_eq!(unknown.json::<Value>().await.unwrap(), json!({ "statusCode": 400, "message": "Invalid client_id" }));
}

#[tokio::test]
async fn exchange_begun_returns_once_the_exchanges_have_arrived() {
    let postiz = stand_in();
    let two = async { tokio::join!(exchange(&postiz, "one"), exchange(&postiz, "two")) };
    let (waited, _) = tokio::join!(timeout(TIMEOUT, postiz.exchange_begun(2)), two);
    waited.unwrap();
    assert_eq!(postiz.exchanges().len(), 2);
}
