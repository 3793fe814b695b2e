//! The folder: the calls that an operation is made of, each with its limit, and mounted where it must be.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gio::prelude::*;
use gio::{Cancellable, FileCopyFlags, FileQueryInfoFlags, FileType, IOErrorEnum};

use super::transfer::Feed;
use super::{NetworkOptions, fault, mount};
use crate::engine::job::Job;
use crate::engine::storage::{
    Line, NetworkAddress, StorageError, StorageErrorKind, StorageResult, StoredFile,
};

/// Files that a listing hands over at once.
const LISTED_AT_ONCE: usize = 500;

/// What is in the folder.
pub(super) struct Listing {
    pub files: Vec<StoredFile>,
    pub folders: Vec<String>,
}

pub(super) struct Place {
    address: NetworkAddress,
    folder: gio::File,
    options: NetworkOptions,
    line: Line,
    /// How often the folder was mounted. Held while that is done, so that one does it for all.
    mount_count: Mutex<u64>,
}

/// Tells GIO that nobody waits for a call any more.
pub(super) struct Stop(pub Cancellable);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Place {
    pub fn new(address: &NetworkAddress, options: NetworkOptions, job: &Job) -> StorageResult<Self> {
        Ok(Self {
            address: address.clone(),
            folder: gio::File::for_uri(&address.uri),
            options,
            line: Line::new(&address.uri, job)?,
            mount_count: Mutex::default(),
        })
    }

    pub fn location(&self) -> String {
        self.address.uri.clone()
    }

    pub fn location_of(&self, name: &str) -> String {
        format!("{}/{name}", self.address.uri)
    }

    pub fn options(&self) -> NetworkOptions {
        self.options
    }

    pub fn line(&self) -> &Line {
        &self.line
    }

    pub fn file(&self, name: &str) -> gio::File {
        self.folder.child(name)
    }

    pub fn list(&self) -> StorageResult<Listing> {
        let folder = self.folder.clone();
        let location = self.location();
        let limit = self.options.times.silence;
        let mut feed = Feed::begin(self, limit, "listing", &location, move |cancellable, pieces| {
            list_into(&folder, cancellable, &mut |entries| pieces.send(entries))
        })?;
        let mut listing = Listing { files: Vec::new(), folders: Vec::new() };
        while let Some(entries) = feed.next(self, limit, "listing", &location)? {
            for (file, is_folder) in entries {
                if is_folder { listing.folders.push(file.name) } else { listing.files.push(file) }
            }
        }
        Ok(listing)
    }

