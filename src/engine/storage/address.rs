//! Where backups are kept, as a person types it: a folder, or a URL as duplicity has them.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::object::{ObjectOptions, ObjectStorage};
use super::sftp::{SftpOptions, SftpStorage};
use super::webdav::{WebDavOptions, WebDavStorage};
use super::{
    Backoff, Credentials, DriveAddress, LocalFolder, NetworkAddress, Storage, StorageError, StorageErrorKind,
    StorageResult,
};
use crate::engine::job::Job;

/// Where backups are kept. `Display` gives the form in which people know it, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder that this machine reaches by its path.
    Folder(PathBuf),
    /// A folder on a drive, wherever that is mounted.
    Drive(DriveAddress),
    /// A folder on an SSH server.
    Sftp(SftpAddress),
    /// A part of a bucket of an object store that speaks S3.
    S3(S3Address),
    /// A folder on a WebDAV server.
    WebDav(WebDavAddress),
    /// A folder on the network that the desktop reaches.
    Network(NetworkAddress),
}

/// A folder on an SSH server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftpAddress {
    /// Who signs in; without one, who `~/.ssh/config` says, or who runs this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A name (also one that only `~/.ssh/config` knows) or an IP address, without brackets.
    pub host: String,
    /// Without one, what `~/.ssh/config` says, or 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The folder: absolute if it begins with a slash, else below the folder in which a sign-in ends up.
    pub path: String,
}

/// A part of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Address {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with, without slashes at its ends; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// URL of the server, such as `https://s3.example.org`; without one, Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region, such as `eu-central-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether the bucket stands in the path of a request instead of in its host name.
    #[serde(default)]
    pub path_style: bool,
    /// The class that volumes are stored in, such as `STANDARD_IA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// A folder on a WebDAV server, such as Nextcloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebDavAddress {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Who signs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// Without one, the protocol's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The folder, with a slash at its beginning.
    pub path: String,
}

/// Why a text is no address. `Display` says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A folder without an absolute path.
    #[error("file:// must be followed by an absolute path, such as file:///media/drive/backup")]
    RelativeFile,
    /// A kind of place that this program does not know.
    #[error("{0}:// destinations are not supported; use a folder, sftp://, s3:// or webdavs://")]
    UnknownScheme(String),
    /// It is not UTF-8, or a percent sign is not followed by two hexadecimal digits.
    #[error("the address is not a URL; write a percent sign as %25")]
    Malformed,
    /// There is no host or no bucket.
    #[error("the address names no {0}")]
    Missing(&'static str),
    /// Something that is not a port number.
    #[error("\"{0}\" is not a port number")]
    Port(String),
    /// A password in the address, where everybody can read it.
    #[error("leave the password out of the address; it is asked for, or read from where it is kept")]
    Password,
}

impl Address {
    /// Reads a path, or a URL as duplicity writes them.
    ///
    /// In `sftp://[user@]host[:port]/path` the path is relative to where a sign-in ends up, after a
    /// second slash absolute; `scp://` and duplicity's names of its own clients mean the same. IPv6
    /// addresses stand in brackets.
    pub fn parse(text: &OsStr) -> Result<Self, AddressError> {
        let Some((scheme, rest)) = split_scheme(text.as_bytes()) else {
            return Ok(Self::Folder(text.into()));
        };
        if scheme == "file" {
            return match rest.first() {
                Some(b'/') => Ok(Self::Folder(OsString::from_vec(rest.to_vec()).into())),
                _ => Err(AddressError::RelativeFile),
            };
        }
        let rest = std::str::from_utf8(rest).map_err(|_| AddressError::Malformed)?;
        // duplicity lets people choose its client: paramiko+sftp, pexpect+scp, boto3+s3.
        let plain = scheme.rsplit_once('+').map_or(scheme.as_str(), |(_, plain)| plain);
        match plain {
            "sftp" | "scp" | "ssh" => {
                let server = Server::parse(rest)?;
                let path = server.path.strip_prefix('/').unwrap_or(&server.path).to_owned();
                Ok(Self::Sftp(SftpAddress { user: server.user, host: server.host, port: server.port, path }))
            }
            "s3" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(AddressError::Missing("bucket"));
                }
                Ok(Self::S3(S3Address {
                    bucket: bucket.to_owned(),
                    prefix: prefix.trim_matches('/').to_owned(),
                    endpoint: None,
                    region: None,
                    path_style: false,
                    storage_class: None,
                }))
            }
            "webdav" | "webdavs" | "dav" | "davs" | "http" | "https" => {
                let Server { user, host, port, path } = Server::parse(rest)?;
                let path = if path.is_empty() { "/".to_owned() } else { path };
                Ok(Self::WebDav(WebDavAddress { tls: plain.ends_with('s'), user, host, port, path }))
            }
            _ => Err(AddressError::UnknownScheme(scheme)),
        }
    }
}

