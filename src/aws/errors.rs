//! Reads the errors of the SDK's clients: what they say, and the codes by which every service refuses credentials.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;

use crate::failure::MAX_SOURCES;

/// The codes by which a service refuses credentials, in parts that all of their spellings share.
pub(crate) const REFUSED_CREDENTIALS: [&str; 4] =
    ["InvalidClientTokenId", "UnrecognizedClient", "ExpiredToken", "InvalidSecurity"];

/// Whether a code contains one of these words.
pub(crate) fn is_any(code: &str, words: &[&str]) -> bool {
    words.iter().any(|word| code.contains(word))
}

/// Why there are no credentials, if that is the reason, and what is said of it.
pub(crate) fn credentials_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<(&'a CredentialsError, String)> {
    let error = sources(error).find_map(|error| error.downcast_ref::<CredentialsError>())?;
    // What the error itself says is only its kind.
    let what = error.source().map_or_else(|| error.to_string(), chain);
    Some((error, what))
}

/// What the error and its sources say.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The error and its sources.
fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    // An error may be its own source.
    std::iter::successors(Some(error), |error| (*error).source()).take(MAX_SOURCES)
}
