//! `GET /device/done/{outcome}`: what became of a callback, at an address without its code and state.
//!
//! The address holds everything that the page shows, so it reads and changes nothing. Anybody can link to it.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use strum::{EnumString, IntoStaticStr};

use crate::grant::{GrantId, Terminal};
use crate::http::pages::Page;
use crate::http::visitor::Visitor;

/// How a callback ended. The words are in addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Done {
    SignedIn,
    Waiting,
    Inactive,
    TokenRefused,
    Replaced,
    Denied,
    WrongBrowser,
    Stopped,
    LinkExpired,
}

impl Done {
    /// Sends the browser to the page.
    pub fn redirect(self, visitor: &Visitor, grant: Option<GrantId>) -> HttpResponse {
        let (base_path, word): (_, &str) = (visitor.server_url().base_path(), self.into());
        let reference = grant.map(|grant| format!("?reference={}", grant.reference())).unwrap_or_default();
        HttpResponse::SeeOther()
            .insert_header((LOCATION, format!("{base_path}/device/done/{word}{reference}")))
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish()
    }

    fn page(self) -> Page {
        match self {
            Self::SignedIn => Page::Done { terminal: Terminal::SignedIn },
            Self::Waiting => Page::Done { terminal: Terminal::Waiting },
            Self::Inactive => Page::Done { terminal: Terminal::Inactive },
            Self::TokenRefused => Page::TokenRefused,
            Self::Replaced => Page::Replaced,
            Self::Denied => Page::Denied,
            Self::WrongBrowser => Page::WrongBrowser,
            Self::Stopped => Page::WrongBrowserEnded,
            Self::LinkExpired => Page::LinkSpent,
        }
    }
}

impl From<Terminal> for Done {
    fn from(terminal: Terminal) -> Self {
        match terminal {
            Terminal::SignedIn => Self::SignedIn,
            Terminal::Waiting => Self::Waiting,
            Terminal::Inactive => Self::Inactive,
        }
    }
}

pub async fn done(request: HttpRequest, visitor: Visitor, outcome: Path<String>) -> HttpResponse {
    let Ok(outcome) = outcome.parse::<Done>() else { return visitor.show(&Page::NotFound) };
    let query = request.query_string().as_bytes();
    let reference = url::form_urlencoded::parse(query).find(|(name, _)| name == "reference");
    let reference = reference.map(|(_, text)| text.into_owned());
    visitor.naming(reference.filter(|text| GrantId::parse_reference(text).is_some())).show(&outcome.page())
}
