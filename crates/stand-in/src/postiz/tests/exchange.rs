use super::*;

#[tokio::test]
async fn a_code_is_exchanged_once() {
    let postiz = stand_in();
    let code = approve(&postiz, &browser()).await;
    assert_eq!(exchange(&postiz, &code).await.0, 201);
    assert_eq!(exchange(&postiz, &code).await, (400, json!({ "error": "invalid_grant" })));
    assert_eq!(exchange(&postiz, "made-up").await, (400, json!({ "error": "invalid_grant" })));
}

#[tokio::test]
async fn a_code_lives_ten_minutes() {
    let postiz = stand_in();
    let code = approve(&postiz, &browser()).await;
    postiz.expire_codes();
    assert_eq!(exchange(&postiz, &code).await.0, 400);
}

#[tokio::test]
async fn wrong_credentials_are_refused_before_the_code_is_looked_up() {
    let postiz = stand_in();
    let code = approve(&postiz, &browser()).await;
    let url = format!("{}/oauth/token", postiz.api_url());
    let mut wrong = request("pca_demo", &code);
    wrong[3].1 = "pcs_wrong";
    let answer = browser().post(&url).form(&wrong).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "error": "invalid_client" }));
    wrong[1].1 = "made-up";
    assert_eq!(browser().post(&url).form(&wrong).send().await.unwrap().status(), 401);
    assert_eq!(exchange(&postiz, &code).await.0, 201);
}

#[tokio::test]
async fn json_works_like_a_form() {
    let postiz = stand_in();
    let code = approve(&postiz, &browser()).await;
    let body: HashMap<&str, &str> = request("pca_demo", &code).into_iter().collect();
    let url = format!("{}/oauth/token", postiz.api_url());
    assert_eq!(browser().post(url).json(&body).send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn basic_authentication_is_a_framework_error_and_spends_nothing() {
    let postiz = stand_in();
    let code = approve(&postiz, &browser()).await;
    let body = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let url = format!("{}/oauth/token", postiz.api_url());
    let answer = browser().post(url).basic_auth("pca_demo", Some("pcs_secret")).form(&body).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["error"], &answer["statusCode"]), (&json!("Bad Request"), &json!(400)));
    assert!(answer["message"].as_array().unwrap().contains(&json!("client_secret must be a string")));
    assert_eq!(exchange(&postiz, &code).await.0, 201);
}

#[tokio::test]
async fn an_app_made_by_hand_needs_neither_redirect_uri_nor_pkce() {
    let postiz = stand_in();
    let code = approve(&postiz, &browser()).await;
    let mut body = request("pca_demo", &code);
    body.truncate(4);
    let url = format!("{}/oauth/token", postiz.api_url());
    assert_eq!(browser().post(url).form(&body).send().await.unwrap().status(), 201);
    assert!(!postiz.exchanges()[0].verifier_matches);
}

#[tokio::test]
async fn a_dynamically_registered_app_needs_both() {
    let postiz = start("pcd_demo", None);
    let browser = browser();
    let good = authorize_url(&postiz, "pcd_demo");
    for (said, wrong) in [
        ("Invalid redirect_uri", good.as_str().replace("callback", "elsewhere")),
        ("code_challenge is required", good.as_str().replace("code_challenge=", "c=")),
        ("Only the S256", good.as_str().replace("S256", "plain")),
    ] {
        let page = browser.get(wrong).send().await.unwrap();
        assert_eq!(page.status(), 400, "{said}");
        assert!(page.text().await.unwrap().contains(said), "{said}");
    }
    let page = browser.get(good).send().await.unwrap();
    let code = query(&location(&press(&browser, page, Some("approve")).await))["code"].clone();
    let url = format!("{}/oauth/token", postiz.api_url());
    for (field, wrong) in [(4, "http://localhost:3111/elsewhere"), (5, "another-verifier")] {
        let mut body = request("pcd_demo", &code);
        body[field].1 = wrong;
        assert_eq!(browser.post(&url).form(&body).send().await.unwrap().status(), 400);
        body.remove(field);
        assert_eq!(browser.post(&url).form(&body).send().await.unwrap().status(), 400);
    }
    let body = request("pcd_demo", &code);
    assert_eq!(browser.post(&url).form(&body).send().await.unwrap().status(), 201);
}
