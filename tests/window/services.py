"""Services of a desktop that a test steers: power, network, games, sleep, and whoever shows notifications.

    services.py NAME STATE-FILE [LOG-FILE]

Owns the service's name on a bus until it is ended. STATE-FILE holds JSON, which is looked at ten times a second: the
properties of the service and their values. `notifications` needs none; what it is asked to show goes to LOG-FILE, a line
of JSON each."""

import json
import pathlib
import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

# Bus, name, object, and the properties that are known with their types. The interface is called as the service, if no other
# is named.
SERVICES = {
    "power": (
        Gio.BusType.SYSTEM,
        "org.freedesktop.UPower",
        "/org/freedesktop/UPower",
        {"OnBattery": "b"},
    ),
    "power-profiles": (
        Gio.BusType.SYSTEM,
        "org.freedesktop.UPower.PowerProfiles",
        "/org/freedesktop/UPower/PowerProfiles",
        {"ActiveProfile": "s"},
    ),
    "network": (
        Gio.BusType.SYSTEM,
        "org.freedesktop.NetworkManager",
        "/org/freedesktop/NetworkManager",
        {"State": "u", "Connectivity": "u", "Metered": "u"},
    ),
    "login": (
        Gio.BusType.SYSTEM,
        "org.freedesktop.login1",
        "/org/freedesktop/login1",
        {"PreparingForSleep": "b"},
        "org.freedesktop.login1.Manager",
    ),
    "games": (
        Gio.BusType.SESSION,
        "com.feralinteractive.GameMode",
        "/com/feralinteractive/GameMode",
        {"ClientCount": "i"},
    ),
}

NOTIFICATIONS = """<node><interface name="org.freedesktop.Notifications">
  <method name="GetCapabilities"><arg type="as" direction="out"/></method>
  <method name="GetServerInformation"><arg type="s" direction="out"/><arg type="s" direction="out"/>
    <arg type="s" direction="out"/><arg type="s" direction="out"/></method>
  <method name="CloseNotification"><arg type="u" direction="in"/></method>
  <method name="Notify"><arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
    <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
    <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/></method>
  <signal name="ActionInvoked"><arg type="u"/><arg type="s"/></signal>
</interface></node>"""


def serve_properties(state, bus_type, name, path, kinds, interface=None):
    """Read-only properties that follow a file."""
    interface = interface or name
    properties = "".join(f'<property name="{prop}" type="{kind}" access="read"/>' for prop, kind in kinds.items())
    xml = f'<node><interface name="{interface}">{properties}</interface></node>'
    known = {}

    def read():
        values = json.loads(state.read_text())
        return {prop: GLib.Variant(kind, values[prop]) for prop, kind in kinds.items()}

    known.update(read())
    bus = Gio.bus_get_sync(bus_type, None)
    description = Gio.DBusNodeInfo.new_for_xml(xml).interfaces[0]
    bus.register_object(path, description, None, lambda *asked: known[asked[4]], None)

    def follow():
        try:
            values = read()
        except ValueError:
            # It is being written.
            return True
        new = {prop: value for prop, value in values.items() if not value.equal(known[prop])}
        if new:
            known.update(new)
            changed = GLib.Variant("(sa{sv}as)", (interface, new, []))
            bus.emit_signal(None, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", changed)
        # logind says no more of it than this.
        if "PreparingForSleep" in new:
            sleeps = GLib.Variant.new_tuple(new["PreparingForSleep"])
            bus.emit_signal(None, path, interface, "PrepareForSleep", sleeps)
        return True

    GLib.timeout_add(100, follow)
    return bus, name


def serve_notifications(log):
    """Writes down what is to be shown. A line "ID ACTION" in LOG-FILE.click is a click on it."""
    bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
    interface = Gio.DBusNodeInfo.new_for_xml(NOTIFICATIONS).interfaces[0]
    path = "/org/freedesktop/Notifications"
    shown = [0]
    clicks = log.with_name(log.name + ".click")

    def called(_bus, _sender, _path, _interface, method, parameters, invocation):
        if method == "Notify":
            _app, replaced, _icon, title, body, actions, hints, _timeout = parameters.unpack()
            shown[0] = replaced or shown[0] + 1
            line = {"id": shown[0], "title": title, "body": body, "actions": actions}
            with log.open("a") as lines:
                lines.write(json.dumps(line | {"entry": hints.get("desktop-entry")}) + "\n")
            invocation.return_value(GLib.Variant("(u)", (shown[0],)))
        elif method == "GetCapabilities":
            invocation.return_value(GLib.Variant("(as)", (["actions", "body"],)))
        elif method == "GetServerInformation":
            invocation.return_value(GLib.Variant("(ssss)", ("tests", "souvenir", "1", "1.2")))
        else:
            invocation.return_value(None)

    def click():
        if clicks.exists():
            number, action = clicks.read_text().split()
            clicks.unlink()
            signal = GLib.Variant("(us)", (int(number), action))
            bus.emit_signal(None, path, "org.freedesktop.Notifications", "ActionInvoked", signal)
        return True

    bus.register_object(path, interface, called, None, None)
    GLib.timeout_add(100, click)
    return bus, "org.freedesktop.Notifications"


def main(service, state, log=None):
    if service == "notifications":
        bus, name = serve_notifications(pathlib.Path(log))
    else:
        bus, name = serve_properties(pathlib.Path(state), *SERVICES[service])
    acquired = lambda *_: print("ready", flush=True)  # noqa: E731
    Gio.bus_own_name_on_connection(bus, name, Gio.BusNameOwnerFlags.NONE, acquired, lambda *_: sys.exit(1))
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
