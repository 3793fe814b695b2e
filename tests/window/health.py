#!/usr/bin/env python3
"""How sure one can be of backups: a restore is tested, what is stored is read, damage is told and explained, and
very many changes hold back what would be deleted.

    health.py PROGRAM CLI [wide|narrow] [dark]
"""

import json
import pathlib
import re
import sys
import time

import flows
import sample
from keeping import set_up
from session import Session, wait

OLD_DAMAGE = re.compile("^Older snapshots are damaged")
ALARM = "Much More Has Changed Than Ever Before"
DAY = 86_400
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
        # A chain of long ago, as the command line makes it.
        for days in (60, 50):
            when = str(int(time.time()) - days * DAY)
            session.run([cli, "backup", "--no-encryption", "--current-time", when, documents, store])
        app = session.launch(program, dark=shade == "dark")
        app.find("button", "Set Up a Backup…")
        app.resize(*size)
        number = iter(range(1, 100))

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        set_up(app, documents, store, 3)
        app.find("label", re.compile("Never: nobody has looked yet"))
        for count in (4, 5, 6):
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

        # Much more changes than ever before, and old snapshots were to be deleted: they stay.
        app.find("list item", "Keep").bring().click()
        flows.choose_item(app, "Snapshots", "For some time")
        app.find("spin button", "Days").accessible.get_value_iface().set_current_value(30)
        app.find("list item", "2 of 6 snapshots are deleted after the next backup")
        app.click("button", "Save")
        app.wait_gone("dialog", "Plan Settings")
        spoil(many, 1)
        flows.back_up(app, 7)
        app.find("list item", ALARM).bring()
        seen("alarm")
        app.click("button", "It Was Me")
        app.wait_gone("list item", ALARM)
        flows.back_up(app, 6)
        assert not app.has("list item", ALARM)
        spoil(many, 2)
        flows.back_up(app, 7)
        app.find("list item", ALARM).bring()
        app.click("button", "Keep Everything")
        app.wait_gone("list item", ALARM)
        app.find("label", "Every snapshot, for ever")

        # A volume is damaged: it is named, and said what that means.
        volume = sorted(store.glob("duplicity-full.*.vol1.*"))[0]
        contents = bytearray(volume.read_bytes())
        contents[len(contents) // 2] ^= 0xFF
        volume.write_bytes(contents)
        # A test of a restore meets it, too. What is left of the file comes back, but for what the damage is in.
        app.find("button", "Test a Restore…").bring().click()
        app.click("button", "Test", within=app.find("alert", "Test a Restore"))
        app.find("label", "Damage was found just now", flows.WORK_SECS).bring()
        app.find("button", "Show Damage").bring().click()
        app.find("list item", "Stored files are damaged")
        told = r": 1 of \d+ files could not be restored as it was$|, though stored files are damaged$"
        app.find("list item", re.compile(told))
        seen("damage-met")
        app.click("button", "Back")
        verify(app)
        app.find("label", re.compile(r"^1 of \d+ stored files is damaged, just now$"), flows.WORK_SECS)
        app.find("label", "Damage was found just now").bring()
        seen("damaged")
        app.find("button", "Show Damage").bring().click()
        app.find("list item", volume.name)
        app.find("list item", "7 snapshots may have lost something")
        seen("damage")

        # Found by itself while nobody looks, the word of it leads to the report.
        app.click("button", "Back")
        app.wait_gone("list item", volume.name)
        shown = session.home / "shown"
        session.take_notifications(shown)
        session.run(["xdotool", "windowminimize", app.window_id()])
        plan_id = re.search('id = "(.*)"', (session.home / ".config/souvenir/plans.toml").read_text())[1]
        session.run([pathlib.Path(program).resolve(), f"--scheduled={plan_id}", "--task=verify"])
        (note,) = wait(lambda: shown.exists() and shown.read_text().splitlines(), "a notification")
        assert json.loads(note)["title"] == "Damage was found in “Documents”", note
        click = session.home / "click"
        click.write_text(f"{json.loads(note)['id']} default")
        click.rename(shown.with_name("shown.click"))
        app.find("list item", volume.name)
        app.find("button", "Make a Full Backup Now").bring().click()
        flows.wait_for_backup(app, 8)
        app.find("label", OLD_DAMAGE)
        app.find("label", re.compile(r"^A full snapshot of "))
        seen("safe-again")
        # A restore that works does not undo what was found; only another look does.
        app.find("button", "Test a Restore…").bring().click()
        app.click("button", "Test", within=app.find("alert", "Test a Restore"))
        app.find(text=re.compile(r"^\d+ files restored and equal$"), patience=flows.WORK_SECS)
        app.find("label", re.compile(r"^1 of \d+ stored files is damaged, "))
        app.find("label", OLD_DAMAGE)
        verify(app)
        app.find("label", re.compile(r"stored files are as they were written, just now$"), flows.WORK_SECS)
        app.wait_gone("label", OLD_DAMAGE)
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


def spoil(folder, turn):
    for note in folder.iterdir():
        note.write_bytes(sample.random.Random(f"{turn} {note.name}").randbytes(50))


def verify(app):
    app.find("button", "Verify…").bring().click()
    app.click("button", "Newest Snapshot", within=app.find("alert", "Verify the Backup"))


if __name__ == "__main__":
    main(*sys.argv[1:])
