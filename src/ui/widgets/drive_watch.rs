//! Which drives are connected, looked at again and again while somebody sees what depends on it.

use std::time::Duration;

use gtk::prelude::*;

use crate::engine::storage::{DriveAddress, Drives};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Gives a widget the drives that are mounted, now and every second, until it is gone or the handle is aborted.
pub fn watch_drives<W: IsA<glib::Object>>(
    widget: &W,
    take: impl Fn(&W, Vec<DriveAddress>) + 'static,
) -> glib::JoinHandle<()> {
    let widget = widget.downgrade();
    glib::spawn_future_local(async move {
        loop {
            let drives = mounted_drives().await;
            let Some(widget) = widget.upgrade() else { return };
            take(&widget, drives);
            drop(widget);
            glib::timeout_future(LOOK_EVERY).await;
        }
    })
}

/// The drives that are mounted now; none if that cannot be told.
pub async fn mounted_drives() -> Vec<DriveAddress> {
    let looked = gio::spawn_blocking(|| Drives::default().mounted()).await;
    looked.ok().and_then(Result::ok).unwrap_or_default()
}
