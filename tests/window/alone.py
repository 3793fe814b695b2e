#!/usr/bin/env python3
"""What runs by itself while the passwords of the desktop are locked: nobody is asked anything, it is said once, and once they
are unlocked it is made.

    alone.py PROGRAM [wide|narrow] [light|dark]
"""

import json
import pathlib
import re
import sys

import flows
import sample
from session import KEYRING_PASSWORD, Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
COLLECTION = "/org/freedesktop/secrets/collection/login"
# Opens it without a dialog, by an interface that GNOME Keyring has for tests.
UNLOCK = """
import sys
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
def call(interface, method, kind, *values):
    service, path = "org.freedesktop.secrets", "/org/freedesktop/secrets"
    return bus.call_sync(service, path, interface, method, GLib.Variant(kind, values), None, 0, -1, None).unpack()
_, session = call("org.freedesktop.Secret.Service", "OpenSession", "(sv)", "plain", GLib.Variant("s", ""))
secret = session, b"", sys.stdin.buffer.read(), "text/plain"
interface = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface"
call(interface, "UnlockWithMasterPassword", "(o(oayays))", sys.argv[1], secret)
"""
# The monitor looks once a minute at what it is not told of, on a slow machine.
LONG_SECS = 150


def runs(history):
    return [json.loads(line) for line in history.read_text().splitlines()]


def is_locked(session):
    return b"true" in session.run(
        ["gdbus", "call", "--session", "--dest=org.freedesktop.secrets", f"--object-path={COLLECTION}",
         "--method=org.freedesktop.DBus.Properties.Get", "org.freedesktop.Secret.Collection", "Locked"]
    )  # fmt: skip


def main(program, width="narrow", shade="light"):
    with Session(TOP / "target" / "alone" / f"{width}-{shade}") as session:
        shown = session.home / "shown"
        session.take_notifications(shown)
        documents = sample.make(session.home / "Documents")

        def notes():
            return [json.loads(line) for line in shown.read_text().splitlines()] if shown.exists() else []

        def start():
            app = session.launch(program, dark=shade == "dark")
            app.find("button")
            app.resize(*((1000, 760) if width == "wide" else (360, 760)))
            return app

        app = start()
        flows.set_up(app, documents, session.home / "Backup Drive")
        app.close()

        session.run(["gdbus", "call", "--session", "--dest=org.freedesktop.secrets",
                     "--object-path=/org/freedesktop/secrets", "--method=org.freedesktop.Secret.Service.Lock",
                     f"['{COLLECTION}']"])  # fmt: skip
        assert is_locked(session)

        session.run(["gpgconf", "--kill", "gpg-agent"])

        # Months later.
        (history,) = (session.home / ".local/share/souvenir/history").glob("*.jsonl")
        (made,) = runs(history)
        early = made | {"started_secs": 1_600_000_000, "ended_secs": 1_600_000_100}
        history.write_text(json.dumps(early) + "\n")
        flows.change_plan(session, ("^every = .*", 'every = "month"'), ("^prove = .*", "prove = false\nsince = 0"))
        monitor = session.spawn([pathlib.Path(program).resolve().with_name("souvenir-monitor")], log="monitor.log")
        wait(lambda: len(runs(history)) == 2, "a run", LONG_SECS)
        run = runs(history)[1]
        assert run["automatic"] and run["outcome"]["kind"] == "failed" and "cause" not in run, run
        (note,) = wait(notes, "a word")
        assert note["title"] == "“Documents” could not be backed up", note
        app = start()
        app.find(text=re.compile("^Failed "))
        app.find(text=re.compile("^Tries again "))
        app.find(text=re.compile("^It is remembered with your other passwords, which are locked. "))
        app.picture("locked")
        app.close()

        # Unlocked as by signing in, and when the time to try again has come.
        session.run(["/usr/bin/python3", "-c", UNLOCK, COLLECTION], input=KEYRING_PASSWORD)
        assert not is_locked(session)
        history.write_text("".join(json.dumps(run) + "\n" for run in (early, runs(history)[1] | early_times(early))))
        wait(lambda: len(runs(history)) == 3, "another run", LONG_SECS)
        assert runs(history)[2]["outcome"]["kind"] == "finished", runs(history)
        app = start()
        app.find(text=re.compile("in 2 snapshots$"))
        app.find(text=re.compile("^Next: "))
        app.picture("made")
        assert len(notes()) == 1, notes()
        monitor.terminate()
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


def early_times(run):
    """A day after another run."""
    return {"started_secs": run["started_secs"] + 86_400, "ended_secs": run["ended_secs"] + 86_400}


if __name__ == "__main__":
    main(*sys.argv[1:])
