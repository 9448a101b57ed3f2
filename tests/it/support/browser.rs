//! A person's browser without a screen: keeps cookies, follows redirects, submits forms.

use std::sync::Arc;

use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use scraper::{Html, Selector};
use url::{Origin, Url};

use super::{Login, eventually_some};

const SITE: &str = "Sec-Fetch-Site";

#[derive(Clone)]
pub struct Browser {
    http: Client,
    jar: Arc<Jar>,
}

/// What the person sees, and where.
#[derive(Clone)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Browser {
    pub fn new() -> Self {
        Self::from_address(None)
    }

    /// One that has this cookie of a sibling host too.
    pub fn with_cookie(cookie: &str, url: &str) -> Self {
        let browser = Self::new();
        browser.jar.add_cookie_str(cookie, &url.parse().unwrap());
        browser
    }

    /// One that a proxy says has this address.
    pub fn at(address: &str) -> Self {
        Self::from_address(Some(address))
    }

    fn from_address(address: Option<&str>) -> Self {
        let headers = address.map(|address| (HeaderName::from_static("x-forwarded-for"), address.parse().unwrap()));
        let jar = Arc::new(Jar::default());
        let http = super::http().cookie_provider(Arc::clone(&jar)).redirect(Policy::none());
        Self { http: http.default_headers(headers.into_iter().collect()).build().unwrap(), jar }
    }

    /// The value of a cookie of this address.
    pub fn cookie(&self, url: &Url, name: &str) -> Option<String> {
        let cookies = self.jar.cookies(url)?;
        let mut pairs = cookies.to_str().unwrap().split("; ").filter_map(|pair| pair.split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    }

    /// Visits the URL and follows its redirects.
    pub async fn visit(&self, url: &str) -> Page {
        let url = Url::parse(url).unwrap();
        self.follow(self.http.get(url.clone()), url, None).await
    }

    /// Presses a form's button by its name and value, with fields filled in.
    pub async fn press(&self, page: &Page, button: (&str, &str), typed: &[(&str, &str)]) -> Page {
        let (action, mut fields) = page.form(button);
        for (name, value) in typed {
            fields.retain(|(field, _)| field != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let request = self.http.post(action.clone()).form(&fields).header(SITE, "same-origin");
        self.follow(request, action, Some(page.url.origin())).await
    }

    /// Submits the page's first form, whose button has no name.
    pub async fn submit(&self, page: &Page, typed: &[(&str, &str)]) -> Page {
        self.press(page, ("", ""), typed).await
    }

    /// Opens the CLI's link.
    pub async fn view(&self, login: &Login) -> Page {
        self.visit(&login.link()).await
    }

    /// Types this into the field of the empty code page.
    pub async fn enter(&self, verification_uri: &str, code: &str) -> Page {
        let form = self.visit(verification_uri).await;
        self.submit(&form, &[("user_code", code)]).await
    }

    /// Opens the CLI's link and confirms the code: ends on Postiz's consent page.
    pub async fn confirm(&self, login: &Login) -> Page {
        let page = self.view(login).await;
        assert_eq!(page.status, 200, "{}", page.text);
        self.go_on(&page).await
    }

    /// Presses Continue on the code page.
    pub async fn go_on(&self, page: &Page) -> Page {
        self.press(page, ("action", "continue"), &[]).await
    }

    /// Presses the button on the code page that denies the login.
    pub async fn deny(&self, page: &Page) -> Page {
        self.press(page, ("action", "deny"), &[]).await
    }

    /// Presses the button on Postiz's consent page that denies the login.
    pub async fn deny_at_postiz(&self, consent: &Page) -> Page {
        self.press(consent, ("decision", "deny"), &[]).await
    }

    /// Goes there again and again while the page says "one moment", as the page itself does.
    pub async fn visit_at_last(&self, url: &str) -> Page {
        let look = async || Some(self.visit(url).await).filter(|page| page.status != 503);
        eventually_some(format!("a page other than \"one moment\" at {url}"), look).await
    }

    /// Confirms the code, again and again while the page says "one moment".
    pub async fn confirm_at_last(&self, login: &Login) -> Page {
        let page = self.visit_at_last(&login.link()).await;
        let press = async || Some(self.go_on(&page).await).filter(|next| next.status != 503);
        eventually_some("Postiz's consent page", press).await
    }

    /// Presses Authorize on the consent page: ends on our last page.
    pub async fn approve(&self, consent: &Page) -> Page {
        self.press(consent, ("decision", "approve"), &[]).await
    }

    /// Presses Authorize and returns where Postiz sends the browser, without going there.
    pub async fn approve_only(&self, consent: &Page) -> String {
        let (action, fields) = consent.form(("decision", "approve"));
        let page = self.request(self.http.post(action.clone()).form(&fields), action).await;
        page.headers[LOCATION].to_str().unwrap().to_owned()
    }

    /// `from` is the origin of the page that leads there, if one does: browsers say whether it is the same all the way.
    async fn follow(&self, mut request: RequestBuilder, mut url: Url, from: Option<Origin>) -> Page {
        let mut is_same = true;
        for _ in 0..10 {
            let page = self.request(request, url).await;
            let Some(location) = page.headers.get(LOCATION) else { return page };
            url = page.url.join(location.to_str().unwrap()).unwrap();
            request = self.http.get(url.clone());
            if let Some(from) = &from {
                is_same &= *from == url.origin();
                request = request.header(SITE, if is_same { "same-origin" } else { "cross-site" });
            }
        }
        panic!("too many redirects");
    }

    async fn request(&self, request: RequestBuilder, url: Url) -> Page {
        let answer = request.header(ACCEPT, "text/html").send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Page { url, status, headers, text: answer.text().await.unwrap() }
    }
}

impl Page {
    /// The form that holds this button: where it goes, and its fields with the button's.
    fn form(&self, button: (&str, &str)) -> (Url, Vec<(String, String)>) {
        let html = Html::parse_document(&self.text);
        let named = format!("button[name='{}'][value='{}']", button.0, button.1);
        let wanted = Selector::parse(if button.0.is_empty() { "button" } else { &named }).unwrap();
        let inputs = Selector::parse("input[name]").unwrap();
        let form = html.select(&Selector::parse("form").unwrap()).find(|form| form.select(&wanted).next().is_some());
        let form = form.unwrap_or_else(|| panic!("no button {button:?} on {}: {}", self.url, self.text));
        let mut fields: Vec<_> = form
            .select(&inputs)
            .map(|input| {
                let value = |name| input.value().attr(name).unwrap_or_default().to_owned();
                (value("name"), value("value"))
            })
            .collect();
        if !button.0.is_empty() {
            fields.push((button.0.to_owned(), button.1.to_owned()));
        }
        (self.url.join(form.value().attr("action").unwrap_or_default()).unwrap(), fields)
    }

    /// Fails unless the page has this status, and says these words.
    #[track_caller]
    pub fn assert_shows(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}: {}", self.url, self.text);
        assert!(self.says(words), "{words:?} on {}: {}", self.url, self.text);
    }

    /// Fails unless this is the last page of a login that ended this way. Its address holds no code and no state.
    #[track_caller]
    pub fn assert_done(&self, status: u16, word: &str) {
        assert_eq!((self.status, self.url.path()), (status, &*format!("/device/done/{word}")), "{}", self.text);
        assert_eq!(self.headers["cache-control"], "no-store");
        for (name, value) in self.url.query_pairs() {
            assert!(name == "reference" && self.says(&value), "{}: {}", self.url, self.text);
        }
    }

    /// A parameter of its address.
    pub fn parameter(&self, name: &str) -> String {
        self.url.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned()
    }

    /// The command to copy, if the page shows one.
    pub fn command(&self) -> Option<String> {
        let html = Html::parse_document(&self.text);
        let command = html.select(&Selector::parse(".command code").unwrap()).next()?;
        Some(command.text().collect())
    }

    /// The words on the page, for a human reader.
    pub fn says(&self, words: &str) -> bool {
        let body = Selector::parse("body").unwrap();
        let html = Html::parse_document(&self.text);
        let text: String = html.select(&body).flat_map(|body| body.text()).collect::<Vec<_>>().join(" ");
        text.to_lowercase().contains(&words.to_lowercase())
    }
}