impl Address {
    /// The place, ready to be read and written. What it wants to know and `credentials` do not tell is asked
    /// through `job`; a place that must be reached first is reached at its first use. A network folder cannot be
    /// opened here: the engine knows nothing of the desktop. `backoff` is for what has to be reached over a network.
    pub fn open(
        &self,
        credentials: &Credentials,
        backoff: Backoff,
        job: &Job,
    ) -> StorageResult<Box<dyn Storage>> {
        match self {
            Self::Folder(folder) => Ok(Box::new(LocalFolder::new(folder))),
            Self::Drive(drive) => Ok(Box::new(LocalFolder::new(drive.folder()?))),
            Self::Sftp(address) => {
                let options = SftpOptions { backoff, ..SftpOptions::default() };
                Ok(Box::new(SftpStorage::at(address, credentials, &options, job)))
            }
            Self::WebDav(address) => {
                let options = WebDavOptions { backoff, ..WebDavOptions::default() };
                Ok(Box::new(WebDavStorage::at(address, credentials, options, job)?))
            }
            Self::S3(address) => {
                let options = ObjectOptions { backoff, ..ObjectOptions::default() };
                Ok(Box::new(ObjectStorage::new(address, credentials, options, job)?))
            }
            Self::Network(address) => Err(StorageError::new(
                StorageErrorKind::Other,
                "opening",
                &address.uri,
                "only the desktop reaches it, and this program is not a part of the desktop",
            )),
        }
    }

    /// The folder on this machine, if that is what the place is and it is there.
    pub fn local_folder(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.clone()),
            Self::Drive(drive) => drive.folder().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Drive(drive) => write!(f, "{}: {}", drive.name, drive.path.display()),
            Self::Sftp(address) => address.fmt(f),
            Self::S3(address) => address.fmt(f),
            Self::WebDav(address) => address.fmt(f),
            Self::Network(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for SftpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sftp://")?;
        write_server(f, self.user.as_deref(), &self.host, self.port)?;
        write!(f, "/{}", self.path)
    }
}

impl WebDavAddress {
    /// What the server knows the folder as, with a slash at its end. Fails if the host is none.
    pub fn url(&self) -> Result<reqwest::Url, AddressError> {
        let scheme = if self.tls { "https" } else { "http" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let mut url =
            reqwest::Url::parse(&format!("{scheme}://{host}/")).map_err(|_| AddressError::Missing("host"))?;
        url.set_port(self.port).map_err(|()| AddressError::Missing("host"))?;
        let pieces = self.path.split('/').filter(|piece| !piece.is_empty());
        url.path_segments_mut().map_err(|()| AddressError::Missing("host"))?.clear().extend(pieces).push("");
        Ok(url)
    }
}

impl fmt::Display for WebDavAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "webdavs://" } else { "webdav://" })?;
        write_server(f, self.user.as_deref(), &self.host, self.port)?;
        f.write_str(&self.path)
    }
}

impl S3Address {
    /// Whether the bucket stands in the path of a request: also where the server has no name of which one
    /// for each bucket could be made.
    pub fn has_bucket_in_path(&self) -> bool {
        let Some(endpoint) = &self.endpoint else { return self.path_style };
        let place = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, place)| place);
        let host = match place.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or(address),
            None => place.split([':', '/']).next().unwrap_or(place),
        };
        self.path_style || host == "localhost" || host.parse::<std::net::IpAddr>().is_ok()
    }
}

impl fmt::Display for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(f, " ({endpoint})"),
            None => Ok(()),
        }
    }
}

fn write_server(
    f: &mut fmt::Formatter<'_>,
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
) -> fmt::Result {
    if let Some(user) = user {
        write!(f, "{user}@")?;
    }
    if host.contains(':') { write!(f, "[{host}]") } else { f.write_str(host) }?;
    port.map_or(Ok(()), |port| write!(f, ":{port}"))
}

