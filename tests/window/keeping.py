#!/usr/bin/env python3
"""How long snapshots are kept: old ones of another chain are deleted after a backup, and the log says so.

    keeping.py PROGRAM CLI [wide|narrow] [dark]
"""

import pathlib
import re
import sys
import time

import flows
import sample
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
DAY = 86_400


def set_up(app, folder, destination, count):
    """A plan without protection, and its first backup."""
    app.click("button", "Set Up a Backup…")
    app.click("button", "Do Not Back Up Home")
    app.type_into("Add a Folder", str(folder))
    app.click("button", "Continue")
    app.type_into("Folder", str(destination))
    app.click("button", "Test")
    app.find("list item", re.compile("backups? (is|are) here|The folder will be made"))
    app.click("button", "Continue")
    app.click("radio button", re.compile("Not at All"))
    app.wait_gone("button", "Create a Key…")
    app.click("button", "Continue")
    flows.schedule(app)
    app.click("button", "Back Up Now", within=app.find("dialog"))
    flows.wait_for_backup(app, count)


def main(program, cli, width="wide", shade="light"):
    size = (1000, 760) if width == "wide" else (360, 760)
    with Session(TOP / "target" / "keeping" / f"{width}-{shade}") as session:
        documents = sample.make(session.home / "Documents")
        store = session.home / "Backup Drive"
        for days in (60, 50):
            when = str(int(time.time()) - days * DAY)
            session.run([cli, "backup", "--no-encryption", "--current-time", when, documents, store])

        def start():
            app = session.launch(program, dark=shade == "dark")
            app.find("button")
            app.resize(*size)
            return app

        app = start()
        number = iter(range(1, 100))

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        # The chain is of another folder as duplicity sees it, so it is not gone on with.
        set_up(app, documents, store, 3)
        app.find("list item", "Keep").bring().click()
        app.find("list item", "Nothing is deleted")
        seen("everything")
        flows.choose_item(app, "Snapshots", "For some time")
        spin = app.find("spin button", "Days")
        spin.accessible.get_value_iface().set_current_value(30)
        app.find("list item", "2 of 3 snapshots are deleted after the next backup")
        seen("for-some-time")
        flows.choose_item(app, "Snapshots", "Fewer of the older ones")
        app.find("list item", "Nothing is deleted after the next backup yet")
        seen("thinned")
        flows.choose_item(app, "Snapshots", "For some time")
        flows.choose_item(app, "New Full Snapshot", "Every month")
        app.click("button", "Save")
        app.wait_gone("dialog", "Plan Settings")
        app.find(text="Every snapshot of the last 30 days")
        plans = (session.home / ".config" / "souvenir" / "plans.toml").read_text()
        assert "days = 30" in plans and 'full_every = "month"' in plans, plans

        flows.back_up(app, 2)
        left = [path.name for path in store.iterdir() if path.name.endswith(".manifest")]
        assert len(left) == 2, left
        seen("deleted")
        # The log says what went.
        app.find("list item", "Log").bring().click()
        app.find("list", "Log")
        seen("log")
        app.click("list item", re.compile(r"."), within=app.find("list", "Log"))
        app.find("list item", re.compile("^Incremental backup: .* stored"))
        app.find("label", "Deleted Snapshots")
        app.find("label", re.compile("were freed"))
        seen("run")
        app.click("button", "Copy Details")
        app.find("label", "The details were copied")
        app.click("button", "Back")
        app.find("list", "Log")
        app.click("button", "Back")
        app.wait_gone("list", "Log")

        # While the destination is away, what is known of it can be seen, and nothing restored.
        flows.browse(app)
        assert app.find("button", "Restore…").is_sensitive
        app.click("button", "Back")
        app.close()
        store.rename(session.home / "Unplugged")
        app = start()
        app.find("label", "The destination is not there")
        app.find("button", "Browse and Restore").bring()
        flows.browse(app)
        app.find(text=re.compile("restoring has to wait"))
        assert not app.find("button", "Restore…").is_sensitive
        app.click("check box", "Select Poem.txt")
        seen("away")
        if width == "narrow":
            app.click("button", "Versions")
        assert not app.find("button", "Restore This Version…").is_sensitive
        if width == "narrow":
            app.click("button", "Back")
        (session.home / "Unplugged").rename(store)
        app.click("button", "Try Again")
        wait(lambda: app.find("button", "Restore…").is_sensitive, "a restore to be offered again", flows.WORK_SECS)
        app.wait_gone("button", "Try Again")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
