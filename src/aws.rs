//! What a function's own clients of AWS services share: the environment, its credentials, and the way to an endpoint.

mod client;
mod credentials;
mod endpoint;
mod errors;
mod variables;

pub(crate) use self::client::{Connection, http_client};
pub(crate) use self::credentials::FunctionCredentials;
pub(crate) use self::endpoint::{NamedEndpoint, NotAnEndpoint, is_remote_http};
#[cfg(feature = "sqs")]
pub(crate) use self::endpoint::{host, is_authority, origin};
pub(crate) use self::errors::{REFUSED_CREDENTIALS, chain, credentials_error, is_any};
pub(crate) use self::variables::Variables;
