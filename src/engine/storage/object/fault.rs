//! What an object store or the way to it says of a failure, as a kind that a person or a retry can act on.

use std::error::Error as _;
use std::fmt;

use http::StatusCode;
use opendal::ErrorKind;

use crate::engine::storage::line::client_failure;
use crate::engine::storage::{StorageError, StorageErrorKind};

/// The code of an answer to who wants to read from the end of an object on.
const BEHIND_THE_END: &str = "InvalidRange";

/// Why a request did not do what it was to do.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub kind: StorageErrorKind,
    /// The store's own code, such as `NoSuchKey`; empty if it gave none.
    pub code: String,
    reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if self.code.is_empty() { Ok(()) } else { write!(f, " ({})", self.code) }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// A failure on this side of the line.
    pub fn new(kind: StorageErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, code: String::new(), reason: reason.into() }
    }

    /// The answer of a store that says no. Codes are those of the S3 API ("List of error codes" in its
    /// reference) and of stores that speak it.
    pub fn of_answer(status: StatusCode, body: &str, date: Option<&str>) -> Self {
        let code = match element(body, "Code") {
            Some(code) => code,
            None if status == StatusCode::RANGE_NOT_SATISFIABLE => BEHIND_THE_END.to_owned(),
            None => String::new(),
        };
        let kind = kind_of_code(&code).unwrap_or_else(|| kind_of_status(status));
        let mut reason = match element(body, "Message").filter(|message| !message.is_empty()) {
            Some(message) => message,
            None => status.to_string(),
        };
        if let (StorageErrorKind::ClockWrong, Some(date)) = (kind, date) {
            reason = format!("{reason} There it is {date}.");
        }
        if let Some(region) = element(body, "Region").filter(|_| kind == StorageErrorKind::WrongRegion) {
            reason = format!("{reason} The region is {region}.");
        }
        Self { kind, code, reason }
    }

    /// What the HTTP client could not do.
    pub fn of_client(error: &opendal::Error) -> Self {
        let (kind, reason) = client_failure(error);
        Self::new(kind, reason)
    }

    /// Whether the same request may do better a little later.
    pub fn is_temporary(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl From<Fault> for opendal::Error {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            StorageErrorKind::NotFound => ErrorKind::NotFound,
            StorageErrorKind::AlreadyExists => ErrorKind::ConditionNotMatch,
            _ if fault.code == BEHIND_THE_END => ErrorKind::RangeNotSatisfied,
            _ => ErrorKind::Unexpected,
        };
        Self::new(kind, fault.reason.clone()).with_temporary(fault.is_temporary()).set_source(fault)
    }
}

/// The fault that an error came from, if it came from one.
pub(super) fn fault_of(error: &opendal::Error) -> Option<&Fault> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return Some(fault);
        }
        source = error.source();
    }
    None
}

/// Whether the store only said no.
pub(super) fn has_no_code(error: &StorageError) -> bool {
    let fault = error.source.get_ref().and_then(|source| source.downcast_ref::<Fault>());
    fault.is_some_and(|fault| fault.code.is_empty())
}

/// The error of an operation.
pub(super) fn into_storage_error(
    error: opendal::Error,
    action: &'static str,
    location: &str,
) -> StorageError {
    if let Some(fault) = fault_of(&error) {
        return StorageError::new(fault.kind, action, location, fault.clone());
    }
    let kind = match error.kind() {
        ErrorKind::NotFound => StorageErrorKind::NotFound,
        ErrorKind::PermissionDenied => StorageErrorKind::Permission,
        ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists => StorageErrorKind::AlreadyExists,
        ErrorKind::RateLimited => StorageErrorKind::Busy,
        _ if error.is_temporary() => StorageErrorKind::Unreachable,
        _ => StorageErrorKind::Other,
    };
    StorageError::new(kind, action, location, error)
}

fn kind_of_code(code: &str) -> Option<StorageErrorKind> {
    use StorageErrorKind as K;
    Some(match code {
        "NoSuchKey" => K::NotFound,
        "NoSuchBucket" => K::NoSuchBucket,
        "PreconditionFailed" => K::AlreadyExists,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "MethodNotAllowed" => K::Permission,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "ExpiredToken"
        | "TokenRefreshRequired"
        | "InvalidSecurity"
        | "NotSignedUp" => K::Credentials,
        "RequestTimeTooSkewed" => K::ClockWrong,
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException"
        | "IncorrectEndpoint" => K::WrongRegion,
        "SlowDown"
        | "ServiceUnavailable"
        | "Busy"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "ThrottlingException"
        | "Throttling"
        | "InternalError"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict" => K::Busy,
        "EntityTooLarge" => K::TooLarge,
        "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" => K::Full,
        "InvalidObjectState" => K::Archived,
        _ => return None,
    })
}

/// Answers to `HEAD` have no body, and some stores give no code.
fn kind_of_status(status: StatusCode) -> StorageErrorKind {
    use StorageErrorKind as K;
    match status {
        StatusCode::NOT_FOUND => K::NotFound,
        StatusCode::UNAUTHORIZED => K::Credentials,
        StatusCode::FORBIDDEN => K::Permission,
        StatusCode::PRECONDITION_FAILED => K::AlreadyExists,
        StatusCode::PAYLOAD_TOO_LARGE => K::TooLarge,
        StatusCode::INSUFFICIENT_STORAGE => K::Full,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => K::Busy,
        StatusCode::MOVED_PERMANENTLY | StatusCode::TEMPORARY_REDIRECT => K::WrongRegion,
        StatusCode::NOT_IMPLEMENTED => K::Other,
        status if status.is_server_error() || status.as_u16() == 499 => K::Busy,
        _ => K::Other,
    }
}

/// The text of the first element of that name. Answers that say no are flat, and their texts plain.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_understood() {
        let body =
            "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>a &lt;b&gt;</Message></Error>";
        let fault = Fault::of_answer(StatusCode::SERVICE_UNAVAILABLE, body, None);
        assert_eq!((fault.kind, fault.to_string().as_str()), (StorageErrorKind::Busy, "a <b> (SlowDown)"));
        assert!(fault.is_temporary());
        let error = into_storage_error(fault.into(), "reading", "s3://bucket");
        assert_eq!(error.kind, StorageErrorKind::Busy);
        let fault = Fault::of_answer(StatusCode::NOT_FOUND, "", None);
        assert_eq!((fault.kind, fault.to_string().as_str()), (StorageErrorKind::NotFound, "404 Not Found"));
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>No.</Message>\
                    <Region>eu-west-1</Region></Error>";
        let fault = Fault::of_answer(StatusCode::BAD_REQUEST, body, None);
        assert_eq!(fault.to_string(), "No. The region is eu-west-1. (AuthorizationHeaderMalformed)");
    }
}
