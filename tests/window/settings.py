#!/usr/bin/env python3
"""The settings of a plan: everything is changed once, and what follows from it is looked at.

    settings.py PROGRAM CLI [wide|narrow] [dark]
"""

import pathlib
import re
import subprocess
import sys

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]
OLD, NEW = "nine lazy otters dreaming", "seven brave geese marching"


def open_settings(app):
    app.click("toggle button", "Main Menu")
    app.click("menu item", "Plan Settings…")
    return app.find("dialog", "Plan Settings")


def save(app):
    app.click("button", "Save")
    app.wait_gone("dialog", "Plan Settings", flows.WORK_SECS)


def plans(session):
    return (session.home / ".config" / "souvenir" / "plans.toml").read_text()


def set_up(app, folder, destination):
    """A plan with a passphrase that nobody remembers."""
    app.click("button", "Set Up a Backup…")
    app.click("button", "Do Not Back Up Home")
    app.type_into("Add a Folder", str(folder))
    app.click("button", "Continue")
    flows.choose_folder(app, destination)
    app.click("button", "Continue")
    flows.choose_passphrase(app, OLD)
    app.find(text=re.compile("^The passphrase is not remembered"))
    flows.schedule(app)
    app.find("button", "Later")
    app.click("button", "Back Up Now")
    flows.wait_for_backup(app, 1)