    pub fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        let file = self.file(name);
        self.call("reading", &self.location_of(name), move |cancellable| {
            let wanted = "time::modified,time::modified-usec";
            let info = file.query_info(wanted, FileQueryInfoFlags::NOFOLLOW_SYMLINKS, Some(cancellable))?;
            let since = Duration::from_secs(info.attribute_uint64("time::modified"))
                + Duration::from_micros(info.attribute_uint32("time::modified-usec").into());
            Ok((!since.is_zero()).then(|| UNIX_EPOCH + since))
        })
    }

    /// Size of a file, in bytes.
    pub fn size(&self, action: &'static str, name: &str) -> StorageResult<u64> {
        let file = self.file(name);
        self.call(action, &self.location_of(name), move |cancellable| size_of(&file, cancellable))
    }

    pub fn free_bytes(&self) -> StorageResult<Option<u64>> {
        let folder = self.folder.clone();
        self.call("looking at", &self.location(), move |cancellable| {
            let mut place = folder.clone();
            loop {
                match place.query_filesystem_info("filesystem::free", Some(cancellable)) {
                    Ok(info) if info.has_attribute("filesystem::free") => {
                        return Ok(Some(info.attribute_uint64("filesystem::free")));
                    }
                    Ok(_) => return Ok(None),
                    Err(error) if error.matches(IOErrorEnum::NotSupported) => return Ok(None),
                    // It is made with the first file, where the one above is.
                    Err(error) if error.matches(IOErrorEnum::NotFound) => match place.parent() {
                        Some(above) => place = above,
                        None => return Ok(None),
                    },
                    Err(error) => return Err(error),
                }
            }
        })
    }

    pub fn delete(&self, name: &str) -> StorageResult<()> {
        let file = self.file(name);
        self.call("deleting", &self.location_of(name), move |cancellable| file.delete(Some(cancellable)))
    }

    /// Gives a file another name; fails if that is taken.
    pub fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        let (file, target, name) = (self.file(from), self.file(to), to.to_owned());
        // Of GVfs's two ways, the server refuses to replace a file in this one.
        let is_refused_there = self.address.scheme().starts_with("dav");
        self.call("renaming", &self.location_of(to), move |cancellable| {
            if is_refused_there {
                return file.set_display_name(&name, Some(cancellable)).map(drop);
            }
            file.move_(&target, FileCopyFlags::NO_FALLBACK_FOR_MOVE, Some(cancellable), None)
        })
    }

    /// Whether the folder is yet to be made.
    pub fn is_missing(&self) -> StorageResult<bool> {
        let folder = self.folder.clone();
        self.call("looking at", &self.location(), move |cancellable| Ok(is_missing(&folder, cancellable)))
    }

    /// Makes the folder, and those above it.
    pub fn make_folder(&self) -> StorageResult<()> {
        let folder = self.folder.clone();
        self.call("creating", &self.location(), move |cancellable| {
            match folder.make_directory_with_parents(Some(cancellable)) {
                // Somebody else was quicker.
                Err(error) if error.matches(IOErrorEnum::Exists) => Ok(()),
                result => result,
            }
        })
    }

    /// Deletes a file that is of no use, for so long at most.
    pub fn take_back(&self, limit: Duration, name: &str) {
        let file = self.file(name);
        let stop = Stop(Cancellable::new());
        let cancellable = stop.0.clone();
        self.line.tidy(limit, &self.location_of(name), async move {
            let deleted = tokio::task::spawn_blocking(move || match file.delete(Some(&cancellable)) {
                Err(error) if error.matches(IOErrorEnum::NotFound) => Ok(()),
                result => result,
            });
            let result = deleted.await;
            drop(stop);
            result.map_err(drop)?.map_err(drop)
        });
    }

    /// Lets a thread do something, for as long as an answer may take; mounts the folder if that is what it
    /// lacks, and does it once more.
    pub fn call<T: Send + 'static>(
        &self,
        action: &'static str,
        location: &str,
        work: impl Fn(&Cancellable) -> Result<T, glib::Error> + Send + Sync + 'static,
    ) -> StorageResult<T> {
        let work = Arc::new(work);
        let limit = self.options.times.silence;
        self.mounted(action, location, || {
            let (stop, work) = (Stop(Cancellable::new()), Arc::clone(&work));
            let cancellable = stop.0.clone();
            self.on_thread(limit, action, location, move || work(&cancellable))
        })
    }

    /// Does something, and once more if the folder had to be mounted for it.
    pub fn mounted<T>(
        &self,
        action: &'static str,
        location: &str,
        attempt: impl Fn() -> StorageResult<Result<T, glib::Error>>,
    ) -> StorageResult<T> {
        let seen = self.mount_count();
        let result = match attempt()? {
            Err(error) if fault::wants_mount(&error) => {
                self.mount(seen)?;
                attempt()?
            }
            result => result,
        };
        result.map_err(|error| self.failed(&error, seen, action, location))
    }

    /// How often the folder was mounted so far. Waits while it is being mounted.
    pub fn mount_count(&self) -> u64 {
        *self.mount_count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure of a storage, in something that was begun when the folder had been mounted `seen` times. What a
    /// program of GVfs was doing when it ended fails in no particular way; that its mount is gone, or has been made
    /// anew by somebody else meanwhile, tells.
    pub fn failed(
        &self,
        error: &glib::Error,
        seen: u64,
        action: &'static str,
        location: &str,
    ) -> StorageError {
        let mut failed = fault::failed(error, action, location);
        if failed.kind == StorageErrorKind::Other && (self.mount_count() != seen || self.is_unmounted()) {
            failed.kind = StorageErrorKind::Unreachable;
        }
        failed
    }

    /// Whether nobody answers for the folder. That it is not there, or not to be looked at, is an answer.
    fn is_unmounted(&self) -> bool {
        let folder = self.folder.clone();
        let answer = self.on_thread(self.options.times.silence, "looking at", &self.location(), move || {
            let info = folder.query_info("standard::type", FileQueryInfoFlags::NONE, Cancellable::NONE);
            let is_answer = |error: &glib::Error| {
                let answers =
                    [IOErrorEnum::NotFound, IOErrorEnum::NotDirectory, IOErrorEnum::PermissionDenied];
                answers.into_iter().any(|answer| error.matches(answer))
            };
            info.is_err_and(|error| !is_answer(&error))
        });
        answer.unwrap_or(false)
    }

    /// Mounts the folder, unless somebody did since `seen`.
    fn mount(&self, seen: u64) -> StorageResult<()> {
        let mut count = self.mount_count.lock().unwrap_or_else(PoisonError::into_inner);
        if *count == seen {
            self.mount_now()?;
            *count += 1;
        }
        Ok(())
    }

    fn mount_now(&self) -> StorageResult<()> {
        const ACTION: &str = "signing in to";
        let location = self.location();
        let folder = self.folder.clone();
        let stop = Stop(Cancellable::new());
        let cancellable = stop.0.clone();
        let attempt = self.on_thread(self.options.times.mount, ACTION, &location, move || {
            mount::mount_quietly(&folder, &cancellable)
        })?;
        let Err(error) = attempt.result else { return Ok(()) };
        if !attempt.wanted_answer {
            return Err(fault::failed(&error, ACTION, &location));
        }
        let asked = self.line.job().ask_mount(self.address.clone());
        match (asked, self.line.job().control().cancelled()) {
            (Ok(Some(result)), _) => result,
            (_, Some(reason)) => {
                let kind = StorageErrorKind::Cancelled(reason);
                Err(StorageError::new(kind, ACTION, location, "the job was stopped"))
            }
            _ => {
                let reason = "somebody has to sign in, and nobody was there";
                Err(StorageError::new(StorageErrorKind::Credentials, ACTION, location, reason))
            }
        }
    }

    /// Waits for a thread, for so long at most. One that goes on after that is left to itself.
    fn on_thread<T: Send + 'static>(
        &self,
        limit: Duration,
        action: &'static str,
        location: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> StorageResult<T> {
        let done = self
            .line
            .wait_at_most(limit, action, location, async { tokio::task::spawn_blocking(work).await })?;
        done.map_err(|panic| StorageError::new(StorageErrorKind::Other, action, location, panic))
    }
}

