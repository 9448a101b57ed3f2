//! Without an app, each login registers a client of its own at Postiz.

use std::net::TcpListener;
use std::sync::Arc;

use futures_util::future::join_all;
use stand_in::{Fault, Metadata, RegisteredApp, StandIn};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use url::Url;

use crate::support::{Browser, CLIENT_SECRET, Login, Page, Poll, Replica, Stage, free_port, in_time};

/// Opens a login in this browser, approves it and returns its token.
async fn signed_in(stage: &Stage, browser: &Browser) -> String {
    let login = stage.cli().open().await;
    let consent = browser.confirm(&login).await;
    let done = browser.approve(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let Poll::Token(token) = login.decided().await else { panic!("no token") };
    token
}

async fn confirm_page(browser: &Browser, login: &Login) -> Page {
    browser.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await
}

fn client_id(url: &Url) -> String {
    url.query_pairs().find(|(name, _)| name == "client_id").unwrap().1.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_registers_a_client_whose_name_shows_its_code() {
    let stage = Stage::registering(2, &[]).await;
    let login = stage.cli().open_at("203.0.113.7").await;
    let browser = Browser::at("203.0.113.7");
    let page = confirm_page(&browser, &login).await;
    assert!(page.says("Postiz will show this code"), "{}", page.text);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains(&format!("form-action 'self' {};", stage.postiz.frontend_url())), "{policy}");
    assert_eq!(stage.postiz.registrations_begun(), 0, "a login that is only looked at costs Postiz nothing");

    let consent = browser.press(&page, ("action", "continue"), &[]).await;
    let clients = stage.postiz.clients();
    let [client] = &clients[..] else { panic!("{clients:?}") };
    let name = &client.client_name;
    // A hyphen that does not break, and a date that reads the same everywhere.
    let code = login.user_code.replace('-', "\u{2011}");
    assert!(name.starts_with(&format!("Postiz CLI, code {code}, ")), "{name}");
    assert!(name.ends_with(" UTC, 203.0.113.7") && name.chars().count() <= 100, "{name}");
    assert!(consent.says(name), "{}", consent.text);
    assert_eq!(client_id(&consent.url), client.client_id);

    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    let exchange = &stage.postiz.exchanges()[0];
    assert!(exchange.client_id == client.client_id && !exchange.has_secret && exchange.verifier_matches);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_signs_the_first_one_out_only_with_an_app() {
    for (stage, stays) in [(Stage::registering(1, &[]).await, true), (Stage::new().await, false)] {
        let browser = Browser::new();
        let first = signed_in(&stage, &browser).await;
        let second = signed_in(&stage, &browser).await;
        assert!(stage.postiz.is_live(&second));
        assert_eq!(stage.postiz.is_live(&first), stays);
        let page = confirm_page(&browser, &stage.cli().open().await).await;
        assert_eq!(page.says("signs out the other machines"), !stays, "{}", page.text);
        assert_eq!(page.says("Postiz will show this code"), stays, "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_has_one_client_however_often_it_is_confirmed() {
    let stage = Stage::registering(2, &[]).await;
    let login = stage.cli().open().await;
    let browser = Browser::new();
    let page = confirm_page(&browser, &login).await;
    // All at once: some of them may register, and the first one's client is the one that all use.
    let consents = join_all((0..4).map(|_| browser.press(&page, ("action", "continue"), &[]))).await;
    let used = client_id(&consents[0].url);
    assert!(consents.iter().all(|consent| client_id(&consent.url) == used));

    let before = stage.postiz.registrations_begun();
    let other = Browser::new();
    let consent = other.confirm(&login).await;
    assert_eq!(client_id(&consent.url), used, "also in another browser");
    assert_eq!(stage.postiz.registrations_begun(), before);
    other.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_can_not_be_confirmed_registers_nothing() {
    let stage = Stage::registering(1, &[]).await;
    let login = stage.cli().open().await;
    let browser = Browser::new();
    let page = confirm_page(&browser, &login).await;
    browser.press(&page, ("action", "continue"), &[("user_code", "BCDF-GHJK")]).await;
    browser.press(&page, ("action", "deny"), &[]).await;
    let denied = browser.press(&page, ("action", "continue"), &[]).await;
    assert!(denied.says("Login denied"), "{}", denied.text);
    assert_eq!(stage.postiz.registrations_begun(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_fails_leaves_the_login_open() {
    let stage = Stage::registering(1, &[]).await;
    for (fault, title) in [
        (Fault::Stall, "answer in time"),
        (Fault::BadGateway, "had a problem"),
        (Fault::FrameworkError, "refused this server"),
        (Fault::Page, "be read"),
    ] {
        let name = format!("{fault:?}");
        stage.postiz.next_registrations([fault]);
        let login = stage.cli().open().await;
        let browser = Browser::new();
        let page = browser.confirm(&login).await;
        assert!(page.status == 502 && page.says(title) && page.says("Try again"), "{name}: {}", page.text);
        assert_eq!(login.poll_form().await, Poll::error("authorization_pending"), "{name}");
        let consent = browser.press(&page, ("", ""), &[]).await;
        browser.approve(&consent).await;
        assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_names_the_operators_next_step() {
    let stage = Stage::registering(1, &[]).await;
    stage.postiz.verify_domains();
    let login = stage.cli().open().await;
    let page = Browser::new().confirm(&login).await;
    assert!(page.says("refused this server") && page.says("let it register with Postiz"), "{}", page.text);
    let line = stage.replicas[0].logged("Postiz refused to register a client").await;
    assert!(line["fix"].as_str().unwrap().contains("DCR_VERIFIED_DOMAINS"), "{line}");
    assert_eq!(line["level"], "ERROR");
    assert!(line["error"].as_str().unwrap().starts_with("Postiz says invalid_redirect_uri (redirect_uris"), "{line}");
}

/// Postiz keeps a client that nobody uses for 30 days, and a login lives for 15 minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_client_is_gone_has_to_start_again() {
    let stage = Stage::registering(1, &[]).await;
    let (_, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    stage.postiz.forget_clients();
    let page = browser.visit(&callback).await;
    assert_eq!(page.url.path(), "/device/done/link-expired", "{}", page.text);
    assert!(page.command().is_some(), "the command that starts again: {}", page.text);
    assert!(stage.postiz.is_live(&signed_in(&stage, &browser).await));
}

/// While Postiz is slow, one network has a few requests there, and the others of its line wait.
#[tokio::test(flavor = "multi_thread")]
async fn one_network_leaves_registrations_to_other_networks() {
    const AT_WORK: usize = 4;
    let stage = Stage::registering(1, &[("RATE_LIMIT_CODES", "0")]).await;
    let release = Arc::new(Notify::new());
    stage.postiz.next_registrations((0..AT_WORK).map(|_| Fault::Hold(Arc::clone(&release))));
    let mut flood: JoinSet<u16> = JoinSet::new();
    for host in 0..40 {
        let address = format!("198.51.100.{host}");
        let login = stage.cli().open_at(&address).await;
        flood.spawn(async move { Browser::at(&address).confirm(&login).await.status });
    }
    in_time("the registrations", stage.postiz.registration_begun(AT_WORK)).await;
    // 32 of them are at work or in line.
    for _ in 32..40 {
        assert_eq!(flood.join_next().await.unwrap().unwrap(), 429);
    }
    let consent = Browser::at("203.0.113.7").confirm(&stage.cli().open_at("203.0.113.7").await).await;
    assert_eq!(consent.status, 200, "{}", consent.text);
    assert_eq!(stage.postiz.registrations_begun(), AT_WORK + 1);
    release.notify_waiters();
    assert!(flood.join_all().await.iter().all(|status| *status == 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_confirmed_again_and_again_is_limited_and_its_neighbours_are_not() {
    for stage in [Stage::new().await, Stage::registering(1, &[]).await] {
        let (login, browser) = (stage.cli().open_at("198.51.100.1").await, Browser::at("198.51.100.1"));
        for _ in 0..12 {
            assert_eq!(browser.confirm(&login).await.status, 200);
        }
        let page = browser.confirm(&login).await;
        assert_eq!(page.status, 429, "{}", page.text);
        assert!(page.headers.contains_key("retry-after"));
        let neighbour = Browser::at("198.51.100.1");
        let consent = neighbour.confirm(&stage.cli().open_at("198.51.100.1").await).await;
        assert_eq!(consent.status, 200, "{}", consent.text);
        let log = stage.replicas[0].log();
        assert_eq!(log.matches("grant begun").count(), 2, "a repetition is no change of state: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_stall_are_bounded_and_others_wait_for_them() {
    const AT_A_TIME: usize = 32;
    let stage = Stage::registering(1, &[("RATE_LIMIT_CODES", "0")]).await;
    let release = Arc::new(Notify::new());
    stage.postiz.next_registrations((0..AT_A_TIME).map(|_| Fault::Hold(Arc::clone(&release))));
    let cli = stage.cli();
    let addresses: Vec<_> = (0..=AT_A_TIME).map(|network| format!("198.51.{network}.1")).collect();
    let logins = join_all(addresses.iter().map(|address| cli.open_at(address))).await;
    let confirmed = addresses.into_iter().zip(logins);
    let confirmed = confirmed.map(|(address, login)| async move { Browser::at(&address).confirm(&login).await.status });
    let confirmed: JoinSet<u16> = confirmed.collect();
    in_time("the registrations", stage.postiz.registration_begun(AT_A_TIME)).await;
    assert_eq!(stage.postiz.registrations_begun(), AT_A_TIME);
    assert_eq!(stage.replicas[0].health().await, 200);
    assert_eq!(stage.cli().open().await.poll_form().await, Poll::error("authorization_pending"));
    let answers = confirmed.join_all().await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(502), count(200)), (AT_A_TIME, 1), "given up in time; nobody is refused because of others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postiz_that_can_not_be_reached_at_the_start_is_waited_for() {
    let mut stage = Stage::registering(0, &[]).await;
    let port = free_port();
    stage.variables().insert("POSTIZ_API_URL", format!("http://localhost:{port}/api"));
    let replica = Replica::start(stage.variables());
    stage.balancer.add(replica.port());
    replica.logged("Postiz unavailable, retrying").await;
    replica.logged("created in the database").await;
    assert_eq!(replica.health().await, 503);
    let (login, browser) = (stage.cli().open_at_last().await, Browser::new());
    let page = browser.confirm_at_last(&login).await;
    assert!(page.status == 502 && page.says("be reached"), "{}", page.text);

    let app = RegisteredApp {
        client_id: "pca_other".to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uri: String::new(),
    };
    let postiz = StandIn::start(app, TcpListener::bind(("127.0.0.1", port)).unwrap(), None).unwrap();
    replica.healthy().await;
    let consent = browser.press(&page, ("", ""), &[]).await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postiz_that_registers_no_client_ends_the_start_with_78_and_the_steps_to_make_an_app() {
    let mut stage = Stage::registering(0, &[]).await;
    for metadata in [Metadata::WithoutRegistration, Metadata::WithoutSuffix, Metadata::Missing] {
        stage.postiz.set_metadata(metadata);
        let replica = Replica::start(stage.variables());
        let line = replica.logged("Postiz can't be used").await;
        let fix = line["fix"].as_str().unwrap();
        assert!(fix.contains("Developers → Apps") && fix.contains("POSTIZ_OAUTH_CLIENT_ID"), "{metadata:?}: {line}");
        assert_eq!(replica.ended().await.code(), Some(78), "{metadata:?}");
    }
}

/// As while an app is put into the configuration, or taken out of it, one replica after the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_keeps_its_client_on_a_replica_with_another_configuration() {
    let mut stage = Stage::with(1, &[]).await;
    stage.remove_app();
    let [with_app, without] = [stage.replicas[0].port(), stage.start_replica().await.port()];

    stage.balancer.only(without);
    let (login, browser, consent) = stage.at_consent().await;
    stage.balancer.only(with_app);
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    assert!(!stage.postiz.exchanges()[0].has_secret);

    let (login, browser, consent) = stage.at_consent().await;
    stage.balancer.only(without);
    let page = browser.approve(&consent).await;
    assert!(page.says("Approve again"), "{}", page.text);
    let consent = browser.press(&page, ("", ""), &[]).await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}
