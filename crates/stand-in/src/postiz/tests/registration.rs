use super::*;

async fn get(postiz: &StandIn, path: &str) -> (u16, Value) {
    let answer = browser().get(format!("{}{path}", postiz.api_url())).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn register(postiz: &StandIn, name: &str, redirect_uri: &str) -> (u16, Value) {
    let body = json!({
        "client_name": name,
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    });
    let url = format!("{}/oauth/register", postiz.api_url());
    let answer = browser().post(url).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Registers a client, approves as this browser's person and exchanges without a secret. Returns the token.
async fn sign_in(postiz: &StandIn, browser: &Client) -> String {
    let (_, client) = register(postiz, "a client", CALLBACK).await;
    let id = client["client_id"].as_str().unwrap();
    let page = browser.get(authorize_url(postiz, id)).send().await.unwrap();
    let code = query(&location(&press(browser, page, Some("approve")).await))["code"].clone();
    let mut body = request(id, &code);
    body.retain(|(name, _)| *name != "client_secret");
    let answer = browser.post(format!("{}/oauth/token", postiz.api_url())).form(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_version_publishes_its_metadata() {
    const NEW: &str = "/.well-known/oauth-authorization-server/mcp-oauth";
    const OLD: &str = "/.well-known/oauth-authorization-server";
    let postiz = stand_in();
    for (metadata, new, old, registers) in [
        (Metadata::WithRegistration, 200, 404, true),
        (Metadata::WithoutRegistration, 200, 404, false),
        (Metadata::WithoutSuffix, 404, 200, false),
        (Metadata::Missing, 404, 404, false),
    ] {
        postiz.set_metadata(metadata);
        let ((new_status, newer), (old_status, older)) = (get(&postiz, NEW).await, get(&postiz, OLD).await);
        assert_eq!((new_status, old_status), (new, old), "{metadata:?}");
        let document = if new == 200 { newer } else { older };
        assert_eq!(document["registration_endpoint"].is_string(), registers, "{metadata:?}");
        assert_eq!(document["authorization_endpoint"].is_string(), new == 200 || old == 200, "{metadata:?}");
        assert_eq!(register(&postiz, "x", CALLBACK).await.0, if registers { 201 } else { 404 }, "{metadata:?}");
    }
}

#[tokio::test]
async fn a_registered_client_is_public_and_its_name_stands_on_the_consent_page() {
    let postiz = stand_in();
    let (status, client) = register(&postiz, &"long & <name> ".repeat(10), CALLBACK).await;
    let id = client["client_id"].as_str().unwrap();
    assert!(status == 201 && id.starts_with("pcd_") && client.get("client_secret").is_none(), "{client}");
    assert_eq!(client["client_name"].as_str().unwrap().chars().count(), 100);
    let page = browser().get(authorize_url(&postiz, id)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Allow long &#38; &#60;name&#62;"), "{page}");
    assert!(sign_in(&postiz, &browser()).await.starts_with("pos_"));
}

#[tokio::test]
async fn a_registration_is_refused_for_a_foreign_redirect_uri() {
    let postiz = stand_in();
    for good in ["https://auth.example.com/x", "http://127.0.0.1:1/x", "http://[::1]/x"] {
        assert_eq!(register(&postiz, "x", good).await.0, 201, "{good}");
    }
    let refused = |(status, answer): (u16, Value)| (status, answer["error"].as_str().unwrap().to_owned());
    for bad in ["http://auth.example.com/x", "", "ftp://localhost/x"] {
        assert_eq!(refused(register(&postiz, "x", bad).await), (400, "invalid_redirect_uri".into()), "{bad}");
    }
    postiz.verify_domains();
    assert_eq!(refused(register(&postiz, "x", CALLBACK).await), (400, "invalid_redirect_uri".into()));
}

#[tokio::test]
async fn tokens_of_two_clients_live_side_by_side() {
    let (postiz, browser) = (stand_in(), browser());
    let (one, two) = (sign_in(&postiz, &browser).await, sign_in(&postiz, &browser).await);
    assert_eq!((integrations(&postiz, &one).await, integrations(&postiz, &two).await), (200, 200));
    postiz.forget_clients();
    let (_, client) = register(&postiz, "x", CALLBACK).await;
    let id = client["client_id"].as_str().unwrap();
    postiz.forget_clients();
    let page = browser.get(authorize_url(&postiz, id)).send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.text().await.unwrap().as_str()), (400, "Invalid client_id"));
}

#[tokio::test]
async fn a_code_belongs_to_its_client() {
    let (postiz, browser) = (stand_in(), browser());
    let code = approve(&postiz, &browser).await;
    let (_, client) = register(&postiz, "x", CALLBACK).await;
    let body = request(client["client_id"].as_str().unwrap(), &code);
    let answer = browser.post(format!("{}/oauth/token", postiz.api_url())).form(&body).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "error": "invalid_grant" }));
}

#[tokio::test]
async fn a_registration_takes_its_faults_in_order() {
    let postiz = stand_in();
    postiz.next_registrations([Fault::ServerError, Fault::BadGateway]);
    let url = format!("{}/oauth/register", postiz.api_url());
    for status in [500, 502] {
        assert_eq!(browser().post(&url).body("{}").send().await.unwrap().status(), status);
    }
    assert_eq!(register(&postiz, "x", CALLBACK).await.0, 201);
    assert_eq!((postiz.registrations_begun(), postiz.clients().len()), (3, 1));
}
