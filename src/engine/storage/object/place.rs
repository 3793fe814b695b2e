//! The bucket: who signs in, and the requests that an operation is made of.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use opendal::{EntryMode, HttpTransporter, Metadata, OperationContext, Operator, services};

use super::ObjectOptions;
use super::fault::{self, Fault};
use super::transport::Transport;
use crate::engine::crypto::Secret;
use crate::engine::format::name::{FileName, Part};
use crate::engine::job::Job;
use crate::engine::storage::lease::LeaseTimes;
use crate::engine::storage::line::Line;
use crate::engine::storage::{
    Credentials, S3Address, StorageError, StorageErrorKind, StorageResult, StoredFile, WantedCredential,
};

/// The region that stores without regions want to be signed for.
const USUAL_REGION: &str = "us-east-1";

/// Carries the name that an upload gave itself, so that its own object can be told from another's.
pub(super) const UPLOAD_MARK: &str = "souvenir-upload";

/// What is in the place.
pub(super) struct Listing {
    pub files: Vec<StoredFile>,
    pub folders: Vec<String>,
}

pub(super) struct Place {
    address: S3Address,
    credentials: Credentials,
    options: ObjectOptions,
    line: Line,
    access: Mutex<Access>,
    conditions: Mutex<Conditions>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What is known of whether the store refuses to replace an object, when it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    Unknown,
    Kept,
    /// It answers that it does not know such requests.
    Unsupported,
}

/// How the store is reached.
#[derive(Default)]
struct Access {
    operators: Option<Operators>,
    /// Counts what was tried, so that only the one who failed with the newest access gives it up.
    generation: u64,
    /// Whether the store refused the last secret.
    was_refused: bool,
}

/// The store as one who has signed in.
#[derive(Clone)]
pub(super) struct Operators {
    /// For everything.
    pub plain: Operator,
    /// For volumes, if they are kept in a class of their own.
    volumes: Option<Operator>,
    generation: u64,
}

impl Place {
    pub fn new(
        address: &S3Address,
        credentials: &Credentials,
        options: ObjectOptions,
        job: &Job,
    ) -> StorageResult<Self> {
        Ok(Self {
            address: address.clone(),
            credentials: credentials.clone(),
            options,
            line: Line::new(&address.to_string(), job)?,
            access: Mutex::default(),
            conditions: Mutex::new(Conditions::Unknown),
        })
    }

    pub fn location(&self) -> String {
        self.address.to_string()
    }

    pub fn location_of(&self, name: &str) -> String {
        let S3Address { bucket, prefix, .. } = &self.address;
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("s3://{bucket}/{prefix}{slash}{name}")
    }

    pub fn lease(&self) -> LeaseTimes {
        self.options.lease
    }

    pub fn conditions(&self) -> Conditions {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn learn(&self, conditions: Conditions) {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner) = conditions;
    }

    pub fn list(&self) -> StorageResult<Listing> {
        self.run("listing", &self.location(), |store| async move {
            let mut entries = store.plain.lister("").await?;
            let (mut files, mut folders) = (Vec::new(), Vec::new());
            while let Some(entry) = entries.next().await.transpose()? {
                let name = entry.name().trim_end_matches('/').to_owned();
                match entry.metadata().mode() {
                    _ if name.is_empty() => {}
                    EntryMode::DIR => folders.push(name),
                    _ => files.push(StoredFile { name, size_bytes: entry.metadata().content_length() }),
                }
            }
            Ok(Listing { files, folders })
        })
    }

