//! The folder: who signs in, and the requests that an operation is made of.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header};

use super::WebDavOptions;
use super::answers::{self, Resource};
use crate::engine::crypto::Secret;
use crate::engine::job::Job;
use crate::engine::storage::line::{Line, client_failure};
use crate::engine::storage::{
    Credentials, StorageError, StorageErrorKind, StorageResult, StoredFile, WantedCredential, WebDavAddress,
};

/// How much of an answer that lists a folder is believed, in bytes: a million files.
const LISTING_LIMIT: usize = 1 << 30;

/// What is in the folder.
pub(super) struct Listing {
    pub files: Vec<StoredFile>,
    pub folders: Vec<String>,
}

pub(super) struct Place {
    address: WebDavAddress,
    /// The folder, with a slash at its end.
    base: Url,
    client: Client,
    options: WebDavOptions,
    line: Line,
    password: Mutex<Password>,
}

/// The password, as far as it is known.
#[derive(Default)]
struct Password {
    known: Option<Secret>,
    /// Whether the server refused the last one.
    was_refused: bool,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Place {
    pub fn new(
        address: &WebDavAddress,
        credentials: &Credentials,
        options: WebDavOptions,
        job: &Job,
    ) -> StorageResult<Self> {
        let location = address.to_string();
        let unusable =
            |reason: String| StorageError::new(StorageErrorKind::Other, "opening", location.clone(), reason);
        Ok(Self {
            address: address.clone(),
            base: address.url().map_err(|error| unusable(error.to_string()))?,
            client: options.times.client().map_err(|error| unusable(error.to_string()))?,
            options,
            line: Line::new(&location, job)?,
            password: Mutex::new(Password { known: credentials.secret.clone(), was_refused: false }),
        })
    }

    pub fn location(&self) -> String {
        self.address.to_string()
    }

    pub fn location_of(&self, name: &str) -> String {
        format!("{}/{name}", self.location().trim_end_matches('/'))
    }

    pub fn job(&self) -> &Job {
        self.line.job()
    }

    pub fn options(&self) -> WebDavOptions {
        self.options
    }

    pub fn list(&self) -> StorageResult<Listing> {
        let location = self.location();
        let ours = answers::pieces(&self.base).unwrap_or_default();
        let mut listing = Listing { files: Vec::new(), folders: Vec::new() };
        for resource in self.properties("listing", &location, self.base.clone(), "1")? {
            let Resource { mut path, is_folder, size_bytes, .. } = resource;
            let Some(name) = path.pop().filter(|_| path == ours) else { continue };
            match is_folder {
                true => listing.folders.push(name),
                false => listing.files.push(StoredFile { name, size_bytes }),
            }
        }
        Ok(listing)
    }

    pub fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        let found = self.properties("reading", &self.location_of(name), self.url(name), "0")?;
        Ok(found.into_iter().find_map(|resource| resource.modified))
    }

