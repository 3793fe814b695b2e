#!/usr/bin/env python3
"""A plan whose passphrase is changed twice, and remembered each time: what the password storage knows is never asked for,
whatever snapshot is opened; what it is to forget it forgets.

    passphrases.py PROGRAM
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import flows
import sample
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
FIRST, SECOND, THIRD = "nine lazy otters dreaming", "seven brave geese marching", "two old owls counting"


def stored(session):
    """The passphrases of the plan that the Secret Service knows: that of new backups, then those of older ones."""
    plan = re.search(r'^id = "(.*)"', (session.home / ".config/souvenir/plans.toml").read_text(), re.MULTILINE)[1]

    def look_up(kind, name):
        words = ["application", "io.github.souvenir_backup.Souvenir", "kind", kind, "id", name]
        found = subprocess.run(["secret-tool", "lookup", *words], env=session.environment, capture_output=True, text=True)
        return [found.stdout] if found.returncode == 0 else []

    kinds = [("plan", plan), ("next-of-plan", plan), *(("earlier-of-plan", f"{plan} {number}") for number in range(1, 4))]
    return [secret for kind in kinds for secret in look_up(*kind)]


def verified_count(session):
    """How many times the history says that nothing was found wrong."""
    lines = next((session.home / ".local/share/souvenir").rglob("*.jsonl")).read_text().splitlines()
    return sum('"verified"' in line and '"damaged_count":0' in line for line in lines)


def recall(session, start):
    """Two months later: who has not typed the passphrase since is asked whether they still know it."""
    notes = session.home / ".local/share/souvenir/safekeeping.json"
    noted = json.loads(notes.read_text())
    (whose,) = noted["typed"]
    assert abs(noted["typed"][whose] - time.time()) < 600, noted
    noted["typed"][whose] -= 61 * 86_400
    notes.write_text(json.dumps(noted))
    app = start()
    app.find("list item", "Passphrase").bring()
    app.find("label", re.compile(r"Do you still know it\?$"))
    app.picture("recall-row")
    app.find("list item", "Passphrase").click()
    question = "Do You Still Know the Passphrase?"
    assert not app.has("button", "Show Passphrase")
    for attempt in (SECOND, None):
        app.find("alert", question)
        if attempt:
            app.type_into("Passphrase", attempt)
            app.click("button", "Check")
            app.find("label", re.compile("^That was not the passphrase"))
            app.picture("recall-wrong")
        else:
            app.click("button", "Show Passphrase")
            app.find("label", text=THIRD)
            app.picture("recall-shown")
            app.click("button", "Close", within=app.find("alert"))
    app.wait_gone("alert")
    # Who has only read it is still asked.
    app.find("list item", "Passphrase").click()
    app.find("alert", question)
    app.type_into("Passphrase", THIRD)
    app.click("button", "Check")
    app.find(text="That is right")
    app.wait_gone("list item", "Passphrase")
    assert abs(json.loads(notes.read_text())["typed"][whose] - time.time()) < 600
    app.close()


def main(program):
    with Session(TOP / "target" / "passphrases") as session:
        documents = sample.make(session.home / "Documents")
        as_first_seen = session.home / "As First Seen"
        shutil.copytree(documents, as_first_seen, symlinks=True)
        store = session.home / "Backup Drive"

        def start():
            app = session.launch(program)
            app.find("button")
            return app

        def verify_all(app):
            app.find("button", "Verify…").bring().click()
            app.click("button", "All Snapshots", within=app.find("alert", "Verify the Backup"))

        checked = re.compile(r"stored files are as they were written, just now$")

        def change_passphrase(app, passphrase):
            app.find("list item", "Protection").bring().click()
            flows.choose_passphrase(app, passphrase, remember=True)
            app.click("button", "Use This Protection")
            app.find("label", "A new passphrase, from the next backup on")
            app.click("button", "Save")
            app.wait_gone("dialog", "Plan Settings", flows.WORK_SECS)
            (documents / "Poem.txt").write_text(f"Written under {passphrase}\n")

        app = start()
        app.click("button", "Set Up a Backup…")
        app.click("button", "Do Not Back Up Home")
        app.type_into("Add a Folder", str(documents))
        app.click("button", "Continue")
        flows.choose_folder(app, store)
        app.click("button", "Continue")
        flows.choose_passphrase(app, FIRST, remember=True)
        flows.schedule(app)
        app.click("button", "Back Up Now")
        flows.wait_for_backup(app, 1)
        change_passphrase(app, SECOND)
        flows.back_up(app, 2)
        # It is remembered after the backup was said to be there.
        wait(lambda: stored(session) == [SECOND, FIRST], "the earlier passphrase to be kept beside the new one")
        # The window is closed while the next one runs, and the program ends with it.
        change_passphrase(app, THIRD)
        (documents / "Film.mkv").write_bytes(sample.random.Random(3).randbytes(80_000_000))
        app.click("button", "Back Up Now")
        app.find("button", "Stop")
        app.close(flows.WORK_SECS)
        assert stored(session) == [THIRD, FIRST, SECOND], stored(session)
        full_sets = [path for path in store.iterdir() if re.match(r"duplicity-full\..*\.manifest", path.name)]
        assert len(full_sets) == 3

        recall(session, start)

        # Another day: the oldest snapshot is looked into and restored, and then all of them are checked.
        app = start()
        flows.browse(app)
        flows.older_snapshot(app)
        flows.older_snapshot(app)
        # There is none that is older.
        wait(lambda: not app.find("button", "Older Snapshot").is_sensitive, "the oldest snapshot", flows.WORK_SECS)
        app.find("table row", "Poem.txt").mouse_click()
        app.find("text", "Preview", text=(as_first_seen / "Poem.txt").read_text(), patience=flows.WORK_SECS)
        app.picture("oldest")
        session.press("ctrl+shift+a")
        flows.restore(app, session.home / "Oldest")
        found = sample.look(session.home / "Oldest" / "Documents")
        differing = sample.differences(sample.look(as_first_seen), found)
        assert not differing, differing
        app.click("button", "Back")
        verify_all(app)
        app.find("label", checked, flows.WORK_SECS)
        assert verified_count(session) == 1

        # What is forgotten is asked for: one passphrase after the other, and why.
        app.click("toggle button", "Main Menu")
        app.click("menu item", "Forget Passphrase")
        app.find(text="The passphrase is forgotten")
        assert stored(session) == [], stored(session)
        verify_all(app)
        for number, passphrase in enumerate((THIRD, SECOND, FIRST), 1):
            app.find("alert", "Passphrase Needed", flows.WORK_SECS)
            app.find("text", "Passphrase", text="")
            assert app.has("label", re.compile("^That does not open all snapshots")) == (number > 1)
            app.picture(f"asked-{number}")
            app.type_into("Passphrase", passphrase)
            app.click("button", "Unlock")
        wait(lambda: verified_count(session) == 2, "all to be verified", flows.WORK_SECS)
        app.find("label", checked)
        assert stored(session) == [], stored(session)
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
