//! Starting the monitor with the session, as long as there is something to be watched: through the portal inside a
//! sandbox, by a file in the XDG autostart folder elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use glib::variant::ToVariant;
use glib::{Variant, VariantDict};

use crate::config::{APP_ID, LOG_VARIABLE, MONITOR_ID, MONITOR_PROGRAM};
use crate::engine::sandbox::is_sandboxed;
use crate::plan::store::write_whole;

/// A program that was installed, or built, together with this one.
pub fn sibling(name: &str) -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// Sees to it that the monitor runs now and in each session, or, where it is not wanted, that it is no longer
/// started. One that runs ends by itself when there is nothing to watch. Whether the session does as is wished.
pub async fn set(wanted: bool) -> bool {
    if wanted && let Err(error) = start() {
        tracing::warn!(%error, "the monitor could not be started");
    }
    let done = if is_sandboxed() { ask_portal(wanted).await } else { keep_file(wanted).await };
    if let Err(error) = &done {
        tracing::warn!(%error, wanted, "the monitor could not be registered with the session");
    }
    done.is_ok()
}

/// Starts the monitor. Where one runs already, the second ends at once. It outlives this program, and keeps its
/// standard error open only for someone who wants to read the log.
fn start() -> io::Result<()> {
    let program = sibling(MONITOR_PROGRAM)?;
    let mut flags = gio::SubprocessFlags::STDOUT_SILENCE;
    if std::env::var_os(LOG_VARIABLE).is_none() {
        flags |= gio::SubprocessFlags::STDERR_SILENCE;
    }
    let monitor = gio::Subprocess::newv(&[program.as_os_str()], flags).map_err(io::Error::other)?;
    glib::spawn_future_local(async move {
        // Nobody else waits for it, should it end before this program does.
        if let Err(error) = monitor.wait_future().await {
            tracing::info!(%error, "the monitor was not waited for");
        }
    });
    Ok(())
}