def main(program, cli, width="wide", shade="light"):
    size = (1000, 760) if width == "wide" else (360, 760)
    with Session(TOP / "target" / "settings" / f"{width}-{shade}") as session:
        documents = sample.make(session.home / "Documents")
        first = session.home / "Backup Drive"

        def start():
            app = session.launch(program, dark=shade == "dark")
            app.find("button")
            app.resize(*size)
            return app

        app = start()
        number = iter(range(1, 100))

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        set_up(app, documents, first)
        seen("overview")
        written = plans(session)

        # Nothing is written by looking, and what is typed is not lost without a word.
        open_settings(app)
        seen("settings")
        assert not app.find("button", "Save").is_sensitive
        app.type_into("Name of This Backup", "")
        app.click("button", "Save")
        app.find("label", "Type a name, to tell this backup from others.")
        seen("name-missing")
        app.type_into("Name of This Backup", "Papers")
        app.click("button", "Cancel")
        app.find("alert", "Discard Changes?")
        seen("discard")
        app.click("button", "Cancel", within=app.find("alert"))
        app.wait_gone("alert")
        assert app.find("text", "Name of This Backup").text == "Papers"
        assert plans(session) == written

        # Folders.
        app.click("list item", "Folders", within=app.find("dialog", "Plan Settings"))
        app.type_into("Add a Folder", str(first))
        app.click("button", "Done")
        app.find("label", re.compile("^“.*” cannot be backed up by this plan: the backups themselves are kept there"))
        app.click("button", f"Do Not Back Up {first.name}")
        app.type_into("Leave Out a Folder", "/etc")
        app.click("button", "Done")
        app.find("label", "This is not inside a folder that is backed up.")
        app.type_into("Leave Out a Folder", str(documents / "Photos"))
        seen("folders")
        app.click("button", "Done")
        app.find("label", "Documents, with 1 exception")
        assert plans(session) == written
        save(app)
        assert 'name = "Papers"' in plans(session) and "Photos" in plans(session)
        app.find(text=re.compile("^Documents, with 1 exception$"))

        # What is chosen on a page is kept by whoever goes back, and asked about when the dialog is closed from there.
        written = plans(session)
        app.find("list item", "Schedule").bring().click()
        flows.choose_every(app, "Every day")
        app.click("button", "Back", within=app.find("dialog"))
        app.find("label", re.compile("^Every day"), within=app.find("dialog"))
        assert app.find("button", "Save").is_sensitive
        app.click("list item", "Schedule", within=app.find("dialog"))
        flows.choose_every(app, "Never")
        app.find("label", "Schedule")
        app.click("button", "Back", within=app.find("dialog"))
        app.find("label", "Only by hand", within=app.find("dialog"))
        app.click("list item", "Schedule", within=app.find("dialog"))
        flows.choose_every(app, "Every day")
        app.click("button", "Close", within=app.find("dialog"))
        app.click("button", "Discard", within=app.find("alert", "Discard Changes?"))
        app.wait_gone("dialog", "Plan Settings")
        assert plans(session) == written

        # Another passphrase holds from the next full set on.
        app.find("list item", "Protection").bring().click()
        flows.choose_passphrase(app, NEW)
        app.find("list item", "Older snapshots keep the old passphrase")
        seen("protection-change")
        app.click("button", "Use This Protection")
        app.find("label", "A new passphrase, from the next backup on")
        seen("settings-changed")
        save(app)
        app.find(text="A passphrase, from the next backup on")
        sample.change(documents)
        flows.back_up(app, 2)
        assert not app.has("label", "A passphrase, from the next backup on")
        assert len(full_sets(first)) == 2
        # Each passphrase opens what is its own; a third backup goes on with the new one.
        assert restored(cli, first, OLD, session, time="2030-01-01") != 0
        assert restored(cli, first, NEW, session) == 0
        (documents / "Poem.txt").write_text("Und was uns trennt\n")
        flows.back_up(app, 3)
        assert len(full_sets(first)) == 2
        # The older snapshot asks for the old one, once nobody remembers it.
        app.close()
        app = start()
        flows.browse(app)
        flows.older_snapshot(app)
        flows.older_snapshot(app)
        app.find("table row", "Budget.csv", flows.WORK_SECS)
        app.click("button", "Restore…")
        app.type_into("Folder", str(session.home / "Oldest"))
        app.click("button", "Restore")
        app.find("alert", "Passphrase Needed", flows.WORK_SECS)
        seen("old-passphrase")
        app.type_into("Passphrase", OLD)
        app.click("button", "Unlock")
        app.find("label", "Restored", flows.WORK_SECS)
        app.click("button", "Close", within=app.find("dialog"))
        app.wait_gone("dialog", "Restore")
        assert (session.home / "Oldest" / "Documents" / "Budget.csv").exists()
        app.click("button", "Back")

        # All of them are checked at once, and each passphrase is asked for once.
        app.find("button", "Verify…").bring().click()
        app.click("button", "All Snapshots", within=app.find("alert", "Verify the Backup"))
        flows.answer(app, NEW)
        app.find("label", re.compile(r"stored files are as they were written, just now$"), flows.WORK_SECS)
        assert not app.has("alert", "Passphrase Needed")

        # Another destination: the old backups stay, the new ones start anew.
        second = session.home / "Other Drive"
        choose_destination(app, second)
        assert app.find("radio button", "Move Them There").has_state("checked")
        app.find("radio button", "Start Anew There").bring().click()
        seen("destination-change")
        app.click("button", "Use This Destination")
        app.find("button", "Save")
        save(app)
        app.find(text="Not backed up yet")
        seen("new-destination")
        # The passphrase that was typed for an old snapshot is not taken for the new ones.
        app.click("button", "Back Up Now")
        app.find("alert", "New Passphrase", flows.WORK_SECS)
        app.type_into("New Passphrase", NEW)
        app.type_into("Repeat Passphrase", NEW)
        app.click("button", "Use Passphrase")
        flows.wait_for_backup(app, 1)
        assert len(full_sets(second)) == 1 and len(full_sets(first)) == 2
        assert restored(cli, second, NEW, session) == 0

        # The backups move, unless one of them is damaged; then everything stays as it is.
        third = session.home / "Third Drive"
        volume = next(second.glob("*.difftar.gpg"))
        whole = volume.read_bytes()
        volume.write_bytes(whole[:-9] + bytes(9))
        move(app, third, seen)
        app.find("label", "1 snapshot could not be copied", flows.WORK_SECS)
        seen("not-moved")
        assert "Other Drive" in plans(session) and not full_sets(third)
        volume.write_bytes(whole)
        move(app, third)
        app.find(text=re.compile("Third Drive"), patience=flows.WORK_SECS)
        assert "Other Drive" not in plans(session)
        assert names(third) == names(second)
        (documents / "Poem.txt").write_text("Da geht ein Mensch\n")
        flows.back_up(app, 2)
        assert len(full_sets(third)) == 1 and len(names(third)) > len(names(second))
        assert restored(cli, third, NEW, session) == 0
        app.find("list item", "Log").bring().click()
        app.find("label", re.compile("^Move to another destination · 1 snapshot is at"))
        seen("log")
        app.click("button", "Back")

        # What limits the speed is written down, and taken away again.
        open_settings(app)
        app.find("spin button", "Upload Limit in KiB/s").bring().accessible.get_value_iface().set_current_value(2000)
        app.find("label", re.compile("At most .* an hour"))
        seen("speed")
        save(app)
        assert "upload_limit = 2000" in plans(session) and "download_limit" not in plans(session)

        # The plan goes, its backups stay.
        open_settings(app)
        app.find("button", "Remove Plan…").bring().click()
        app.click("button", "Remove Plan", within=app.find("alert"))
        app.find("button", "Set Up a Backup…")
        assert len(full_sets(second)) == 1
        assert "[[plan]]" not in plans(session)
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


def choose_destination(app, folder):
    app.find("list item", "Destination").bring().click()
    app.type_into("Folder", str(folder))
    app.click("button", "Test")
    app.find("list item", re.compile("The folder (will be made|can be written)"))
    app.click("button", "Continue")


def move(app, folder, seen=None):
    choose_destination(app, folder)
    app.find("radio button", "Move Them There")
    if seen:
        seen("destination-move")
    app.click("button", "Use This Destination")
    app.find("label", re.compile("once the backups are moved there"))
    save(app)


def names(folder):
    return {path.name for path in folder.iterdir()}


def full_sets(folder):
    return [path for path in folder.iterdir() if re.match(r"duplicity-full\..*\.manifest", path.name)]


def restored(cli, folder, passphrase, session, time=None):
    """Whether the command line opens the newest backup with that passphrase: its exit status."""
    target = session.home / f"by-cli-{len(list(session.home.iterdir()))}"
    command = [cli, "restore", str(folder), str(target), *(["--time", time] if time else [])]
    environment = {**session.environment, "PASSPHRASE": passphrase}
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True).returncode


if __name__ == "__main__":
    main(*sys.argv[1:])
