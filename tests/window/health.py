#!/usr/bin/env python3
"""How sure one can be of backups: a restore is tested, what is stored is read, damage is told and explained, and
very many changes hold back what would be deleted.

    health.py PROGRAM CLI [wide|narrow] [dark]
"""

import pathlib
import re
import sys

import flows
import sample
from keeping import choose, set_up
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]


def main(program, cli, width="wide", shade="light"):
    size = (1000, 760) if width == "wide" else (360, 760)
    with Session(TOP / "target" / "health" / f"{width}-{shade}") as session:
        documents = sample.make(session.home / "Documents")
        many = documents / "Notes"
        many.mkdir()
        for note in range(300):
            (many / f"{note:03}.txt").write_text(f"note {note}\n")
        store = session.home / "Backup Drive"
        app = session.launch(program, dark=shade == "dark")
        app.find("button", "Set Up a Backup…")
        app.resize(*size)
        number = iter(range(1, 100))

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        set_up(app, documents, store, 1)
        app.find("label", re.compile("Never: nobody has looked yet"))
        for count in (2, 3, 4):
            (documents / "Poem.txt").write_text(f"draft {count}\n")
            flows.back_up(app, count)
        app.find("label", re.compile(r"^3 increments since .*, next full by "))

        # A restore is tested.
        app.find("button", "Test a Restore…").bring().click()
        app.find("alert", "Test a Restore")
        seen("drill-question")
        app.click("button", "Test", within=app.find("alert"))
        app.find("label", re.compile(r"^2\d\d files restored and equal, just now$|^200 files restored"), flows.WORK_SECS)
        app.find("list item", "Last Proof").bring().click()
        app.find("list item", re.compile("files restored and equal"))
        seen("drill-report")
        app.click("button", "Back")

        # What is stored is read, and is well.
        verify(app)
        app.find("label", re.compile(r"stored files are as they were written, just now$"), flows.WORK_SECS)
        app.find("list item", "Log").bring()
        seen("health")

        # Much more changes than ever before, and old snapshots were to be deleted.
        app.find("list item", "Keep").bring().click()
        choose(app, "Snapshots", "For some time")
        app.click("button", "Save")
        app.wait_gone("dialog", "Plan Settings")
        for note in many.iterdir():
            note.write_bytes(sample.random.Random(note.name).randbytes(50))
        flows.back_up(app, 5)
        app.find("list item", "Much More Has Changed Than Ever Before").bring()
        seen("alarm")
        app.click("button", "Keep Everything")
        app.wait_gone("list item", "Much More Has Changed Than Ever Before")
        app.find("label", "Every snapshot, for ever")

        # A volume is damaged: it is named, and said what that means.
        volume = sorted(store.glob("duplicity-full.*.vol1.*"))[0]
        contents = bytearray(volume.read_bytes())
        contents[len(contents) // 2] ^= 0xFF
        volume.write_bytes(contents)
        verify(app)
        app.find("label", re.compile(r"^1 of \d+ stored files is damaged, just now$"), flows.WORK_SECS)
        app.find("list item", "Last Proof").bring().click()
        app.find("list item", volume.name)
        app.find("list item", "5 snapshots have lost something")
        seen("damage")
        app.find("button", "Make a Full Backup Now").bring().click()
        flows.wait_for_backup(app, 6)
        app.find("label", re.compile(r"^A full snapshot of "))
        seen("safe-again")
        verify(app)
        app.find("label", re.compile(r"stored files are as they were written, just now$"), flows.WORK_SECS)
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


def verify(app):
    app.find("button", "Verify…").bring().click()
    app.click("button", "Newest Snapshot", within=app.find("alert", "Verify the Backup"))


if __name__ == "__main__":
    main(*sys.argv[1:])
