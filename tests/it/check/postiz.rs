//! Postiz.

use std::net::TcpListener;

use stand_in::{Fault, Metadata, RegisteredApp, StandIn};

use super::{answering, check, free_port};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_postiz_that_registers_no_client_fails_with_the_steps_to_make_an_app() {
    let mut stage = Stage::new().await;
    stage.remove_app();
    let callback = format!("{}/device/callback", stage.balancer.url());
    let steps = ["Settings → Developers", callback.as_str(), "POSTIZ_OAUTH_CLIENT_ID"];
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
    check(&mut stage, &[]).await.blames("postiz.registration", &["failed to answer", "log"]);
    stage.postiz.verify_domains();
    check(&mut stage, &[]).await.blames("postiz.registration", &[&steps[..], &["DCR_VERIFIED_DOMAINS"]].concat());
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
