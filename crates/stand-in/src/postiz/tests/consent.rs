use super::*;

#[tokio::test]
async fn deny_redirects_with_access_denied_and_the_state() {
    let (postiz, browser) = (stand_in(), browser());
    let page = browser.get(authorize_url(&postiz, "pca_demo")).send().await.unwrap();
    let back = query(&location(&press(&browser, page, Some("deny")).await));
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", "st&te"));
    assert!(!back.contains_key("code"));
}

#[tokio::test]
async fn authorize_ends_the_same_persons_older_token_and_code_only() {
    let (postiz, one, other) = (stand_in(), browser(), browser());
    let (code, others) = (approve(&postiz, &one).await, approve(&postiz, &other).await);
    let (_, first) = exchange(&postiz, &code).await;
    let (_, others) = exchange(&postiz, &others).await;
    let token = first["access_token"].as_str().unwrap();
    assert!(postiz.is_live(token));

    let unused = approve(&postiz, &one).await;
    assert!(!postiz.is_live(token), "before any exchange");
    assert_eq!(integrations(&postiz, token).await, 401);
    let newest = approve(&postiz, &one).await;
    assert_eq!(exchange(&postiz, &unused).await.0, 400);
    assert_eq!(exchange(&postiz, &newest).await.0, 201);

    assert!(postiz.is_live(others["access_token"].as_str().unwrap()));
    assert_eq!(postiz.tokens_issued().len(), 3);
}

#[tokio::test]
async fn reserved_names_and_unknown_apps_get_no_consent_page() {
    let postiz = stand_in();
    let good = authorize_url(&postiz, "pca_demo");
    for wrong in
        [format!("{good}&org=1"), format!("{good}&loggedAuth=1"), good.as_str().replace("pca_demo", "pca_other")]
    {
        assert_eq!(browser().get(wrong).send().await.unwrap().status(), 400);
    }
}

#[tokio::test]
async fn a_signed_out_person_returns_to_consent_only_with_a_return_url_of_postiz() {
    let (postiz, browser) = (stand_in(), browser());
    let plain = authorize_url(&postiz, "pca_demo");
    for (return_url, comes_back) in [(None, false), (Some("http://evil.example/"), false), (Some(plain.as_str()), true)]
    {
        postiz.sign_out();
        let mut asked = plain.clone();
        asked.query_pairs_mut().extend_pairs(return_url.map(|url| ("returnUrl", url)));
        let sent = location(&browser.get(asked.clone()).send().await.unwrap());
        assert_eq!((sent.path(), sent.query()), ("/auth", asked.query()));
        let page = browser.get(sent).send().await.unwrap();
        let answer = press(&browser, page, None).await;
        assert_eq!(answer.status().is_redirection() && location(&answer) == plain, comes_back, "{return_url:?}");
        assert_eq!(browser.get(plain.clone()).send().await.unwrap().status(), 200, "signed in by now");
    }
}

#[tokio::test]
async fn the_front_end_answers_an_exchange_with_its_sign_in_page() {
    let postiz = stand_in();
    let answer = browser().post(format!("{}/oauth/token", postiz.frontend_url())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), location(&answer).path()), (307, "/auth"));
}
