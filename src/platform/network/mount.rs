//! How a folder on the network is mounted: by a question to the person, or without one.

use std::cell::Cell;
use std::rc::Rc;

use gio::prelude::*;
use gio::{Cancellable, IOErrorEnum, MountOperation, MountOperationResult};

use super::fault;
use crate::engine::storage::{NetworkAddress, StorageError, StorageErrorKind, StorageResult};

/// What became of a mount that nobody was to be asked about.
pub(super) struct Attempt {
    /// Whether the folder can be reached.
    pub result: Result<(), glib::Error>,
    /// Whether somebody would have had to answer something.
    pub wanted_answer: bool,
}

/// Whether a program of this computer reaches addresses that begin so.
pub fn is_supported(scheme: &str) -> bool {
    gio::Vfs::default().supported_uri_schemes().iter().any(|known| known == scheme)
}

/// Mounts a folder; one that is mounted stays so. `operation` answers what GVfs wants to know. Needs the main
/// loop of its thread. [`is_declined`] tells whether it fails because nobody wanted to answer.
pub async fn mount(address: &NetworkAddress, operation: &impl IsA<MountOperation>) -> StorageResult<()> {
    let operation: &MountOperation = operation.upcast_ref();
    // Not every program of GVfs tells this in its error.
    let declined = Rc::new(Cell::new(false));
    let handler = operation.connect_reply({
        let declined = Rc::clone(&declined);
        move |_, reply| declined.set(reply == MountOperationResult::Aborted)
    });
    let result = mount_file(&gio::File::for_uri(&address.uri), operation).await;
    operation.disconnect(handler);
    result.map_err(|error| {
        let mut error = fault::failed(&error, "signing in to", &address.uri);
        if declined.get() {
            error.kind = StorageErrorKind::Credentials;
        }
        error
    })
}

/// Whether that is how it ended that the person did not want to answer.
pub fn is_declined(error: &StorageError) -> bool {
    error.kind == StorageErrorKind::Credentials
}

/// The same without a question. GVfs itself looks into the keyring before it asks.
pub(super) fn mount_quietly(folder: &gio::File, cancellable: &Cancellable) -> Attempt {
    let wanted_answer = Rc::new(Cell::new(false));
    let context = glib::MainContext::new();
    let mounted = context.with_thread_default(|| {
        let operation = silent_operation(&wanted_answer);
        let mounting = mount_file(folder, &operation);
        context.block_on(gio::CancellableFuture::new(mounting, cancellable.clone()))
    });
    let result = match mounted {
        Ok(Ok(result)) => result,
        Ok(Err(gio::Cancelled)) => Err(glib::Error::new(IOErrorEnum::Cancelled, "it took too long")),
        Err(error) => Err(glib::Error::new(IOErrorEnum::Failed, &error.to_string())),
    };
    Attempt { result, wanted_answer: wanted_answer.get() }
}

/// Declines every question, and notes that there was one.
fn silent_operation(wanted_answer: &Rc<Cell<bool>>) -> MountOperation {
    let operation = MountOperation::new();
    for question in ["ask-password", "ask-question"] {
        let noted = Rc::clone(wanted_answer);
        operation.connect_local(question, false, move |values| {
            noted.set(true);
            if let Some(Ok(operation)) = values.first().map(glib::Value::get::<MountOperation>) {
                // Else the class itself answers once more, from the main loop.
                operation.stop_signal_emission_by_name(question);
                operation.reply(MountOperationResult::Aborted);
            }
            None
        });
    }
    operation
}

/// Where servers want to be mounted at a folder that exists, one above is taken if it is to be made yet. What was
/// answered for the one holds for the other.
async fn mount_file(folder: &gio::File, operation: &MountOperation) -> Result<(), glib::Error> {
    let mut place = folder.clone();
    // A share is mounted as a whole, and says nothing useful of a folder that it does not have.
    if place.has_uri_scheme("smb") {
        while let Some(above) = place.parent() {
            place = above;
        }
    }
    let is_answered = Rc::new(Cell::new(false));
    let handler = operation.connect_ask_password({
        let is_answered = Rc::clone(&is_answered);
        move |operation, _, _, _, _| {
            if is_answered.take() && operation.password().is_some() {
                operation.stop_signal_emission_by_name("ask-password");
                operation.reply(MountOperationResult::Handled);
            }
        }
    });
    let result = loop {
        match place.mount_enclosing_volume_future(gio::MountMountFlags::NONE, Some(operation)).await {
            Err(error) if error.matches(IOErrorEnum::AlreadyMounted) => break Ok(()),
            Err(error) if error.matches(IOErrorEnum::NotFound) => match place.parent() {
                Some(above) => place = above,
                None => break Err(error),
            },
            result => break result,
        }
        is_answered.set(true);
    };
    operation.disconnect(handler);
    result
}