    pub fn free_bytes(&self) -> StorageResult<Option<u64>> {
        match self.properties("looking at", &self.location(), self.base.clone(), "0") {
            Ok(found) => Ok(found.into_iter().find_map(|resource| resource.free_bytes)),
            // It is made with the first file.
            Err(error) if error.kind == StorageErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn delete(&self, name: &str) -> StorageResult<()> {
        let url = self.url(name);
        self.send("deleting", &self.location_of(name), 0, || self.client.delete(url.clone())).map(drop)
    }

    /// Gives a file another name; fails if that is taken.
    pub fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        let (url, target) = (self.url(from), self.url(to));
        let request = || {
            let request = self.request("MOVE", url.clone());
            request.header("destination", target.as_str()).header("overwrite", "F")
        };
        self.send("renaming", &self.location_of(to), 0, request).map(drop)
    }

    /// Makes the folder, and those above it.
    pub fn make_folder(&self) -> StorageResult<()> {
        let mut missing = Vec::new();
        let mut url = self.base.clone();
        let location = self.location();
        loop {
            match self.send("creating", &location, 0, || self.request("MKCOL", url.clone())) {
                Ok(_) => match missing.pop() {
                    Some(next) => url = next,
                    None => return Ok(()),
                },
                // There already, if it is the one that was wanted.
                Err(error) if error.kind == StorageErrorKind::Permission && missing.is_empty() => {
                    return match self.properties("creating", &location, self.base.clone(), "0") {
                        Ok(_) => Ok(()),
                        Err(_) => Err(error),
                    };
                }
                Err(error) if error.kind == StorageErrorKind::NotFound => {
                    let above = url.join("../").ok().filter(|above| *above != url);
                    missing.push(url);
                    url = above.ok_or(error)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The URL of a file.
    pub fn url(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut pieces) = url.path_segments_mut() {
            pieces.pop_if_empty().push(name);
        }
        url
    }

    pub fn request(&self, method: &str, url: Url) -> RequestBuilder {
        // The names of methods are letters.
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::OPTIONS);
        self.client.request(method, url)
    }

    /// Deletes a file that is of no use, for so long at most.
    pub fn take_back(&self, limit: Duration, name: &str) {
        let known = self.password(false).ok().flatten();
        let request = self.client.delete(self.url(name));
        let request = match &known {
            Some(password) => self.signed_in(request, password),
            None => request,
        };
        self.line.tidy(limit, &self.location_of(name), async { request.send().await.map(drop) });
    }

    fn signed_in(&self, request: RequestBuilder, password: &Secret) -> RequestBuilder {
        match &self.address.user {
            Some(user) => request.basic_auth(user, Some(String::from_utf8_lossy(password.expose()))),
            None => request,
        }
    }

    /// Sends a request whose body has so many bytes. What there is nothing more to read of is no failure. A
    /// password is given once the server wants one, and
    /// asked for again if it is refused.
    pub fn send(
        &self,
        action: &'static str,
        location: &str,
        body_bytes: u64,
        request: impl Fn() -> RequestBuilder,
    ) -> StorageResult<Response> {
        let mut refusal = None;
        loop {
            let password = match (self.password(refusal.is_some()), refusal.take()) {
                (Ok(password), _) => password,
                (Err(error), Some(refusal)) if !error.is_cancelled() => return Err(refusal),
                (Err(error), _) => return Err(error),
            };
            let mut request = request();
            if let Some(password) = &password {
                request = self.signed_in(request, password);
            }
            let limit = self.options.times.answer_to(body_bytes);
            let answer = self.line.wait_at_most(limit, action, location, request.send())?;
            let answer = answer.map_err(|error| failed(&error, action, location))?;
            if answer.status().is_success() || answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
                return Ok(answer);
            }
            let error = refused(&answer, action, location);
            if error.kind != StorageErrorKind::Credentials || self.address.user.is_none() {
                return Err(error);
            }
            self.forget(password.is_some());
            refusal = Some(error);
        }
    }

    /// The password that is known; if the server wants one, the person's.
    fn password(&self, is_wanted: bool) -> StorageResult<Option<Secret>> {
        let mut password = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, true, Some(user)) = (&password.known, is_wanted, &self.address.user) {
            let wanted = WantedCredential::Password { user: user.clone() };
            password.known = Some(self.line.ask(&self.location(), wanted, password.was_refused)?);
        }
        Ok(password.known.clone())
    }

    fn forget(&self, was_given: bool) {
        let mut password = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        password.known = None;
        password.was_refused |= was_given;
    }

    fn properties(
        &self,
        action: &'static str,
        location: &str,
        url: Url,
        depth: &'static str,
    ) -> StorageResult<Vec<Resource>> {
        let answer = self.send(action, location, 0, || {
            let request = self.request("PROPFIND", url.clone()).header("depth", depth);
            request.header(header::CONTENT_TYPE, "application/xml; charset=utf-8").body(answers::WANTED)
        })?;
        let text = self.text(answer, action, location)?;
        answers::resources(&text, &self.base).map_err(|reason| {
            let reason = format!("this is no WebDAV folder: {reason}");
            StorageError::new(StorageErrorKind::NotAFolder, action, location, reason)
        })
    }

    fn text(&self, mut answer: Response, action: &'static str, location: &str) -> StorageResult<String> {
        let mut bytes = Vec::new();
        while let Some(part) = self.next_part(&mut answer, action, location)? {
            bytes.extend_from_slice(&part);
            if bytes.len() > LISTING_LIMIT {
                let reason = "the answer is too long to be believed";
                return Err(StorageError::new(StorageErrorKind::Other, action, location, reason));
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The next part of what a server sends.
    pub fn next_part(
        &self,
        answer: &mut Response,
        action: &'static str,
        location: &str,
    ) -> StorageResult<Option<bytes::Bytes>> {
        let limit = self.options.times.silence;
        let part = self.line.wait_at_most(limit, action, location, answer.chunk())?;
        part.map_err(|error| failed(&error, action, location))
    }
}

fn failed(error: &reqwest::Error, action: &'static str, location: &str) -> StorageError {
    let (kind, reason) = client_failure(error);
    StorageError::new(kind, action, location, reason)
}

fn refused(answer: &Response, action: &'static str, location: &str) -> StorageError {
    let status = answer.status();
    let elsewhere = answer.headers().get(header::LOCATION).and_then(|url| url.to_str().ok());
    let reason = match elsewhere {
        Some(url) if status.is_redirection() => format!("{status}; the server says that it is at {url}"),
        _ if status == StatusCode::UNAUTHORIZED => "the server does not let this user in".to_owned(),
        _ => status.to_string(),
    };
    StorageError::new(answers::kind_of(status), action, location, reason)
}
