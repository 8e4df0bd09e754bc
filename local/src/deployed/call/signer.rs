//! Signs calls, with credentials that are fetched once and again before they expire.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use tokio::sync::Mutex;

use super::{CallError, SignedCall};

const NO_CREDENTIALS: &str = "there are no usable AWS credentials: sign in, or choose a profile (AWS_PROFILE)";

/// Credentials that expire within this time are fetched again.
const RENEWED_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Signs [`SignedCall`]s with the credentials of a configuration, and sends them with its HTTP client and its retries.
///
/// Credentials are fetched for the first call, and kept until five minutes before they expire. So keep the signer, and
/// share it between calls.
/// ```no_run
/// use lambda_streams_local::{SignedCall, Signer};
///
/// # async fn example(config: &aws_config::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let signer = Signer::new(config)?;
/// for bucket in ["orders", "discarded"] {
///     let call = SignedCall::new("s3", "eu-central-1", "https://s3.eu-central-1.amazonaws.com");
///     call.method("HEAD").path(&format!("/{bucket}")).send(&signer).await?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Signer {
    config: SdkConfig,
    /// Locked while they are fetched, so calls at the same time fetch them once.
    credentials: Mutex<Option<Credentials>>,
}

impl Signer {
    /// A signer with the credentials, the HTTP client and the retries of this configuration.
    ///
    /// # Errors
    /// If the configuration has no credentials provider or no HTTP client.
    pub fn new(config: &SdkConfig) -> Result<Self, CallError> {
        if config.credentials_provider().is_none() {
            return Err(CallError::new(NO_CREDENTIALS));
        }
        if config.http_client().is_none() {
            return Err(CallError::new("the configuration has no HTTP client"));
        }
        Ok(Self { config: config.clone(), credentials: Mutex::default() })
    }

    pub(super) fn config(&self) -> &SdkConfig {
        &self.config
    }

    pub(super) async fn sign(&self, mut call: SignedCall) -> Result<SignedCall, CallError> {
        let identity = self.credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&call.region)
            .name(call.service)
            .time(SystemTime::now())
            .settings(settings(call.service))
            .build()
            .map_err(|error| CallError::of(&error))?
            .into();
        let headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let url = format!("{}{}", call.endpoint, call.target);
        let signable = SignableRequest::new(call.method, url, headers, SignableBody::Bytes(&call.body));
        let signed = signable.and_then(|signable| sign(signable, &params)).map_err(|error| CallError::of(&error))?;
        let (instructions, _) = signed.into_parts();
        let signature = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        call.headers.extend(signature.collect::<Vec<_>>());
        Ok(call)
    }

    async fn credentials(&self) -> Result<Credentials, CallError> {
        let mut known = self.credentials.lock().await;
        let is_fresh = |credentials: &&Credentials| match credentials.expiry() {
            Some(expiry) => expiry > SystemTime::now() + RENEWED_BEFORE,
            None => true,
        };
        if let Some(credentials) = known.as_ref().filter(is_fresh) {
            return Ok(credentials.clone());
        }
        let provider = self.config.credentials_provider().expect("`new` has refused a configuration without one");
        let fetched = provider.provide_credentials().await;
        let credentials = fetched.map_err(|error| {
            let why = CallError::of(&error).to_string();
            // What each provider lacks, in several lines, says no more.
            CallError::new(if why.contains('\n') {
                NO_CREDENTIALS.to_owned()
            } else {
                format!("{NO_CREDENTIALS}: {why}")
            })
        })?;
        Ok(known.insert(credentials).clone())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// S3 signs the path unnormalized, and needs the body's hash in a header.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}
