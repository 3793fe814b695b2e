//! Signing in to the server of a network folder, by the desktop's own dialog: it asks for name and password, and
//! offers to remember them in the keyring.

use futures_util::future::{Either, select};
use glib::prelude::*;

use super::model::JobModel;
use super::window::Window;
use crate::engine::storage::{NetworkAddress, StorageResult};
use crate::platform::network;

/// Lets the person sign in. None if they decline, or if the job ends before.
pub async fn mount(window: &Window, job: &JobModel, address: &NetworkAddress) -> Option<StorageResult<()>> {
    let operation = gtk::MountOperation::new(Some(window));
    let mounting = std::pin::pin!(network::mount(address, &operation));
    let (sender, ended) = async_channel::bounded::<()>(1);
    // Fails only when nobody waits any more.
    let handler = job.connect_ended(move |_| _ = sender.try_send(()));
    let result = match select(mounting, std::pin::pin!(ended.recv())).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    };
    job.disconnect(handler);
    result.filter(|result| !result.as_ref().is_err_and(network::is_declined))
}
