//! The monitor: starts what is due, and asks what runs to stop when a rule turns. It draws nothing, says nothing and
//! knows no engine: all of this is done by the window's program, which it starts for it.

mod look;
mod monitor;
mod told;

use std::process::ExitCode;

use souvenir::config::{LOG_VARIABLE, MONITOR_ID};

use monitor::Monitor;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env(LOG_VARIABLE))
        .with_writer(std::io::stderr)
        .init();
    let main_loop = glib::MainLoop::new(None, false);
    let (at_start, at_end) = (main_loop.clone(), main_loop.clone());
    // Whoever has the name first stays: two monitors would start everything twice.
    let owner = gio::bus_own_name(
        gio::BusType::Session,
        MONITOR_ID,
        gio::BusNameOwnerFlags::DO_NOT_QUEUE,
        |_, _| {},
        move |bus, _| match Monitor::start(bus, &at_start) {
            Ok(()) => tracing::info!("watching"),
            Err(error) => {
                tracing::error!(%error, "nothing can be watched");
                at_start.quit();
            }
        },
        move |bus, _| {
            tracing::info!(has_bus = bus.is_some(), "another monitor is there, or the session is over");
            at_end.quit();
        },
    );
    main_loop.run();
    gio::bus_unown_name(owner);
    ExitCode::SUCCESS
}
