"""A desktop session of its own, and a hand on the mouse and keyboard in it.

    with Session("target/tour") as session:
        app = session.launch("target/debug/souvenir")
        app.click("button", "Set Up a Backup…")
        app.type_into("Name", "Ada")
        session.screenshot("assistant")

Everything is private: the display (Xvfb with a window manager), the session bus, the accessibility bus, the
keyring, the home folder and GnuPG's. Nothing of the caller's session is seen or touched, and whatever was
started ends with the session, also when the test fails: this process adopts all orphans of its
children and ends them by their ids.
"""

import contextlib
import ctypes
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from words import Words

PR_SET_CHILD_SUBREAPER = 36
KEYRING_PASSWORD = b"a keyring of the tests"
# How long something may take to appear. Generous, because the machines of CI are slow; nothing waits longer
# than it has to.
PATIENCE_SECS = 20.0
# How much of each log is shown when a test fails.
LOG_LINES = 40


class NotFound(AssertionError):
    """Something did not appear in time; the text holds what was there instead."""


class Session:
    """Starts on `with`, ends at its end. Pictures go to `pictures`; the home folder is made below a folder
    with a short name, as the path of gpg-agent's socket may have 107 bytes. `variables` are added to the environment."""

    def __init__(self, pictures, screen=(1280, 900), below="/tmp", variables=None):
        self.pictures = pathlib.Path(pictures).resolve()
        self.pictures.mkdir(parents=True, exist_ok=True)
        for old in [*self.pictures.glob("*.png"), *self.pictures.glob("*.log")]:
            old.unlink()
        self.screen = screen
        self.below = below
        self.variables = variables or {}
        self.environment = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            # The last picture says more than the trace.
            with contextlib.suppress(Exception):
                self.screenshot("failure")
            for history in self.home.glob(".local/share/souvenir/history/*"):
                shutil.copy(history, self.pictures)
            for log in sorted(self.pictures.glob("application*.log")):
                last = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
                print(f"--- {log.name}", *last, sep="\n", file=sys.stderr)
        self._end()

    # --- starting and ending ----------------------------------------------------------------------

    def _start(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="svn-", dir=self.below))
        self.home = self._private("home")
        # Where it is not in its usual place, gpg's agent has a socket that no other agent has.
        gnupg = self._private("gnupg")
        (self._private("home/.config") / "user-dirs.dirs").write_text(
            'XDG_DOCUMENTS_DIR="$HOME/Documents"\nXDG_DOWNLOAD_DIR="$HOME/Downloads"\n'
        )
        # Without a settings daemon GTK reads these. Inter is what GNOME's own font is made from.
        (self._private("home/.config/gtk-4.0") / "settings.ini").write_text(
            "[Settings]\ngtk-font-name=Inter 11\ngtk-enable-animations=false\n"
        )
        (gnupg / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
        keep = ("PATH", "LANG", "CARGO_HOME", "RUSTUP_HOME", "USER", "LOGNAME", "SOUVENIR_DEV_ROOT")
        self.environment = {name: os.environ[name] for name in keep if name in os.environ}
        self.environment |= {
            "HOME": str(self.home),
            "GNUPGHOME": str(gnupg),
            "XDG_RUNTIME_DIR": str(self._private("run")),
            "XDG_CONFIG_HOME": str(self._private("home/.config")),
            "XDG_DATA_HOME": str(self._private("home/.local/share")),
            "XDG_STATE_HOME": str(self._private("home/.local/state")),
            "XDG_CACHE_HOME": str(self._private("home/.cache")),
            "XDG_CURRENT_DESKTOP": "GNOME",
            "GDK_BACKEND": "x11",
            "GSK_RENDERER": "cairo",
            "GTK_A11Y": "atspi",
            "GTK_USE_PORTAL": "0",
            "GSETTINGS_BACKEND": "keyfile",
            "NO_AT_BRIDGE": "0",
            "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
        }
        self.environment |= self.variables
        self._start_display()
        self._start_bus()
        # What is imported from now on speaks to the session, not to the caller's desktop.
        os.environ.update(
            {name: self.environment[name] for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")}
        )
        os.environ.pop("AT_SPI_BUS_ADDRESS", None)
        self.spawn(["/usr/libexec/at-spi-bus-launcher", "--launch-immediately"])
        self.run(["gsettings", "set", "org.gnome.desktop.interface", "toolkit-accessibility", "true"])
        self._start_window_manager()
        keyring = self.spawn(
            ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
            stdin=subprocess.PIPE,
        )
        keyring.stdin.write(KEYRING_PASSWORD)
        keyring.stdin.close()
        self._wait_for_service("org.freedesktop.secrets")

    def _private(self, name):
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _start_display(self):
        width, height = self.screen
        # A number by chance: a free one cannot be told from one in use when /tmp is shared with another
        # process namespace, because the lock holds a process id.
        number = random.SystemRandom().randrange(1_000, 60_000)
        reader, writer = os.pipe()
        self.spawn(
            ["Xvfb", f":{number}", "-displayfd", str(writer), "-screen", "0", f"{width}x{height}x24",
             "-nolisten", "tcp", "-noreset"],
            pass_fds=[writer],
        )  # fmt: skip
        os.close(writer)
        with os.fdopen(reader) as ready:
            if not ready.readline():
                raise RuntimeError(f"Xvfb did not start; {self.pictures / 'session.log'} says why")
        self.environment["DISPLAY"] = f":{number}"

    def _start_bus(self):
        bus = self.spawn(["dbus-daemon", "--session", "--nofork", "--print-address=1"], stdout=subprocess.PIPE)
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()

    def _start_window_manager(self):
        rules = self._private("home/.config/openbox") / "rc.xml"
        rules.write_text(OPENBOX_RULES)
        self.spawn(["openbox", "--config-file", str(rules)])
        # Without a compositor GTK draws its windows with plain corners and a thick frame.
        self.spawn(["picom", "--backend=xrender", "--config=/dev/null", "--no-use-damage"])
        self._wait(lambda: b"_NET_SUPPORTING_WM_CHECK(WINDOW)" in self.run(["xprop", "-root"], check=False), "openbox")

    def _end(self):
        # First what the tests started, then whatever was left behind by it: gpg-agent, dconf-service…
        children = _descendants()
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 3
            while children and time.monotonic() < deadline:
                for child in children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, number)
                time.sleep(0.05)
                _reap()
                children = _descendants()
        self._stack.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- programs ---------------------------------------------------------------------------------

    def spawn(self, command, extra=None, log="session.log", **options):
        """Starts a program in the session. Its output goes to a log beside the pictures."""
        log = open(self.pictures / log, "ab")
        self._stack.callback(log.close)
        options = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL} | options
        return subprocess.Popen(command, env=self.environment | (extra or {}), cwd=self.home, **options)

    def run(self, command, check=True, **options):
        """Runs a program in the session and gives its output."""
        options = {"timeout": 120} | options
        done = subprocess.run(
            command, env=self.environment, cwd=self.home, capture_output=True, check=False, **options
        )
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def take_notifications(self, shown):
        """Takes what programs want to be shown, each as a line of JSON, into a file (see services.py)."""
        services = pathlib.Path(__file__).with_name("services.py")
        self.spawn(["/usr/bin/python3", services, "notifications", "", shown])
        self._wait_for_service("org.freedesktop.Notifications")

    def _wait_for_service(self, name):
        list_names = ["gdbus", "call", "--session", "--dest", "org.freedesktop.DBus", "--object-path", "/",
                      "--method", "org.freedesktop.DBus.ListNames"]  # fmt: skip
        self._wait(lambda: f"'{name}'".encode() in self.run(list_names), name)

    def launch(self, program, *arguments, dark=False, language=None, extra=None):
        """Starts the application and waits for its window."""
        settings = {"ADW_DEBUG_COLOR_SCHEME": "prefer-dark" if dark else "prefer-light"}
        if language:
            settings |= {"LANGUAGE": language, "LC_ALL": "de_DE.UTF-8" if language == "de" else "en_US.UTF-8"}
        program = str(pathlib.Path(program).resolve()) if "/" in str(program) else program
        log = self.pictures / "application.log"
        if log.exists():
            # What an earlier start left running goes on writing there.
            log.rename(self.pictures / f"application-{len(list(self.pictures.glob('application*.log')))}.log")
        process = self.spawn([program, *arguments], extra=settings | (extra or {}), log="application.log")
        return Application(self, process, language)

    # --- the screen -------------------------------------------------------------------------------

    def screenshot(self, name, box=None):
        """Takes a picture of the screen, or of a part of it (width, height, x, y), once nothing moves in it;
        gives its path."""
        path = self.pictures / f"{name}.png"
        command = ["import", "-silent", "-window", "root"]
        if box:
            command += ["-crop", "{}x{}+{}+{}".format(*box)]
        deadline = time.monotonic() + 3
        before, now = None, self.run([*command, "rgb:-"])
        while before != now and time.monotonic() < deadline:
            time.sleep(0.1)
            before, now = now, self.run([*command, "rgb:-"])
        self.run([*command, "+repage", str(path)])
        return path

    def press(self, *keys):
        """Presses keys, each by its name: "Return", "Escape", "alt+Left"."""
        self.run(["xdotool", "key", "--delay", "20", *keys])

    def type(self, text):
        """Types on the keyboard, into whatever has the focus."""
        self.run(["xdotool", "type", "--delay", "8", text])

    def _wait(self, condition, what, patience=PATIENCE_SECS):
        return wait(condition, what, patience)


