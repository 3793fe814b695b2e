//! What GIO and GVfs report, by what can be done about it.

use gio::IOErrorEnum as E;

use crate::engine::storage::{StorageError, StorageErrorKind as K};

/// A failure of a storage.
pub(super) fn failed(error: &glib::Error, action: &'static str, location: &str) -> StorageError {
    StorageError::new(kind_of(error), action, location, error.message().to_owned())
}

/// Whether the folder has to be mounted, perhaps again, before anything can be done with it. A program of GVfs
/// that ended has taken its mounts with it.
pub(super) fn wants_mount(error: &glib::Error) -> bool {
    error.matches(E::NotMounted) || is_gone(error)
}

fn kind_of(error: &glib::Error) -> K {
    if is_gone(error) || error.kind::<gio::ResolverError>().is_some() {
        return K::Unreachable;
    }
    if error.kind::<gio::TlsError>().is_some() {
        return K::Certificate;
    }
    match error.kind::<E>() {
        Some(E::NotFound) => K::NotFound,
        Some(E::Exists) => K::AlreadyExists,
        Some(E::PermissionDenied) => K::Permission,
        Some(E::ReadOnly) => K::ReadOnly,
        Some(E::NoSpace) => K::Full,
        Some(E::NotDirectory) => K::NotAFolder,
        Some(E::TimedOut) => K::Timeout,
        Some(E::Busy | E::TooManyOpenFiles | E::WouldBlock) => K::Busy,
        Some(E::FailedHandled | E::ProxyAuthFailed | E::ProxyNeedAuth) => K::Credentials,
        Some(
            E::NotMounted
            | E::Closed
            | E::HostNotFound
            | E::HostUnreachable
            | E::NetworkUnreachable
            | E::ConnectionRefused
            | E::NotConnected
            | E::BrokenPipe
            | E::ProxyFailed
            | E::PartialInput,
        ) => K::Unreachable,
        // Its wait was ended, and whoever did that says why.
        Some(E::Cancelled) => K::Timeout,
        _ => K::Other,
    }
}

/// Whether the program that carried the mount is not there any more.
fn is_gone(error: &glib::Error) -> bool {
    use gio::DBusError as D;
    matches!(
        error.kind::<D>(),
        Some(
            D::ServiceUnknown
                | D::NameHasNoOwner
                | D::NoReply
                | D::Disconnected
                | D::UnknownObject
                | D::UnknownMethod
                | D::NoServer
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: E) -> K {
        failed(&glib::Error::new(code, "it said no"), "reading", "smb://nas/share").kind
    }

    #[test]
    fn what_is_said_is_understood() {
        assert_eq!(kind(E::NoSpace), K::Full);
        assert_eq!(kind(E::FailedHandled), K::Credentials);
        assert!(kind(E::NotMounted).is_retryable());
        assert!(!kind(E::Failed).is_retryable());
        let gone = glib::Error::new(gio::DBusError::NoReply, "it is gone");
        assert!(wants_mount(&gone) && failed(&gone, "reading", "").kind == K::Unreachable);
        assert!(!wants_mount(&glib::Error::new(E::NotFound, "")));
        let text = failed(&glib::Error::new(E::Failed, "it said no"), "reading", "smb://nas/a").to_string();
        assert_eq!(text, "reading smb://nas/a: it said no");
    }
}
