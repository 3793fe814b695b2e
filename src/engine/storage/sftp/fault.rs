//! What libssh2 says of a failure, as a kind that a person or a retry can act on.

use std::io;

use ssh2::ErrorCode;

use crate::engine::job::CancelReason;
use crate::engine::storage::{StorageError, StorageErrorKind};

/// Codes of libssh2, from `libssh2.h`.
const WRONG_FILE: i32 = -16;
const TIMED_OUT: i32 = -9;
const SOCKET_TIMED_OUT: i32 = -30;
const AUTHENTICATION_FAILED: i32 = -18;
const PUBLIC_KEY_UNVERIFIED: i32 = -19;
const SFTP_PROTOCOL: i32 = -31;
const WOULD_BLOCK: i32 = -37;
const KEY_FILE_FAILED: i32 = -48;
const PASSWORD_EXPIRED: i32 = -15;

/// Codes of the SFTP protocol: draft-ietf-secsh-filexfer-02, section 7, and those that later drafts added.
const NO_SUCH_FILE: i32 = 2;
const PERMISSION_DENIED: i32 = 3;
const FAILURE: i32 = 4;
const NO_CONNECTION: i32 = 6;
const CONNECTION_LOST: i32 = 7;
const UNSUPPORTED: i32 = 8;
const NO_SUCH_PATH: i32 = 10;
const ALREADY_EXISTS: i32 = 11;
const WRITE_PROTECTED: i32 = 12;
const NO_SPACE: i32 = 14;
const QUOTA_EXCEEDED: i32 = 15;
const NOT_A_FOLDER: i32 = 19;
const LAST_CODE: i32 = 21;

/// Why an operation on a connection did not come to its end.
#[derive(Debug)]
pub enum Fault {
    /// libssh2 or the server said so.
    Ssh(ssh2::Error),
    /// Nothing came for too long.
    Silence,
    /// The job is to stop.
    Cancelled(CancelReason),
}

impl From<ssh2::Error> for Fault {
    fn from(error: ssh2::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Fault {
    /// Whether the connection is of no more use: what it would say next belongs to something else.
    pub fn breaks_the_connection(&self) -> bool {
        match self {
            Self::Ssh(error) => !matches!(error.code(), ErrorCode::SFTP(_) | ErrorCode::Session(WRONG_FILE)),
            Self::Silence | Self::Cancelled(_) => true,
        }
    }

    /// The end of a folder that is being listed.
    pub fn is_end_of_folder(&self) -> bool {
        matches!(self, Self::Ssh(error) if error.code() == ErrorCode::Session(WRONG_FILE))
    }

    /// The server does not know what was asked of it.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Ssh(error) if error.code() == ErrorCode::SFTP(UNSUPPORTED))
    }

    /// The server says no more than that it did not work.
    pub fn says_nothing(&self) -> bool {
        matches!(self, Self::Ssh(error) if error.code() == ErrorCode::SFTP(FAILURE))
    }

    /// The server does not want this key, password or answer.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Ssh(error) if matches!(
            error.code(),
            ErrorCode::Session(AUTHENTICATION_FAILED | PUBLIC_KEY_UNVERIFIED | PASSWORD_EXPIRED)
        ))
    }

    /// A key file could not be read, or its passphrase is wrong.
    pub fn is_about_the_key_file(&self) -> bool {
        matches!(self, Self::Ssh(error) if matches!(
            error.code(),
            ErrorCode::Session(WRONG_FILE | KEY_FILE_FAILED)
        ))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> StorageErrorKind {
        use StorageErrorKind as K;
        match self {
            Self::Silence => K::Timeout,
            Self::Cancelled(reason) => K::Cancelled(*reason),
            Self::Ssh(error) => match error.code() {
                ErrorCode::Session(TIMED_OUT | SOCKET_TIMED_OUT) => K::Timeout,
                ErrorCode::Session(AUTHENTICATION_FAILED | PUBLIC_KEY_UNVERIFIED | PASSWORD_EXPIRED) => {
                    K::Credentials
                }
                // Whatever else goes wrong below SFTP, a new connection may do better.
                ErrorCode::Session(_) => K::Unreachable,
                ErrorCode::SFTP(code) => match code {
                    NO_SUCH_FILE | NO_SUCH_PATH => K::NotFound,
                    PERMISSION_DENIED => K::Permission,
                    NO_CONNECTION | CONNECTION_LOST => K::Unreachable,
                    ALREADY_EXISTS => K::AlreadyExists,
                    WRITE_PROTECTED => K::ReadOnly,
                    NO_SPACE | QUOTA_EXCEEDED => K::Full,
                    NOT_A_FOLDER => K::NotAFolder,
                    _ => K::Other,
                },
            },
        }
    }

    /// The error, with what was being done to what.
    pub fn into_error(self, action: &'static str, location: impl Into<String>) -> StorageError {
        self.error_of(self.kind(), action, location)
    }

    /// The same where more is known than the server said.
    pub fn error_of(
        &self,
        kind: StorageErrorKind,
        action: &'static str,
        location: impl Into<String>,
    ) -> StorageError {
        let reason = match self {
            Self::Ssh(error) if self.says_nothing() => match kind {
                StorageErrorKind::Full => "no space is left on the server".to_owned(),
                StorageErrorKind::AlreadyExists => "a file of this name is there already".to_owned(),
                StorageErrorKind::ReadOnly => "the server's file system can only be read".to_owned(),
                StorageErrorKind::NotAFolder => "it is not a folder".to_owned(),
                _ => format!("the server says only \"{}\"; it may be a quota", error.message()),
            },
            Self::Ssh(_) if kind == StorageErrorKind::NotAFolder => "it is not a folder".to_owned(),
            Self::Ssh(error) => error.message().to_owned(),
            Self::Silence => "the server has stopped answering".to_owned(),
            Self::Cancelled(_) => "stopped".to_owned(),
        };
        StorageError::new(kind, action, location, reason)
    }
}

/// Whether the operation is to be called again once there is something to read or room to write.
pub fn would_block(error: &ssh2::Error) -> bool {
    error.code() == ErrorCode::Session(WOULD_BLOCK)
}

/// The error behind one of a stream, which has lost its code on the way.
pub fn of_stream(error: &io::Error, session: &ssh2::Session) -> ssh2::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return ssh2::Error::from_errno(ErrorCode::Session(WOULD_BLOCK));
    }
    match ssh2::Error::last_session_error(session) {
        Some(last) if last.code() == ErrorCode::Session(SFTP_PROTOCOL) => {
            let text = error.to_string();
            let named = |code: &i32| ssh2::Error::from_errno(ErrorCode::SFTP(*code)).message() == text;
            let code = (0..=LAST_CODE).find(named).unwrap_or(FAILURE);
            ssh2::Error::from_errno(ErrorCode::SFTP(code))
        }
        Some(last) => last,
        None => ssh2::Error::from_errno(ErrorCode::Session(SOCKET_TIMED_OUT)),
    }
}