async fn keep_file(wanted: bool) -> io::Result<()> {
    let path = glib::user_config_dir().join("autostart").join(format!("{MONITOR_ID}.desktop"));
    let program = sibling(MONITOR_PROGRAM)?;
    let keep = move || {
        if wanted {
            let entry = entry(&program);
            // A file that says the same already is left alone.
            if std::fs::read(&path).ok().as_deref() == Some(entry.as_bytes()) {
                return Ok(());
            }
            return write_whole(&path, entry.as_bytes());
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    };
    gio::spawn_blocking(keep).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The entry that starts a program with the session (see the Desktop Application Autostart Specification).
fn entry(program: &Path) -> String {
    format!(
        "[Desktop Entry]\nType=Application\nName=Souvenir Monitor\nExec={}\nIcon={APP_ID}\nNoDisplay=true\n\
         X-GNOME-Autostart-enabled=true\n",
        quoted(&program.display().to_string())
    )
}

/// An argument as it stands in the Exec key of a desktop entry: quoted, with what means something in there escaped,
/// once for the quotes and once for the value (see the Desktop Entry Specification, "The Exec key").
fn quoted(argument: &str) -> String {
    let mut text = String::from("\"");
    for letter in argument.chars() {
        match letter {
            '"' | '`' | '$' => text.extend(["\\\\".into(), letter.to_string()]),
            '\\' => text.push_str("\\\\\\\\"),
            '%' => text.push_str("%%"),
            _ => text.push(letter),
        }
    }
    text.push('"');
    text
}

/// Asks the portal, which does what it allows by itself, and waits for its answer: it may ask the person first (see
/// org.freedesktop.portal.Background and org.freedesktop.portal.Request).
async fn ask_portal(wanted: bool) -> io::Result<()> {
    const PORTAL: &str = "org.freedesktop.portal.Desktop";
    let bus = gio::bus_get_future(gio::BusType::Session).await.map_err(io::Error::other)?;
    // The answer may come before the call returns, so it is listened to under the name that it will have.
    let token = format!("souvenir{:016x}", fastrand::u64(..));
    let sender = bus.unique_name().unwrap_or_default().trim_start_matches(':').replace('.', "_");
    let request = format!("/org/freedesktop/portal/desktop/request/{sender}/{token}");
    let (answered, answer) = async_channel::bounded(1);
    let listening = bus.subscribe_to_signal(
        Some(PORTAL),
        Some("org.freedesktop.portal.Request"),
        Some("Response"),
        Some(&request),
        None,
        gio::DBusSignalFlags::NONE,
        // Fails only when nobody waits any more.
        move |signal| _ = answered.try_send(signal.parameters.clone()),
    );
    let options = VariantDict::new(None);
    options.insert("handle_token", token);
    options.insert("autostart", wanted);
    options.insert("commandline", [MONITOR_PROGRAM].to_variant());
    let parameters = Variant::tuple_from_iter(["".to_variant(), options.end()]);
    let call = bus.call_future(
        Some(PORTAL),
        "/org/freedesktop/portal/desktop",
        "org.freedesktop.portal.Background",
        "RequestBackground",
        Some(&parameters),
        None,
        gio::DBusCallFlags::NONE,
        -1,
    );
    call.await.map_err(io::Error::other)?;
    let answer = answer.recv().await.map_err(io::Error::other)?;
    drop(listening);
    // How the request ended, 0 if well, and what is allowed now.
    let allowed = match answer.get::<(u32, VariantDict)>() {
        Some((0, results)) => results.lookup::<bool>("autostart").ok().flatten() == Some(wanted),
        _ => false,
    };
    if allowed { Ok(()) } else { Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not allowed")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use gio::prelude::*;

    use super::*;

    const INTERFACE: &str =
        "<node><interface name='org.freedesktop.portal.Background'><method name='RequestBackground'>
        <arg type='s' direction='in'/><arg type='a{sv}' direction='in'/><arg type='o' direction='out'/>
        </method></interface></node>";

    #[test]
    fn odd_paths_are_one_argument() {
        assert_eq!(quoted("/opt/My Apps/100% \"$x\"\\"), "\"/opt/My Apps/100%% \\\\\"\\\\$x\\\\\"\\\\\\\\\"");
        assert!(
            entry(Path::new("/usr/bin/souvenir-monitor")).contains("\nExec=\"/usr/bin/souvenir-monitor\"\n")
        );
    }

    /// A connection of its own, on which somebody answers as a portal does: how the request ended, and what is
    /// allowed then. Each answer comes before the call returns, as it may.
    fn portal(bus: &gio::TestDBus, answer: Rc<Cell<(u32, bool)>>) -> (gio::DBusConnection, gio::OwnerId) {
        let flags = gio::DBusConnectionFlags::AUTHENTICATION_CLIENT
            | gio::DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
        let address = bus.bus_address().unwrap();
        let connection =
            gio::DBusConnection::for_address_sync(&address, flags, None, gio::Cancellable::NONE).unwrap();
        let interface = gio::DBusNodeInfo::for_xml(INTERFACE)
            .unwrap()
            .lookup_interface("org.freedesktop.portal.Background")
            .unwrap();
        let answering = move |connection: gio::DBusConnection,
                              sender: Option<&str>,
                              _: &str,
                              _: Option<&str>,
                              _: &str,
                              parameters: Variant,
                              invocation: gio::DBusMethodInvocation| {
            let (_, options) = parameters.get::<(String, VariantDict)>().unwrap();
            assert_eq!(options.lookup::<Vec<String>>("commandline").unwrap().unwrap(), [MONITOR_PROGRAM]);
            let token: String = options.lookup("handle_token").unwrap().unwrap();
            let sender = sender.unwrap().trim_start_matches(':').replace('.', "_");
            let request = format!("/org/freedesktop/portal/desktop/request/{sender}/{token}");
            let (response, allowed) = answer.get();
            let results = VariantDict::new(None);
            results.insert("autostart", allowed);
            let signal = Variant::tuple_from_iter([response.to_variant(), results.end()]);
            let name = "org.freedesktop.portal.Request";
            connection.emit_signal(None, &request, name, "Response", Some(&signal)).unwrap();
            let path = glib::variant::ObjectPath::try_from(request).unwrap();
            invocation.return_value(Some(&(path,).to_variant()));
        };
        connection
            .register_object("/org/freedesktop/portal/desktop", &interface)
            .method_call(answering)
            .build()
            .unwrap();
        let owner = gio::bus_own_name_on_connection(
            &connection,
            "org.freedesktop.portal.Desktop",
            gio::BusNameOwnerFlags::NONE,
            |_, _| {},
            |_, _| {},
        );
        (connection, owner)
    }

    #[test]
    fn the_answer_of_the_portal_counts() {
        let bus = gio::TestDBus::new(gio::TestDBusFlags::NONE);
        bus.up();
        let answer = Rc::new(Cell::new((0, true)));
        let (connection, owner) = portal(&bus, Rc::clone(&answer));
        let context = glib::MainContext::default();
        let ask = |said, wanted| {
            answer.set(said);
            context.block_on(ask_portal(wanted)).is_ok()
        };
        assert!(ask((0, true), true));
        assert!(!ask((0, false), true), "it is not allowed");
        assert!(!ask((1, true), true), "somebody has closed the question");
        assert!(ask((0, false), false));
        gio::bus_unown_name(owner);
        drop(connection);
        bus.down();
    }
}