OPENBOX_RULES = """<?xml version="1.0" encoding="UTF-8"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <focus><focusNew>yes</focusNew><followMouse>no</followMouse></focus>
  <placement><policy>Smart</policy><center>yes</center></placement>
  <keyboard><keybind key="A-F4"><action name="Close"/></keybind></keyboard>
  <desktops><number>1</number><popupTime>0</popupTime></desktops>
</openbox_config>
"""


class Application:
    """A running application, seen the way assistive technology sees it. In another language, it is found by what its words
    are in English."""

    def __init__(self, session, process, language=None):
        self.session = session
        self.process = process
        self.words = Words(language) if language else None
        import gi

        gi.require_version("Atspi", "2.0")
        from gi.repository import Atspi

        self.atspi = Atspi
        # A busy machine answers late; the usual limit is 800 ms.
        Atspi.set_timeout(20_000, 60_000)
        self.root = wait(self._on_the_desktop, "the application on the accessibility bus", 60)
        self.find("frame")

    def _on_the_desktop(self):
        if self.process.poll() is not None:
            raise NotFound(f"the application ended with {self.process.returncode} before it had a window")
        desktop = self.atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            child = desktop.get_child_at_index(index)
            if child is not None and child.get_process_id() == self.process.pid and child.get_child_count():
                return child
        return None

    # --- finding ----------------------------------------------------------------------------------

    def find(self, role=None, name=None, patience=PATIENCE_SECS, within=None, text=None):
        """The first widget that is showing and has this role and name, and this text in it. Names and
        texts are compared as a whole, or are compiled patterns. Roles are those of AT-SPI: "button",
        "text", "list item", "frame"…"""
        what = f"{role or 'something'} “{getattr(name or text, 'pattern', name or text)}”"
        try:
            return wait(lambda: next(self._matching(role, name, within, text), None), what, patience)
        except NotFound as error:
            raise NotFound(f"{error}; there is:\n{self.describe()}") from None

    def find_all(self, role=None, name=None, within=None):
        return list(self._matching(role, name, within))

    def has(self, role=None, name=None, within=None):
        return next(self._matching(role, name, within), None) is not None

    def wait_gone(self, role, name=None, patience=PATIENCE_SECS):
        wait(lambda: not self.has(role, name), f"the end of {role} “{name or ''}”", patience)

    def _matching(self, role, name, within=None, text=None):
        for widget, _depth in self._walk(within or self.root):
            with contextlib.suppress(self._bus_error):  # gone while we looked
                if role is not None and widget.role not in ROLES.get(role, (role,)):
                    continue
                if _fits(name, widget, "name") and _fits(text, widget, "text"):
                    yield widget

    def _walk(self, start):
        """Everything that is showing, depth first, as it is now."""
        start = start.accessible if isinstance(start, Widget) else start
        todo = [(start, 0)]
        while todo:
            accessible, depth = todo.pop()
            try:
                states = accessible.get_state_set()
                if depth and not states.contains(self.atspi.StateType.SHOWING):
                    continue
                yield Widget(self, accessible), depth
                count = accessible.get_child_count()
                children = [accessible.get_child_at_index(index) for index in range(count)]
            except self._bus_error:  # gone while we looked
                continue
            todo.extend((child, depth + 1) for child in reversed(children) if child is not None)

    @property
    def _bus_error(self):
        from gi.repository import GLib

        return GLib.Error

    def describe(self):
        """What is on the screen, as text: for messages, and for writing a test."""
        lines = []
        for widget, depth in self._walk(self.root):
            if widget.name or widget.text or widget.role not in FILLING:
                text = f" = {widget.text!r}" if widget.text else ""
                lines.append("  " * depth + f"{widget.role} “{widget.name}”{text}")
        return "\n".join(lines)

    # --- doing ------------------------------------------------------------------------------------

    def click(self, role, name=None, patience=PATIENCE_SECS, within=None):
        """Clicks a widget once it is there and can be used."""
        deadline = time.monotonic() + patience
        while True:
            widget = self.find(role, name, patience, within)
            try:
                widget.click(patience)
                return
            except self._bus_error:  # replaced while we looked
                if time.monotonic() > deadline:
                    raise

    def type_into(self, name, text, role="text", patience=PATIENCE_SECS):
        """Replaces the text of an entry."""
        widget = self.find(role, name, patience)
        widget.set_text(text)
        return widget

    def resize(self, width, height):
        """Gives the window this size, without its frame."""
        window = self.window_id()
        self.session.run(["xdotool", "windowsize", "--sync", window, str(width), str(height)], check=False)
        time.sleep(0.3)

    def window_id(self):
        command = ["xdotool", "search", "--onlyvisible", "--pid", str(self.process.pid)]
        found = self.session._wait(lambda: self.session.run(command, check=False).split(), "the window")
        return found[-1].decode()

    def box(self):
        """Width, height and place of the window on the screen."""
        lines = self.session.run(["xdotool", "getwindowgeometry", "--shell", self.window_id()]).decode().split()
        values = dict(line.split("=") for line in lines)
        return tuple(int(values[name]) for name in ("WIDTH", "HEIGHT", "X", "Y"))

    def picture(self, name):
        """A picture of the window, with its round corners."""
        box = self.box()
        path = self.session.screenshot(name, box)
        edge = f"roundrectangle 0,0 {box[0] - 1},{box[1] - 1} {CORNER},{CORNER}"
        mask = ["(", "+clone", "-alpha", "extract", "-fill", "black", "-colorize", "100",
                "-fill", "white", "-draw", edge, ")"]  # fmt: skip
        convert = ["convert", path, "-alpha", "on", *mask, "-alpha", "off", "-compose", "CopyOpacity", "-composite", path]
        self.session.run([str(word) for word in convert])
        return path

    def histories(self):
        """What the program wrote down of its runs."""
        return [path.read_text() for path in self.session.home.glob(".local/share/souvenir/history/*")]

    def complaints(self):
        """What GTK found wrong with the application."""
        lines = (self.session.pictures / "application.log").read_text(errors="replace").splitlines()
        wrong = re.compile(r"-(CRITICAL|WARNING) \*\*|panicked at")
        return [line for line in lines if wrong.search(line) and not any(known in line for known in GTKS_OWN)]

    def close(self, patience=PATIENCE_SECS):
        """Closes the window as a person does, and gives the exit status."""
        self.session.press("alt+F4")
        return self.process.wait(patience)


