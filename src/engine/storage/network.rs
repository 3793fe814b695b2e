//! Addresses of folders on the network that the desktop reaches: as file managers show them, and as people
//! know them from Windows.

use std::fmt;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// A folder that is reached in the way in which the desktop reaches the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAddress {
    /// Its URI, without a password and without a slash at its end, such as `smb://nas/share/Backups`.
    pub uri: String,
}

/// Why a text is no address of a folder on the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkAddressError {
    /// It does not begin with a scheme, or has characters that no address has.
    #[error("this is not the address of a folder on the network")]
    Malformed,
    /// A scheme that no folder on the network has.
    #[error("{0}:// is not the beginning of a network folder's address")]
    Scheme(String),
    /// It names no server.
    #[error("the address names no server")]
    NoServer,
    /// It ends with a server that keeps files only in its shares.
    #[error("the address names no share of the server")]
    NoShare,
    /// A password in the address, where everybody can read it.
    #[error("leave the password out of the address")]
    Password,
}

/// What such addresses begin with.
const SCHEMES: [&str; 5] = ["smb", "nfs", "dav", "davs", "sftp"];

impl NetworkAddress {
    /// Reads what somebody typed: a URI, in which characters need not be escaped, or `\\server\share\folder`.
    /// Two texts that mean the same folder give the same address.
    pub fn parse(text: &str) -> Result<Self, NetworkAddressError> {
        let text = text.trim();
        let is_windows = text.starts_with(r"\\") || text.starts_with("//");
        let text = if is_windows {
            format!("smb:{}", text.replace('%', "%25").replace('\\', "/"))
        } else {
            text.to_owned()
        };
        let (scheme, rest) = text.split_once("://").ok_or(NetworkAddressError::Malformed)?;
        let scheme = scheme.to_ascii_lowercase();
        if !SCHEMES.contains(&scheme.as_str()) {
            return Err(NetworkAddressError::Scheme(scheme));
        }
        if rest.is_empty() || rest.starts_with('/') {
            return Err(NetworkAddressError::NoServer);
        }
        // Neither has a meaning in the address of a folder, so they are parts of names.
        let text = text.replace('?', "%3F").replace('#', "%23");
        let mut url = Url::parse(&text).map_err(|_| NetworkAddressError::Malformed)?;
        if url.password().is_some() {
            return Err(NetworkAddressError::Password);
        }
        let server = url.host_str().ok_or(NetworkAddressError::NoServer)?.to_lowercase();
        url.set_host(Some(&server)).map_err(|_| NetworkAddressError::Malformed)?;
        let pieces: Vec<String> = pieces(&url);
        if pieces.is_empty() && scheme == "smb" {
            return Err(NetworkAddressError::NoShare);
        }
        let mut path = url.path_segments_mut().map_err(|()| NetworkAddressError::Malformed)?;
        path.clear().extend(pieces);
        drop(path);
        Ok(Self { uri: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// What the address begins with, such as `smb`.
    pub fn scheme(&self) -> &str {
        self.uri.split(':').next().unwrap_or_default()
    }

    /// The server's name.
    pub fn server(&self) -> String {
        self.url().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// The way from the server to the folder, as people read it; empty for the server's topmost one.
    pub fn folder(&self) -> String {
        self.url().map(|url| pieces(&url).join("/")).unwrap_or_default()
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.uri).ok()
    }
}

/// The names on the way to the folder.
fn pieces(url: &Url) -> Vec<String> {
    let decoded = |piece: &str| percent_decode_str(piece).decode_utf8_lossy().into_owned();
    url.path().split('/').filter(|piece| !piece.is_empty()).map(decoded).collect()
}

impl fmt::Display for NetworkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_one_address() {
        for (typed, expected) in [
            (" smb://NAS/Share/Back ups/ ", "smb://nas/Share/Back%20ups"),
            ("SMB://nas/Share//Back%20ups", "smb://nas/Share/Back%20ups"),
            (r"\\NAS\Share\100%\a#b?", "smb://nas/Share/100%25/a%23b%3F"),
            ("//nas/share", "smb://nas/share"),
            ("sftp://ada@[fe80::1]:2222/srv/b", "sftp://ada@[fe80::1]:2222/srv/b"),
            ("dav://host", "dav://host"),
            ("sftp://host:22/a/../b", "sftp://host:22/b"),
            ("nfs://10.0.0.7/export/été", "nfs://10.0.0.7/export/%C3%A9t%C3%A9"),
        ] {
            let address = NetworkAddress::parse(typed).unwrap();
            assert_eq!(address.uri, expected);
            assert_eq!(NetworkAddress::parse(&address.uri), Ok(address));
        }
        let address = NetworkAddress::parse("smb://me@nas:445/Back%20ups/a%2Fb").unwrap();
        assert_eq!((address.scheme(), &*address.server()), ("smb", "nas"));
        assert_eq!(address.folder(), "Back ups/a/b");
    }

    #[test]
    fn nonsense_is_told_apart() {
        use NetworkAddressError as E;
        for (typed, expected) in [
            ("", E::Malformed),
            ("nas/share", E::Malformed),
            ("smb:nas/share", E::Malformed),
            ("smb://na s/share", E::Malformed),
            ("https://host/a", E::Scheme("https".into())),
            ("file:///a", E::Scheme("file".into())),
            ("ftp://host/a", E::Scheme("ftp".into())),
            ("smb://", E::NoServer),
            ("smb:///share", E::NoServer),
            (r"\\", E::NoServer),
            ("smb://nas/", E::NoShare),
            ("smb://me:secret@nas/share", E::Password),
        ] {
            assert_eq!(NetworkAddress::parse(typed), Err(expected), "{typed}");
        }
    }
}
