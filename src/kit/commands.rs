//! The commands that bring everything back without this program: gpg and duplicity as every system has
//! them.

use std::path::Path;

use crate::engine::storage::{Address, SftpAddress, WebDavAddress};

/// Puts the pictures of the codes together and hands the key to gpg. The pictures are the only PNG files in
/// the folder.
pub const IMPORT_PICTURES: &str = "\
zbarimg --quiet --raw *.png | sort -u | cut -d: -f5 |
  tr -d '\\n' | base32 -d | gpg --batch --import";

/// The same for lines that were typed into a file.
pub const IMPORT_LINES: &str = "cut -d: -f2 key.txt | tr -d ' \\n' | base32 -d | gpg --batch --import";

/// Takes the codes out of the document, where it is still there as a file.
pub const DETACH: &str = "pdfdetach -save 1 -o codes.txt KIT.pdf";

/// The same for the codes that are attached to the document.
pub const IMPORT_CODES: &str = "cut -d: -f5 codes.txt | tr -d '\\n' | base32 -d | gpg --batch --import";

/// Tells gpg that the key is one's own.
pub fn trust(fingerprint: &str) -> String {
    format!("echo {fingerprint}:6: | gpg --import-ownertrust")
}

/// Shows which backups there are. `place` is what [`place`] gives.
pub fn status(place: &str) -> String {
    format!("duplicity collection-status {place}")
}

/// Restores everything as it was at last.
pub fn restore(place: &str) -> String {
    format!("duplicity restore {place} ~/restored")
}

/// Restores one file or folder as it was at some time.
pub fn restore_one(place: &str) -> String {
    format!("duplicity restore --time 3D --path-to-restore home/me/letter.txt \\\n  {place} ~/letter.txt")
}

/// Looks into one stored file without duplicity.
pub const LOOK: &str = "gpg --decrypt NAME.vol1.difftar.gpg | tar -tvf -";

/// A destination in duplicity's words, ready for a shell.
pub fn place(address: &Address) -> String {
    match address {
        Address::Folder(path) => quoted(&file_url(path)),
        Address::Drive(drive) => quoted(&match address.local_folder() {
            Some(folder) => file_url(&folder),
            None => file_url(&Path::new("/media").join(&drive.name).join(&drive.path)),
        }),
        Address::Sftp(SftpAddress { user, host, port, path }) => {
            quoted(&format!("sftp://{}/{}", server(user.as_deref(), host, *port), escaped(path)))
        }
        Address::WebDav(WebDavAddress { tls, user, host, port, path }) => {
            let scheme = if *tls { "webdavs" } else { "webdav" };
            quoted(&format!("{scheme}://{}{}", server(user.as_deref(), host, *port), escaped(path)))
        }
        // duplicity asks the desktop, too, if it is told to.
        Address::Network(address) => quoted(&format!("gio+{}", address.uri)),
        Address::S3(store) => {
            let mut words = String::new();
            for (option, value) in
                [("--s3-endpoint-url", &store.endpoint), ("--s3-region-name", &store.region)]
            {
                if let Some(value) = value {
                    words += &format!("{option} {} ", quoted(value));
                }
            }
            let url = format!("s3://{}/{}", store.bucket, escaped(&store.prefix));
            words + &quoted(&url)
        }
    }
}

/// `[user@]host[:port]` of a URL.
fn server(user: Option<&str>, host: &str, port: Option<u16>) -> String {
    let user = user.map(|user| escaped(user) + "@").unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    user + &host + &port
}

fn file_url(path: &Path) -> String {
    format!("file://{}", escaped(&path.to_string_lossy()))
}

/// What would end the path of a URL, or begin an escape in it, escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '%' | '?' | '#' | '@' | ';' => out += &format!("%{:02X}", character as u32),
            other => out.push(other),
        }
    }
    out
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/:._-+@[]%=,~".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::storage::{NetworkAddress, S3Address};
    use std::ffi::OsStr;

    #[test]
    fn destinations_as_duplicity_writes_them() {
        for (given, expected) in [
            ("/mnt/backup", "file:///mnt/backup"),
            ("/mnt/My 100% Drive", "'file:///mnt/My 100%25 Drive'"),
            ("s3://bucket/some/folder", "s3://bucket/some/folder"),
            ("sftp://ada@nas:2222//srv/b", "sftp://ada@nas:2222//srv/b"),
            ("sftp://[fe80::1]/b", "sftp://[fe80::1]/b"),
        ] {
            assert_eq!(place(&Address::parse(OsStr::new(given)).unwrap()), expected);
        }
    }

    #[test]
    fn network_folders_are_reached_through_the_desktop() {
        let address = NetworkAddress::parse("smb://nas/share/Back ups").unwrap();
        assert_eq!(place(&Address::Network(address)), "gio+smb://nas/share/Back%20ups");
    }

    #[test]
    fn shells_take_the_words_as_they_are() {
        assert_eq!(restore("file:///mnt/b"), "duplicity restore file:///mnt/b ~/restored");
        let odd = place(&Address::Folder("/a b'c".into()));
        assert_eq!(status(&odd), r"duplicity collection-status 'file:///a b'\''c'");
        let store = Address::parse(OsStr::new("s3://bucket/folder")).unwrap();
        let Address::S3(store) = store else { panic!("{store:?}") };
        let (endpoint, region) = (Some("https://s3.example.org".into()), Some("eu".into()));
        assert_eq!(
            place(&Address::S3(S3Address { endpoint, region, ..store })),
            "--s3-endpoint-url https://s3.example.org --s3-region-name eu s3://bucket/folder"
        );
    }
}