# Widgets without a meaning of their own.
FILLING = {"filler", "panel", "generic", "group", "grouping", "section", "unknown", "redundant object"}
# The radius of libadwaita's windows.
CORNER = 15
# What GTK says of itself; no application can help it.
GTKS_OWN = ("GtkText - did not receive a focus-out event",)
# A role that has had several names.
ROLES = {
    "button": ("button", "push button"),
    "text": ("text", "entry", "password text"),
    "window": ("frame", "window", "dialog"),
}


class Widget:
    """One accessible object."""

    def __init__(self, application, accessible):
        self.application = application
        self.accessible = accessible

    def __repr__(self):
        return f"{self.role} “{self.name}”"

    @property
    def role(self):
        return self.accessible.get_role_name()

    @property
    def name(self):
        return self.accessible.get_name() or ""

    @property
    def english_name(self):
        words = self.application.words
        return words.back(self.name)[0] if words else self.name

    @property
    def text(self):
        """The text of an entry or a label."""
        text = self.accessible.get_text_iface()
        if text is None:
            return ""
        return self.application.atspi.Text.get_text(text, 0, -1)

    @property
    def value(self):
        """The number that a progress bar or a spin button shows."""
        value = self.accessible.get_value_iface()
        return None if value is None else value.get_current_value()

    def has_state(self, name):
        state = getattr(self.application.atspi.StateType, name.upper())
        return self.accessible.get_state_set().contains(state)

    @property
    def is_sensitive(self):
        return self.has_state("sensitive")

    def click(self, patience=PATIENCE_SECS):
        wait(lambda: self.is_sensitive, f"{self} to be usable", patience)
        action = self.accessible.get_action_iface()
        if action is not None and action.get_n_actions():
            action.do_action(0)
        else:
            self.mouse_click()

    def mouse_click(self, button=1):
        """Clicks the middle of the widget with the mouse."""
        x, y = self.centre()
        # As a hand does it: after a popover was closed, GTK takes the first event for the end of that.
        way = ["mousemove", str(x - 2), str(y - 2), "sleep", "0.05", "mousemove", str(x), str(y), "sleep", "0.05"]
        self.application.session.run(["xdotool", *way, "click", str(button)])

    def centre(self):
        """The middle of the widget on the screen."""
        _width, _height, left, top = self.application.box()
        box = self.accessible.get_component_iface().get_extents(self.application.atspi.CoordType.WINDOW)
        return left + box.x + box.width // 2, top + box.y + box.height // 2

    def focus(self):
        self.accessible.get_component_iface().grab_focus()

    def bring(self, below=90):
        """Scrolls with the wheel until the widget is in sight, with so many pixels of the window below it, and gives it."""
        width, height, left, top = self.application.box()
        run = self.application.session.run
        for _turn in range(60):
            _x, y = self.centre()
            if top + 120 < y < top + height - below:
                break
            wheel = "5" if y >= top + height - below else "4"
            middle = str(left + width // 2), str(top + height // 2)
            run(["xdotool", "mousemove", *middle, "click", wheel])
            time.sleep(0.05)
        return self

    def set_text(self, text):
        editable = self.accessible.get_editable_text_iface()
        if editable is None:
            raise NotFound(f"{self} cannot be written into")
        editable.set_text_contents(text)


def _fits(wanted, widget, what):
    if wanted is None:
        return True
    value = getattr(widget, what)
    words = widget.application.words
    fits = (lambda text: bool(wanted.search(text))) if isinstance(wanted, re.Pattern) else (lambda text: text == wanted)
    return fits(value) or words is not None and any(map(fits, words.back(value)))


def wait(condition, what, patience=PATIENCE_SECS):
    """Waits until the condition gives something true, and gives that."""
    deadline = time.monotonic() + patience
    pause = 0.02
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise NotFound(f"waited {patience:g} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def _descendants():
    """The processes below this one, those adopted included."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(entry.name)] = int(fields[1])
    found, todo = [], [os.getpid()]
    while todo:
        parent = todo.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        found += children
        todo += children
    return found


def _reap():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    sys.exit(__doc__)
