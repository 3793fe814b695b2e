"""Services of a desktop that a test steers: the power of the machine, games, and whoever shows notifications.

    services.py NAME STATE-FILE [LOG-FILE]

Owns the service's name on a bus until it is ended. STATE-FILE holds one value, which is looked at ten times a second: for
`power` whether the machine is on battery ("true" or "false"), for `games` how many run. `notifications` needs none; what it
is asked to show goes to LOG-FILE, a line of JSON each."""

import json
import pathlib
import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

SERVICES = {
    "power": (Gio.BusType.SYSTEM, "org.freedesktop.UPower", "/org/freedesktop/UPower", "OnBattery", "b"),
    "games": (
        Gio.BusType.SESSION,
        "com.feralinteractive.GameMode",
        "/com/feralinteractive/GameMode",
        "ClientCount",
        "i",
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


def serve_property(bus_type, name, path, prop, kind, state):
    """One read-only property that follows a file."""
    xml = f'<node><interface name="{name}"><property name="{prop}" type="{kind}" access="read"/></interface></node>'
    read = lambda: json.loads(state.read_text())  # noqa: E731
    value = [read()]
    bus = Gio.bus_get_sync(bus_type, None)
    interface = Gio.DBusNodeInfo.new_for_xml(xml).interfaces[0]
    bus.register_object(path, interface, None, lambda *_: GLib.Variant(kind, value[0]), None)

    def follow():
        if (now := read()) != value[0]:
            value[0] = now
            changed = GLib.Variant("(sa{sv}as)", (name, {prop: GLib.Variant(kind, now)}, []))
            bus.emit_signal(None, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", changed)
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
        bus, name = serve_property(*SERVICES[service], pathlib.Path(state))
    acquired = lambda *_: print("ready", flush=True)  # noqa: E731
    Gio.bus_own_name_on_connection(bus, name, Gio.BusNameOwnerFlags.NONE, acquired, lambda *_: sys.exit(1))
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