/// Size of a file, in bytes.
pub(super) fn size_of(file: &gio::File, cancellable: &Cancellable) -> Result<u64, glib::Error> {
    let info = file.query_info("standard::size", FileQueryInfoFlags::NONE, Some(cancellable))?;
    Ok(info.attribute_uint64("standard::size"))
}

/// Whether nothing has the name of a folder, nor of one above it that would have to hold it.
fn is_missing(folder: &gio::File, cancellable: &Cancellable) -> bool {
    let mut place = folder.clone();
    let mut is_missing = false;
    loop {
        let flags = FileQueryInfoFlags::NONE;
        match (place.query_info("standard::type", flags, Some(cancellable)), place.parent()) {
            (Ok(info), _) => return is_missing && info.file_type() == FileType::Directory,
            (Err(error), Some(above))
                if error.matches(IOErrorEnum::NotFound) || error.matches(IOErrorEnum::NotDirectory) =>
            {
                is_missing = true;
                place = above;
            }
            (Err(_), _) => return false,
        }
    }
}

/// Hands over what is in a folder, and whether each is a folder, until nobody wants more.
fn list_into(
    folder: &gio::File,
    cancellable: &Cancellable,
    hand_over: &mut dyn FnMut(Vec<(StoredFile, bool)>) -> bool,
) -> Result<(), glib::Error> {
    let wanted = "standard::name,standard::type,standard::size";
    let flags = FileQueryInfoFlags::NOFOLLOW_SYMLINKS;
    let found = folder.enumerate_children(wanted, flags, Some(cancellable))?;
    let mut entries = Vec::new();
    while let Some(info) = found.next_file(Some(cancellable))? {
        let kind = info.file_type();
        if let (FileType::Regular | FileType::Directory, Ok(name)) =
            (kind, info.name().into_os_string().into_string())
        {
            let size_bytes = info.attribute_uint64("standard::size");
            entries.push((StoredFile { name, size_bytes }, kind == FileType::Directory));
        }
        if entries.len() == LISTED_AT_ONCE && !hand_over(std::mem::take(&mut entries)) {
            return Ok(());
        }
    }
    hand_over(entries);
    Ok(())
}