    pub fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        let metadata = self
            .run("reading", &self.location_of(name), |store| async move { store.plain.stat(name).await })?;
        Ok(metadata.last_modified().map(SystemTime::from))
    }

    pub fn metadata(&self, name: &str) -> StorageResult<Option<Metadata>> {
        self.run(
            "reading",
            &self.location_of(name),
            |store| async move { found(store.plain.stat(name).await) },
        )
    }

    /// Deletes an object. A store does not tell whether there was one.
    pub fn delete(&self, name: &str) -> StorageResult<()> {
        self.run("deleting", &self.location_of(name), |store| async move {
            store.plain.stat(name).await?;
            store.plain.delete(name).await
        })
    }

    /// Lets the store copy an object, and deletes the first one. What stood already under the new name and is
    /// a copy of the object itself is what an attempt before has left.
    pub fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.run("renaming", &self.location_of(to), |store| async move {
            let old = store.plain.stat(from).await?;
            match found(store.plain.stat(to).await)? {
                None => match &store.volumes {
                    Some(volumes) if is_volume(to) => copy_into_class(volumes, from, &old, to).await?,
                    _ => drop(store.plain.copy(from, to).await?),
                },
                Some(new) if is_copy(&old, &new) => {}
                Some(_) => {
                    let reason = "there is one of that name";
                    return Err(Fault::new(StorageErrorKind::AlreadyExists, reason).into());
                }
            }
            store.plain.delete(from).await
        })
    }

    /// Does something at the store. A secret that is refused is asked for again.
    pub fn run<T, F>(
        &self,
        action: &'static str,
        location: &str,
        operation: impl Fn(Operators) -> F,
    ) -> StorageResult<T>
    where
        F: Future<Output = opendal::Result<T>>,
    {
        let mut refusal = None;
        loop {
            let store = match (self.operators(), refusal.take()) {
                (Ok(store), _) => store,
                (Err(error), Some(refusal)) if error.kind == StorageErrorKind::Credentials => {
                    return Err(refusal);
                }
                (Err(error), _) => return Err(error),
            };
            let generation = store.generation;
            let result = self.wait(action, location, operation(store.clone()));
            match result.map_err(|error| self.explained(error, &store)) {
                Err(error) if error.kind == StorageErrorKind::Credentials && self.give_up(generation) => {
                    refusal = Some(error);
                }
                result => return result,
            }
        }
    }

    /// An answer to who only asks whether something is there has no words. Another question gets some.
    fn explained(&self, error: StorageError, store: &Operators) -> StorageError {
        if error.kind != StorageErrorKind::Permission || !fault::has_no_code(&error) {
            return error;
        }
        let listing = async { store.plain.lister_with("").limit(1).await?.next().await.transpose() };
        match self.wait(error.action, &error.location, listing) {
            Err(explained) if explained.kind == StorageErrorKind::Credentials => explained,
            _ => error,
        }
    }

    /// Waits for what goes on at the store, unless the job is to stop.
    pub fn wait<T>(
        &self,
        action: &'static str,
        location: &str,
        work: impl Future<Output = opendal::Result<T>>,
    ) -> StorageResult<T> {
        let result = self.line.wait(action, location, work)?;
        result.map_err(|error| fault::into_storage_error(error, action, location))
    }

    /// Does something at the store even if the job is to stop, for so long at most.
    pub fn tidy(&self, limit: Duration, location: &str, work: impl Future<Output = opendal::Result<()>>) {
        self.line.tidy(limit, location, work);
    }

    fn operators(&self) -> StorageResult<Operators> {
        let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operators) = &access.operators {
            return Ok(operators.clone());
        }
        let key = match (&self.credentials.key_id, &self.credentials.secret) {
            (Some(key_id), Some(secret)) if !access.was_refused => Some((key_id, secret.clone())),
            (Some(key_id), _) => Some((key_id, self.ask(key_id, access.was_refused)?)),
            (None, _) => None,
        };
        let key = key.as_ref().map(|(key_id, secret)| (key_id.as_str(), secret));
        let build = |class: Option<&str>| {
            self.operator(key, class)
                .map_err(|error| fault::into_storage_error(error, "opening", &self.location()))
        };
        access.generation += 1;
        let operators = Operators {
            plain: build(None)?,
            volumes: self.address.storage_class.as_deref().map(|class| build(Some(class))).transpose()?,
            generation: access.generation,
        };
        access.operators = Some(operators.clone());
        Ok(operators)
    }

    /// Forgets how the store was reached. Whether there is another way: somebody to ask.
    fn give_up(&self, generation: u64) -> bool {
        let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        if access.generation == generation {
            access.operators = None;
            access.was_refused = true;
        }
        self.credentials.key_id.is_some()
    }

    fn ask(&self, key_id: &str, previous_was_wrong: bool) -> StorageResult<Secret> {
        let wanted = WantedCredential::SecretKey { key_id: key_id.to_owned() };
        self.line.ask(&self.location(), wanted, previous_was_wrong)
    }

    fn operator(&self, key: Option<(&str, &Secret)>, class: Option<&str>) -> opendal::Result<Operator> {
        let S3Address { bucket, prefix, endpoint, region, .. } = &self.address;
        let mut store = services::S3::default().bucket(bucket).root(prefix).disable_ec2_metadata();
        if let Some(endpoint) = endpoint {
            store = store.endpoint(endpoint);
        }
        if let Some(region) = region {
            store = store.region(region);
        } else if ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().all(|name| std::env::var_os(name).is_none()) {
            store = store.region(USUAL_REGION);
        }
        if !self.address.has_bucket_in_path() {
            store = store.enable_virtual_host_style();
        }
        if let Some((key_id, secret)) = key {
            store = store.access_key_id(key_id).secret_access_key(&text(secret)).disable_config_load();
            if let Some(token) = &self.credentials.session_token {
                store = store.session_token(&text(token));
            }
        }
        if let Some(class) = class {
            store = store.default_storage_class(class);
        }
        let transport = Transport::new(self.options.times, self.options.backoff, self.line.job())?;
        let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
        Ok(Operator::new(store)?.with_context(context))
    }
}

/// What is not UTF-8 is refused by the store like any other secret that is wrong.
fn text(secret: &Secret) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(secret.expose())
}

/// The request to copy an object would leave it in the usual class; one that puts an object together from
/// pieces of others can say which.
async fn copy_into_class(store: &Operator, from: &str, old: &Metadata, to: &str) -> opendal::Result<()> {
    let marks = mark_of(old).map(|mark| [(UPLOAD_MARK.to_owned(), mark.to_owned())].into());
    let options = opendal::options::WriteOptions { user_metadata: marks, ..Default::default() };
    let mut writer = store.writer_options(to, options).await?;
    let copied = match writer.copy_from(from, 0..old.content_length()).await {
        Ok(()) => writer.close().await.map(drop),
        Err(error) => Err(error),
    };
    if copied.is_err() {
        // The error that came first is the one to tell.
        let _ = writer.abort().await;
    }
    copied
}

fn found(result: opendal::Result<Metadata>) -> opendal::Result<Option<Metadata>> {
    match result {
        Err(error) if error.kind() == opendal::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// The name that an upload gave itself.
pub(super) fn mark_of(metadata: &Metadata) -> Option<&str> {
    metadata.user_metadata()?.get(UPLOAD_MARK)
}

fn is_copy(old: &Metadata, new: &Metadata) -> bool {
    mark_of(old).is_some_and(|mark| mark_of(new) == Some(mark))
        && old.content_length() == new.content_length()
}

/// Whether an object is a volume: the only kind that is large and hardly ever read.
fn is_volume(name: &str) -> bool {
    FileName::parse(name).is_some_and(|name| matches!(name.part, Part::Volume(_)))
}
