//! Postiz.

use std::net::TcpListener;

use stand_in::{Fault, Metadata, RegisteredApp, StandIn};

use super::{answering, check, free_port, serving};
use crate::support::{CLIENT_SECRET, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_postiz_fails_with_its_cause() {
    let mut stage = Stage::new().await;
    let closed = format!("http://localhost:{}/api", free_port());
    let frontend = stage.postiz.frontend_url();
    let broken = answering("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    for (instead, check_name, words) in [
        (("POSTIZ_API_URL", closed.as_str()), "postiz.api", ["can't be reached", "refused"]),
        (("POSTIZ_API_URL", &frontend), "postiz.api", ["status 200", "your-host/api"]),
        (("POSTIZ_API_URL", &broken), "postiz.api", ["502", "Look at Postiz"]),
        (("POSTIZ_OAUTH_CLIENT_ID", "pcd_unknown"), "postiz.client_id", ["no app", "pcd_unknown"]),
        (("POSTIZ_OAUTH_CLIENT_SECRET", "hunter2"), "postiz.client_secret", ["refuses", "Copy the secret"]),
    ] {
        check(&mut stage, &[instead]).await.blames(check_name, &words);
    }
    // Postiz shows the callback of an app that was made by hand only.
    stage.postiz.set_redirect_uri("https://old.example.com/device/callback");
    check(&mut stage, &[]).await.blames("postiz.callback", &["refuses the callback", "redirect URL"]);
    let by_hand = RegisteredApp {
        client_id: "pca_tests".to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uri: "https://old.example.com/device/callback".to_owned(),
    };
    let postiz = StandIn::start(by_hand, TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
    let api = postiz.api_url();
    let instead = [("POSTIZ_OAUTH_CLIENT_ID", "pca_tests"), ("POSTIZ_API_URL", api.as_str())];
    check(&mut stage, &instead).await.blames("postiz.callback", &["https://old.example.com/device/callback"]);
}

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn json(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_at_another_address_than_postizs_own_fails_with_the_right_one() {
    let mut stage = Stage::new().await;
    // Current versions have the document at the first address, older ones at the second, and the oldest at neither.
    for document in
        ["/api/.well-known/oauth-authorization-server/mcp-oauth", "/api/.well-known/oauth-authorization-server"]
    {
        let api = serving(move |path| match path {
            _ if path == document => {
                json("200 OK", r#"{"authorization_endpoint":"https://postiz.example.com/oauth/authorize"}"#)
            }
            _ => json("404 Not Found", r#"{"message":"Cannot GET /x","error":"Not Found","statusCode":404}"#),
        })
        .await;
        let api = format!("{api}/api");
        let report = check(&mut stage, &[("POSTIZ_API_URL", &api)]).await;
        report.blames("postiz.front_end", &["Postiz calls itself https://postiz.example.com", "form-action"]);
        let same = [("POSTIZ_API_URL", api.as_str()), ("POSTIZ_FRONTEND_URL", "https://postiz.example.com/")];
        let report = check(&mut stage, &same).await;
        assert!(!report.text.contains("calls itself"), "{}", report.text);
    }
    let to_other = "HTTP/1.1 301 Moved\r\nLocation: https://postiz.example.com/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let alias = answering(to_other).await;
    let without_metadata = format!("{}/api", serving(|_| NOT_FOUND.to_owned()).await);
    let set_up = |front_end| [("POSTIZ_API_URL", without_metadata.as_str()), ("POSTIZ_FRONTEND_URL", front_end)];
    let report = check(&mut stage, &set_up(&alias)).await;
    report.blames("postiz.front_end", &["redirects to https://postiz.example.com.", "form-action"]);
    let within = serving(|path| match path {
        "/" => "HTTP/1.1 307 Go\r\nLocation: /auth\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        _ => json("200 OK", "{}"),
    })
    .await;
    let report = check(&mut stage, &set_up(&within)).await;
    assert_eq!(report.of("postiz.front_end")[0].0, "ok", "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_callback_of_a_registered_client_is_right_and_an_unneeded_secret_is_skipped() {
    let mut stage = Stage::new().await;
    let public_client = serving(|path| match path {
        "/api/oauth/authorize" => json("200 OK", r#"{"app":{"redirectUrl":"https://first.example.com/callback"}}"#),
        "/api/oauth/token" => json("400 Bad Request", r#"{"error":"invalid_grant"}"#),
        _ => NOT_FOUND.to_owned(),
    })
    .await;
    let api = format!("{public_client}/api");
    let report = check(&mut stage, &[("POSTIZ_API_URL", &api)]).await;
    assert_eq!(report.of("postiz.callback")[0].0, "ok", "{}", report.text);
    let (verdict, text) = &report.of("postiz.client_secret")[0];
    assert_eq!((*verdict, text.contains("public client")), ("skipped", true), "{}", report.text);
    // Of an app that was made by hand, Postiz compares nothing.
    let report = check(&mut stage, &[("POSTIZ_API_URL", &api), ("POSTIZ_OAUTH_CLIENT_ID", "pca_tests")]).await;
    report.blames("postiz.callback", &["https://first.example.com/callback"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_id_of_postizs_own_sign_in_fails_with_its_cause() {
    let mut stage = Stage::new().await;
    let report = check(&mut stage, &[("POSTIZ_OAUTH_CLIENT_ID", "0oa1b2c3")]).await;
    report.blames("postiz.client_id", &["does not begin with pca_ or pcd_", "Don't share Postiz's environment"]);
    assert!(!report.text.contains("0oa1b2c3"), "it may be another provider's");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_address_that_only_this_network_knows_is_warned_of_unless_terminals_get_another() {
    let mut stage = Stage::new().await;
    let verdict = async |stage: &mut Stage, variables: &[(&'static str, &str)]| {
        let report = check(stage, variables).await;
        let (verdict, text) = &report.of("postiz.public_api")[0];
        ((*verdict).to_owned(), text.clone())
    };
    let outside = ("SERVER_URL", "https://auth.invalid");
    let (found, text) = verdict(&mut stage, &[outside]).await;
    assert!(
        found == "warn" && text.contains("only this machine knows") && text.contains("POSTIZ_PUBLIC_API_URL"),
        "{text}"
    );
    let internal = ("POSTIZ_PUBLIC_API_URL", "http://postiz:5000/api");
    let (found, text) = verdict(&mut stage, &[outside, internal]).await;
    assert!(found == "warn" && text.contains("only this network knows"), "{text}");
    let public = ("POSTIZ_PUBLIC_API_URL", "https://postiz.example.com/api");
    assert_eq!(verdict(&mut stage, &[outside, public]).await.0, "ok");
    assert_eq!(verdict(&mut stage, &[]).await.0, "ok", "all on one machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postiz_that_registers_no_client_fails_with_the_steps_to_make_an_app() {
    let mut stage = Stage::new().await;
    stage.remove_app();
    let callback = format!("{}/device/callback", stage.balancer.url());
    let steps = ["Developers → Apps", callback.as_str(), "POSTIZ_OAUTH_CLIENT_ID"];
    for (metadata, word) in [
        (Metadata::Missing, "no OAuth metadata"),
        (Metadata::WithoutSuffix, "registration_endpoint"),
        (Metadata::WithoutRegistration, "registration_endpoint"),
    ] {
        stage.postiz.set_metadata(metadata);
        check(&mut stage, &[]).await.blames("postiz.registration", &[&steps[..], &[word]].concat());
    }
    stage.postiz.set_metadata(Metadata::WithRegistration);
    stage.postiz.next_registrations([Fault::BadGateway]);
    check(&mut stage, &[]).await.blames("postiz.registration", &["status 502", "log"]);
    stage.postiz.verify_domains();
    check(&mut stage, &[]).await.blames(
        "postiz.registration",
        &[&steps[..], &["DCR_VERIFIED_DOMAINS", "invalid_redirect_uri (", "verified domain"]].concat(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_end_follows_the_metadata() {
    let mut stage = Stage::new().await;
    let frontend = stage.postiz.frontend_url();
    let report = check(&mut stage, &[("POSTIZ_FRONTEND_URL", "")]).await;
    assert!(report.of("postiz.front_end")[0].1.contains(&frontend), "{}", report.text);
    stage.postiz.set_metadata(Metadata::Missing);
    check(&mut stage, &[("POSTIZ_FRONTEND_URL", "")]).await.blames("postiz.front_end", &["Set POSTIZ_FRONTEND_URL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_without_https_is_blamed_for_a_refused_registration() {
    let mut stage = Stage::new().await;
    stage.remove_app();
    let report = check(&mut stage, &[("SERVER_URL", "http://192.168.1.5:3111")]).await;
    report.blames("postiz.registration", &["must be https", "only for https://", "SERVER_URL", "Developers → Apps"]);
    assert!(!report.of("postiz.registration")[0].1.contains("DCR_VERIFIED_DOMAINS"), "{}", report.text);
}

/// The framework's 404 repeats the query, and so the words by which Postiz refuses a client.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_of_the_api_is_blamed_with_and_without_an_app() {
    let mut stage = Stage::new().await;
    let not_found = r#"{"message":"Cannot GET /v1/x?client_id=a&redirect_uri=b","error":"Not Found","statusCode":404}"#;
    let api = format!("{}/api/v1", serving(move |_| json("404 Not Found", not_found)).await);
    for with_app in [true, false] {
        if !with_app {
            stage.remove_app();
        }
        let report = check(&mut stage, &[("POSTIZ_API_URL", &api)]).await;
        report.blames("postiz.api", &["status 404", "https://your-host/api, with nothing after it"]);
        assert!(!report.text.contains("make an OAuth app"), "{}", report.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_before_postiz_is_named() {
    let mut stage = Stage::new().await;
    for (answer, words) in [
        ("403 Forbidden\r\ncf-mitigated: challenge", ["cf-mitigated: challenge", "Cloudflare"]),
        ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", ["status 401", "asks for a password"]),
        (
            "301 Moved\r\nLocation: https://postiz.example.com/x?client_id=y",
            ["location: https://postiz.example.com/x)", "API at"],
        ),
        ("307 Go\r\nLocation: /auth", ["location: /auth", "https://your-host/api"]),
    ] {
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let api = serving(move |_| answer.clone()).await;
        check(&mut stage, &[("POSTIZ_API_URL", &api)]).await.blames("postiz.api", &words);
    }
}

/// As Postiz writes it if its `FRONTEND_URL` ends with a slash.
#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_slash_in_the_metadata_is_no_other_front_end_and_another_path_is_one() {
    let mut stage = Stage::new().await;
    let at = async |endpoint: &'static str| {
        let body = format!(r#"{{"authorization_endpoint":"{endpoint}"}}"#);
        format!("{}/api", serving(move |_| json("200 OK", &body)).await)
    };
    let api = at("http://localhost:1//oauth/authorize").await;
    let report = check(&mut stage, &[("POSTIZ_API_URL", &api), ("POSTIZ_FRONTEND_URL", "http://localhost:1")]).await;
    assert!(!report.text.contains("calls itself"), "{}", report.text);
    let report =
        check(&mut stage, &[("POSTIZ_API_URL", &api), ("POSTIZ_FRONTEND_URL", "http://localhost:1/social")]).await;
    report.blames("postiz.front_end", &["calls itself http://localhost:1.", "POSTIZ_FRONTEND_URL=http://localhost:1"]);
}

/// The document names a public address, which an internal network may not reach.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_registered_at_the_apis_own_address_and_else_at_the_published_one() {
    let mut stage = Stage::new().await;
    stage.remove_app();
    let not_here = r#"{"message":"Cannot POST /x","error":"Not Found","statusCode":404}"#;
    let published = serving(|_| json("201 Created", r#"{"client_id":"pcd_published"}"#)).await;
    for (endpoint, own, client) in [
        ("http://localhost:1/api/oauth/register", json("201 Created", r#"{"client_id":"pcd_own"}"#), "pcd_own"),
        (&format!("{published}/api/oauth/register"), json("404 Not Found", not_here), "pcd_published"),
    ] {
        let document = json(
            "200 OK",
            &format!(
                r#"{{"authorization_endpoint":"http://localhost:1/oauth/authorize","registration_endpoint":"{endpoint}"}}"#
            ),
        );
        let api =
            serving(move |path| if path.ends_with("/oauth/register") { own.clone() } else { document.clone() }).await;
        let report = check(&mut stage, &[("POSTIZ_API_URL", &format!("{api}/api"))]).await;
        let [(verdict, text)] = report.of("postiz.registration").try_into().unwrap();
        assert!(verdict == "ok" && text.contains(client), "{endpoint}: {}", report.text);
    }
}
