//! The state of the machine, as far as a schedule asks for it: power, network, games. Whatever a machine does not have
//! forbids nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gio::prelude::*;
use glib::WeakRef;

use crate::plan::Plan;
use crate::plan::schedule::Machine;

/// A service on a bus: bus, name, object, interface.
type Service = (gio::BusType, &'static str, &'static str, &'static str);

/// This one is started if need be. The others have nothing to say before somebody else starts them.
const UPOWER: Service =
    (gio::BusType::System, "org.freedesktop.UPower", "/org/freedesktop/UPower", "org.freedesktop.UPower");
const GAME_MODE: Service = (
    gio::BusType::Session,
    "com.feralinteractive.GameMode",
    "/com/feralinteractive/GameMode",
    "com.feralinteractive.GameMode",
);
const LOGIN: Service = (
    gio::BusType::System,
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
);

/// Watches the machine. It ends when it is dropped.
pub struct MachineWatch {
    network: gio::NetworkMonitor,
    power: gio::PowerProfileMonitor,
    upower: RefCell<Option<gio::DBusProxy>>,
    game_mode: RefCell<Option<gio::DBusProxy>>,
    login: RefCell<Option<gio::DBusProxy>>,
    /// How many services have not answered yet.
    unknown_count: Cell<u32>,
    handlers: RefCell<Vec<(WeakRef<glib::Object>, glib::SignalHandlerId)>>,
}

impl std::fmt::Debug for MachineWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MachineWatch").field(&self.now()).finish()
    }
}

impl MachineWatch {
    /// Begins to watch. `changed` is called when something may have changed, the machine's waking up too.
    pub fn start(changed: impl Fn() + Clone + 'static) -> Rc<Self> {
        let watch = Rc::new(Self {
            network: gio::NetworkMonitor::default(),
            power: gio::PowerProfileMonitor::get_default(),
            upower: RefCell::default(),
            game_mode: RefCell::default(),
            login: RefCell::default(),
            unknown_count: Cell::default(),
            handlers: RefCell::default(),
        });
        let on_network = changed.clone();
        watch.keep(&watch.network, watch.network.connect_network_changed(move |_, _| on_network()));
        for property in ["network-metered", "connectivity"] {
            let on_network = changed.clone();
            let handler = watch.network.connect_notify_local(Some(property), move |_, _| on_network());
            watch.keep(&watch.network, handler);
        }
        let on_power = changed.clone();
        let handler = watch.power.connect_power_saver_enabled_notify(move |_| on_power());
        watch.keep(&watch.power, handler);
        for (service, place) in [
            (UPOWER, (|watch| &watch.upower) as fn(&Self) -> &RefCell<Option<gio::DBusProxy>>),
            (GAME_MODE, |watch| &watch.game_mode),
            (LOGIN, |watch| &watch.login),
        ] {
            let (weak, changed) = (Rc::downgrade(&watch), changed.clone());
            watch.unknown_count.set(watch.unknown_count.get() + 1);
            glib::spawn_future_local(async move {
                let proxy = open(service).await;
                let Some(watch) = weak.upgrade() else { return };
                if let Some(proxy) = proxy {
                    watch.follow(&proxy, &changed);
                    place(&watch).replace(Some(proxy));
                }
                watch.unknown_count.set(watch.unknown_count.get() - 1);
                changed();
            });
        }
        watch
    }

    /// Whether everything that can be asked was asked.
    pub fn is_known(&self) -> bool {
        self.unknown_count.get() == 0
    }

    /// What the machine is like now; what is not known yet forbids nothing.
    pub fn now(&self) -> Machine {
        let on_battery = property::<bool>(&self.upower, "OnBattery");
        let clients = property::<i32>(&self.game_mode, "ClientCount");
        Machine {
            on_battery: on_battery.unwrap_or(false),
            saves_power: self.power.is_power_saver_enabled(),
            plays: clients.is_some_and(|count| count > 0),
            is_offline: !self.network.is_network_available(),
            is_metered: self.network.is_network_metered(),
            is_captive: self.network.connectivity() == gio::NetworkConnectivity::Portal,
            drive_is_away: false,
        }
    }

    /// Calls `changed` when the service says something new, comes or goes.
    fn follow(&self, proxy: &gio::DBusProxy, changed: &(impl Fn() + Clone + 'static)) {
        for signal in ["g-properties-changed", "g-signal", "notify::g-name-owner"] {
            let changed = changed.clone();
            let handler = proxy.connect_local(signal, false, move |_| {
                changed();
                None
            });
            self.keep(proxy, handler);
        }
    }

    fn keep(&self, object: &impl IsA<glib::Object>, handler: glib::SignalHandlerId) {
        self.handlers.borrow_mut().push((object.upcast_ref::<glib::Object>().downgrade(), handler));
    }
}

impl Drop for MachineWatch {
    fn drop(&mut self) {
        for (object, handler) in self.handlers.take() {
            if let Some(object) = object.upgrade() {
                object.disconnect(handler);
            }
        }
    }
}

/// What matters of the machine for one plan: its drive may be away. Blocks for as long as it takes to read what is mounted.
pub fn for_plan(machine: Machine, plan: &Plan) -> Machine {
    let is_drive = matches!(plan.destination, crate::plan::Destination::Drive { .. });
    Machine { drive_is_away: is_drive && plan.destination.folder().is_none(), ..machine }
}

/// None where there is no such bus. A service that is not there yet may come.
async fn open((bus, name, path, interface): Service) -> Option<gio::DBusProxy> {
    let flags =
        if name == UPOWER.1 { gio::DBusProxyFlags::NONE } else { gio::DBusProxyFlags::DO_NOT_AUTO_START };
    match gio::DBusProxy::for_bus_future(bus, flags, None, name, path, interface).await {
        Ok(proxy) => Some(proxy),
        Err(error) => {
            tracing::info!(%error, name, "is not watched");
            None
        }
    }
}

fn property<T: glib::variant::FromVariant>(proxy: &RefCell<Option<gio::DBusProxy>>, name: &str) -> Option<T> {
    proxy.borrow().as_ref()?.cached_property(name)?.get()
}