/// `[user@]host[:port][/path]`, percent-decoded. The path keeps its first slash.
struct Server {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

impl Server {
    fn parse(text: &str) -> Result<Self, AddressError> {
        let end = text.find('/').unwrap_or(text.len());
        let (authority, path) = text.split_at(end);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(AddressError::Password),
            Some((user, place)) => (Some(user).filter(|user| !user.is_empty()), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(AddressError::Missing("host"))?;
                (host, after.strip_prefix(':'))
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        if host.is_empty() {
            return Err(AddressError::Missing("host"));
        }
        let port = port.map(|port| match port.parse() {
            Ok(0) | Err(_) => Err(AddressError::Port(port.to_owned())),
            Ok(number) => Ok(number),
        });
        Ok(Self {
            user: user.map(percent_decoded).transpose()?,
            host: percent_decoded(host)?,
            port: port.transpose()?,
            path: percent_decoded(path)?,
        })
    }
}

fn split_scheme(text: &[u8]) -> Option<(String, &[u8])> {
    let end = text.windows(3).position(|window| window == b"://")?;
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let scheme = &text[..end];
    let is_url = !scheme.is_empty() && scheme.iter().all(is_scheme);
    is_url.then(|| (String::from_utf8_lossy(scheme).to_ascii_lowercase(), &text[end + 3..]))
}

fn percent_decoded(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(byte.ok_or(AddressError::Malformed)?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| AddressError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressError> {
        Address::parse(text.as_ref())
    }

    fn sftp(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> Result<Address, AddressError> {
        let (user, host, path) = (user.map(str::to_owned), host.to_owned(), path.to_owned());
        Ok(Address::Sftp(SftpAddress { user, host, port, path }))
    }

    #[test]
    fn folders_are_taken_as_they_are() {
        assert_eq!(parse("a/b"), Ok(Address::Folder("a/b".into())));
        assert_eq!(parse("file:///a b%41"), Ok(Address::Folder("/a b%41".into())));
        assert_eq!(parse("/odd/://name"), Ok(Address::Folder("/odd/://name".into())));
        assert_eq!(parse("file://a"), Err(AddressError::RelativeFile));
    }

    #[test]
    fn servers_are_read_as_duplicity_writes_them() {
        assert_eq!(parse("sftp://host/backup/a"), sftp(None, "host", None, "backup/a"));
        assert_eq!(parse("scp://me@host:2222//srv/a"), sftp(Some("me"), "host", Some(2222), "/srv/a"));
        assert_eq!(parse("paramiko+sftp://host"), sftp(None, "host", None, ""));
        assert_eq!(parse("SFTP://a%40b@[::1]:22/x%20y"), sftp(Some("a@b"), "::1", Some(22), "x y"));
        for text in ["sftp://me@host:2222//srv/a", "sftp://[::1]/a", "webdavs://me@host/a/b"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn buckets_have_prefixes() {
        let Ok(Address::S3(address)) = parse("boto3+s3://bucket/a/b/") else { panic!() };
        assert_eq!((address.bucket.as_str(), address.prefix.as_str()), ("bucket", "a/b"));
        assert_eq!(Address::S3(address.clone()).to_string(), "s3://bucket/a/b");
        for (endpoint, in_path) in [
            ("https://s3.example.org", false),
            ("http://127.0.0.1:9000/", true),
            ("http://[::1]:9000", true),
            ("http://localhost", true),
        ] {
            let address = S3Address { endpoint: Some(endpoint.to_owned()), ..address.clone() };
            assert_eq!(address.has_bucket_in_path(), in_path, "{endpoint}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse("sftp:///a"), Err(AddressError::Missing("host")));
        assert_eq!(parse("s3://"), Err(AddressError::Missing("bucket")));
        assert_eq!(parse("sftp://a:b@host/"), Err(AddressError::Password));
        assert_eq!(parse("sftp://host:99999/"), Err(AddressError::Port("99999".to_owned())));
        assert_eq!(parse("sftp://host/%4"), Err(AddressError::Malformed));
        assert_eq!(parse("rsync://host/a"), Err(AddressError::UnknownScheme("rsync".to_owned())));
    }
}
