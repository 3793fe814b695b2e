//! What a WebDAV server says: of files and folders (RFC 4918, section 14; RFC 4331), and of failures.

use std::time::SystemTime;

use jiff::fmt::rfc2822;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::engine::storage::StorageErrorKind;

/// What is asked of each file.
pub(super) const WANTED: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
<d:propfind xmlns:d=\"DAV:\"><d:prop><d:resourcetype/><d:getcontentlength/><d:getlastmodified/>\
<d:quota-available-bytes/></d:prop></d:propfind>";

/// A file or folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// The path of its URL, in pieces.
    pub path: Vec<String>,
    pub is_folder: bool,
    pub size_bytes: u64,
    pub modified: Option<SystemTime>,
    /// Bytes that can still be written, of a folder whose server tells.
    pub free_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Multistatus {
    #[serde(default, rename = "response")]
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    href: String,
    #[serde(default, rename = "propstat")]
    propstats: Vec<Propstat>,
}

#[derive(Deserialize)]
struct Propstat {
    prop: Prop,
}

/// Properties that a server does not know stand there empty, with a status that says so.
#[derive(Deserialize)]
struct Prop {
    resourcetype: Option<ResourceType>,
    getcontentlength: Option<String>,
    getlastmodified: Option<String>,
    #[serde(rename = "quota-available-bytes")]
    quota: Option<String>,
}

#[derive(Deserialize)]
struct ResourceType {
    collection: Option<serde::de::IgnoredAny>,
}

/// Reads the answer to a question for properties. `base` is what relative addresses are relative to.
pub(super) fn resources(text: &str, base: &Url) -> Result<Vec<Resource>, String> {
    let answer: Multistatus = quick_xml::de::from_str(text).map_err(|error| error.to_string())?;
    answer.responses.into_iter().map(|response| resource(response, base)).collect()
}

fn resource(response: Response, base: &Url) -> Result<Resource, String> {
    let url = base.join(response.href.trim()).map_err(|error| format!("{}: {error}", response.href))?;
    let mut resource = Resource {
        path: pieces(&url).ok_or_else(|| format!("{url}: not UTF-8"))?,
        is_folder: false,
        size_bytes: 0,
        modified: None,
        free_bytes: None,
    };
    for Propstat { prop } in response.propstats {
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.trim().parse().ok());
        resource.is_folder |= prop.resourcetype.is_some_and(|kind| kind.collection.is_some());
        resource.size_bytes = number(&prop.getcontentlength).unwrap_or(resource.size_bytes);
        // A server without a limit says less than nothing.
        resource.free_bytes = number(&prop.quota).or(resource.free_bytes);
        let time = prop.getlastmodified.as_deref().and_then(|text| rfc2822::parse(text.trim()).ok());
        resource.modified = time.map(|time| time.timestamp().into()).or(resource.modified);
    }
    Ok(resource)
}

/// The path of a URL, decoded, without empty pieces.
pub(super) fn pieces(url: &Url) -> Option<Vec<String>> {
    let pieces = url.path_segments().into_iter().flatten().filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| percent_encoding::percent_decode_str(piece).decode_utf8().ok().map(Into::into))
        .collect()
}

/// What a status that is no success means.
pub(super) fn kind_of(status: StatusCode) -> StorageErrorKind {
    use StorageErrorKind as K;
    match status {
        // Where the folder of a file is missing, a server says that there is a conflict.
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::CONFLICT => K::NotFound,
        StatusCode::UNAUTHORIZED => K::Credentials,
        StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => K::Permission,
        StatusCode::PRECONDITION_FAILED => K::AlreadyExists,
        StatusCode::PAYLOAD_TOO_LARGE => K::TooLarge,
        StatusCode::INSUFFICIENT_STORAGE => K::Full,
        StatusCode::LOCKED | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => K::Busy,
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => K::Other,
        status if status.is_server_error() => K::Busy,
        _ => K::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_answer_in_their_own_ways() {
        let base = Url::parse("https://cloud.example.org/remote.php/dav/files/ada/Backups/").unwrap();
        let text = r#"<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">
 <d:response><d:href>/remote.php/dav/files/ada/Backups/</d:href>
  <d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>
   <d:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</d:getlastmodified>
   <d:quota-available-bytes>-3</d:quota-available-bytes></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>
  <d:propstat><d:prop><d:getcontentlength/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>
 </d:response>
 <d:response><d:href>/remote.php/dav/files/ada/Backups/a%20b%26c</d:href>
  <d:propstat><d:prop><d:resourcetype/><d:getcontentlength>70001</d:getcontentlength>
   <d:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</d:getlastmodified></d:prop>
   <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
</d:multistatus>"#;
        let found = resources(text, &base).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].is_folder && found[0].free_bytes.is_none());
        assert_eq!(found[0].path, pieces(&base).unwrap());
        assert_eq!((found[1].path.last().unwrap().as_str(), found[1].size_bytes), ("a b&c", 70_001));
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        assert_eq!(found[1].modified, Some(time));

        let text = r#"<D:multistatus xmlns:D="DAV:"><D:response><D:href>https://cloud.example.org/x</D:href>
<D:propstat><D:prop><D:quota-available-bytes>5</D:quota-available-bytes></D:prop></D:propstat>
</D:response></D:multistatus>"#;
        assert_eq!(resources(text, &base).unwrap()[0].free_bytes, Some(5));
        assert!(resources("<html>", &base).is_err());
    }
}
