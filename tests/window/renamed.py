#!/usr/bin/env python3
"""A computer that has another name than the one of the last backup: it is asked whether it is the same one.

    renamed.py PROGRAM [wide|narrow] [light|dark]
"""

import pathlib
import re
import shutil
import socket
import sys

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]


def rename(session, store):
    """Makes the last backup one of another computer, as far as the backups tell."""
    newest = max(store.glob("*.manifest"), key=lambda path: path.stat().st_mtime)
    text = newest.read_bytes()
    mine = b"Hostname " + socket.gethostname().encode() + b"\n"
    assert mine in text, text
    newest.chmod(0o600)
    newest.write_bytes(text.replace(mine, b"Hostname old-desk\n"))
    # What this computer has kept of it would tell otherwise.
    shutil.rmtree(session.home / ".cache" / "souvenir")


def kinds(store):
    """How many full and how many incremental sets there are."""
    return tuple(len(list(store.glob(f"duplicity-{kind}.*.manifest"))) for kind in ("full", "inc"))


def open_on_another_computer(session, program, store):
    """Whose backup it is is told before anything of it is shown, until it was accepted once."""
    extra = flows.another_computer(session, "other")
    app = session.launch(program, extra=extra)
    title = "The Backup of Another Computer"

    def open_backup():
        app.click("button", "Restore From a Backup…")
        app.type_into("Folder", str(store))
        app.click("button", "Open Backup")

    open_backup()
    alert = app.find("alert", title, flows.WORK_SECS)
    app.find("label", re.compile("called “old-desk”"))
    app.picture("another-computer")
    app.click("button", "Cancel", within=alert)
    app.wait_gone("alert")
    # Who declined is asked again.
    open_backup()
    app.click("button", "Open Backup", within=app.find("alert", title, flows.WORK_SECS))
    app.find("table row", re.compile("."), flows.WORK_SECS)
    app.click("button", "Back")
    open_backup()
    app.find("table row", re.compile("."), flows.WORK_SECS)
    assert not app.has("alert"), "what was accepted is asked again"
    app.close()


def main(program, width="wide", shade="light"):
    with Session(TOP / "target" / "renamed" / f"{width}-{shade}") as session:
        documents = sample.make(session.home / "Documents")
        store = session.folder / "Backup Drive"
        app = session.launch(program, dark=shade == "dark")
        app.find("button")
        app.resize(*((1000, 760) if width == "wide" else (360, 760)))
        app.click("button", "Set Up a Backup…")
        flows.without_protection(app, documents, store)
        flows.schedule(app)
        app.click("button", "Back Up Now", within=app.find("dialog"))
        flows.wait_for_backup(app, 1)
        assert kinds(store) == (1, 0), kinds(store)

        rename(session, store)
        (documents / "Poem.txt").write_text("another one")
        app.click("button", "Back Up Now")
        alert = app.find("alert", "Is This the Same Computer?")
        app.find("label", re.compile("called “old-desk”"))
        app.picture("same-computer")
        app.click("button", "Cancel", within=alert)
        app.wait_gone("alert")
        app.find("button", "Back Up Now")
        assert kinds(store) == (1, 0), kinds(store)

        app.click("button", "Back Up Now")
        app.click("button", "Go On", within=app.find("alert"))
        flows.wait_for_backup(app, 2)
        assert kinds(store) == (1, 1), kinds(store)

        # The new one has the name of this computer, so nothing is asked.
        flows.back_up(app, 3)
        assert kinds(store) == (1, 2), kinds(store)

        rename(session, store)
        app.click("button", "Back Up Now")
        app.click("button", "Full Backup", within=app.find("alert"))
        flows.wait_for_backup(app, 4)
        assert kinds(store) == (2, 2), kinds(store)
        app.close()
        rename(session, store)
        open_on_another_computer(session, program, store)


if __name__ == "__main__":
    main(*sys.argv[1:])
