//! The configuration: environment variables in, one checked [`Config`] or all [`Problems`] out.
//!
//! A variable is one row in `variables.rs`, one line in `load.rs` and one in `.env.example`. No other module reads the
//! environment, but libraries read `SSL_CERT_FILE`, `SSL_CERT_DIR` and `HTTPS_PROXY`. Nothing that this module prints holds the
//! value of a secret.

mod base_url;
mod database_url;
mod load;
mod platform;
mod values;
mod variables;

pub use self::base_url::{Audience, BaseUrl, is_private_address};
pub use self::database_url::{DatabaseUrl, SslMode, Tls};
pub use self::load::{Config, Problem, Problems};
pub use self::platform::{ClientIpSource, Platform};
pub use self::values::LogFormat;
pub use self::variables::Variable;
