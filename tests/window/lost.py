#!/usr/bin/env python3
"""Stored files that are missing, backups that are gone, a destination that is away: the overview says so at once, and what
was made before is not forgotten.

    lost.py PROGRAM
"""

import pathlib
import re
import sys

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]


def main(program):
    with Session(TOP / "target" / "lost") as session:
        documents = sample.make(session.home / "Documents")
        store = session.home / "Backup Drive"

        def start(name, headline):
            app = session.launch(program)
            app.find("label", headline)
            app.resize(1000, 760)
            app.picture(name)
            return app

        app = session.launch(program)
        app.find("button")
        flows.set_up(app, documents, store)
        # The settings show what protects now, and nothing is changed by looking.
        app.find("list item", "Protection").bring().click()
        assert app.find("radio button", "Ada Lovelace").has_state("checked")
        assert app.find("check box", "Sign the Backup").has_state("checked")
        app.click("button", "Continue")
        assert not app.find("button", "Save").is_sensitive
        session.press("Escape")
        app.wait_gone("dialog", "Plan Settings")

        (documents / "Fresh.txt").write_text("new")
        flows.back_up(app, 2)
        (full,) = store.glob("duplicity-full.*.vol1.*")
        contents = bytearray(full.read_bytes())
        contents[len(contents) // 2] ^= 0xFF
        full.write_bytes(contents)
        flows.browse(app)
        # Of all that was chosen what is left of the damaged file comes back, and each file that is lost is named.
        back = session.home / "All Back"
        app.click("button", "Restore…")
        app.type_into("Folder", str(back))
        app.click("button", "Restore", within=app.find("dialog", "Restore"))
        app.find("label", "Restored, but Not Everything", flows.WORK_SECS)
        app.picture("restored-not-everything")
        files = {path.relative_to(documents) for path in documents.rglob("*") if path.is_file()}
        back = back / documents.name
        came = {path.relative_to(back) for path in back.rglob("*") if path.is_file()}
        assert all((back / path).read_bytes() == (documents / path).read_bytes() for path in came), came
        # The new file is in the other set; all others come from what is left.
        assert len(came) > 5, came
        lost = files - came
        app.find("list item", "What was not restored as it was").click()
        for path in lost:
            app.find("list item", re.compile(re.escape(path.name)))
        app.picture("what-is-lost")
        app.click("button", "Back")
        # Damage by which nothing is lost of what was chosen is a remark.
        app.find("table row", "Fresh.txt").mouse_click()
        app.click("button", "Restore…")
        app.find("dialog", "Restore")
        app.type_into("Folder", str(session.home / "Back"))
        app.click("button", "Restore", within=app.find("dialog", "Restore"))
        app.find("label", "Restored", flows.WORK_SECS)
        app.find("list item", "Remarks")
        app.picture("restored-beside-damage")
        assert (session.home / "Back/Fresh.txt").read_text() == "new"
        # It leads to a check, which says it everywhere, and then the next backup builds on nothing of that.
        app.find("list item", "Stored files are damaged").bring().click()
        app.click("button", "Newest Snapshot", within=app.find("alert", "Verify the Backup"))
        app.find("label", re.compile("^Damage was found"), flows.WORK_SECS)
        app.find("label", re.compile("^The next backup is a full one"))
        app.picture("damage-found")
        flows.back_up(app, 3)
        app.find("label", re.compile("^Older snapshots are damaged"))
        # What was lost is still known when the dialog is long closed.
        app.find("list item", "Log").bring().click()
        app.picture("log-with-restores")
        restores = app.find_all("label", re.compile("^Restore · "), within=app.find("list", "Log"))
        assert len(restores) == 2, [label.name for label in restores]
        # Before it two backups were made.
        app.find_all("list item", within=app.find("list", "Log"))[-3].click()
        app.find("list item", re.compile("^Restore: "))
        app.picture("log-of-restore")
        app.click("list item", re.compile(r"^\d+ warnings$"))
        for path in lost:
            app.find("list item", re.compile(re.escape(path.name)))
        app.click("button", "Back")
        app.find("list item", re.compile("^Restore: "))
        app.click("button", "Back")
        app.find("list", "Log")
        app.click("button", "Back")
        app.find("button", "Back Up Now")
        app.close()

        for volume in store.glob("*.vol1.*"):
            volume.unlink()
        app = start("missing", "Stored files are missing")
        app.find("label", re.compile("^Last backed up just now$", re.MULTILINE))
        # It is also said where files are looked at, and before they are restored.
        flows.browse(app)
        app.find("label", re.compile("^Stored files are missing or damaged"))
        app.picture("missing-in-browser")
        app.find("table row", "Fresh.txt").mouse_click()
        app.click("button", "Restore…")
        app.find("label", re.compile("^1 stored volume that is needed is missing or damaged"))
        app.picture("missing-before-restore")
        session.press("Escape")
        app.wait_gone("dialog", "Restore")
        app.close()

        for file in store.iterdir():
            file.unlink()
        app = start("gone", "The backups are gone")
        app.click("button", "Back Up Now")
        app.find("list item", "Earlier backups are gone")
        flows.wait_for_backup(app, 1)
        app.picture("made-again")
        app.close()

        store.rename(session.home / "Elsewhere")
        app = start("away", "The destination is not there")
        app.click("button", "Back Up Now")
        app.find("label", re.compile("^Failed "))
        app.find("label", re.compile("^Last backed up "))
        app.picture("failed")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
