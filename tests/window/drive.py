#!/usr/bin/env python3
"""A drive that is pulled out in the middle of a backup, and comes back; and one that a backup that runs by itself waits for.

    drive.py PROGRAM

It runs in name spaces of its own, in which a file system in memory plays the drive: it has a device with a
UUID, as udev would show it, and is mounted below /media.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import flows
import sample
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
DRIVE = pathlib.Path("/media/me/Blue")
LINK = pathlib.Path("/dev/disk/by-uuid/1234-ABCD")
MARK = "SOUVENIR_TEST_DRIVE"

# A /dev with what programs need and a link from a UUID to the device; the rest of the machine as it is.
MACHINE = r"""
set -eu
parts=$(mktemp -d)
touch "$parts/sdb1"
mkdir "$parts/dev"
mount -t tmpfs dev "$parts/dev"
for name in null zero full random urandom tty ptmx; do
  touch "$parts/dev/$name"
  mount --bind "/dev/$name" "$parts/dev/$name"
done
mkdir -p "$parts/dev/shm" "$parts/dev/pts" "$parts/dev/disk/by-uuid"
mount --bind /dev/shm "$parts/dev/shm"
mount --bind /dev/pts "$parts/dev/pts"
ln -s /proc/self/fd "$parts/dev/fd"
ln -s "$parts/sdb1" "$parts/dev/disk/by-uuid/1234-ABCD"
mount --rbind "$parts/dev" /dev
mount -t tmpfs media /media
mkdir -p "$1"
export SOUVENIR_TEST_DRIVE=$parts/sdb1
shift
exec "$@"
"""


def connect():
    subprocess.run(["mount", "-t", "tmpfs", os.environ[MARK], DRIVE], check=True)


def leave(kept):
    """Pulls the drive out. What is in memory goes with its last user, so it is kept for the drive's return."""
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(DRIVE, kept)
    LINK.unlink()
    subprocess.run(["umount", "--lazy", DRIVE], check=True)


def come_back(kept):
    """Connects it again: all at once, as a drive comes."""
    ready = kept.with_name("ready")
    ready.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", os.environ[MARK], ready], check=True)
    shutil.copytree(kept, ready, dirs_exist_ok=True)
    LINK.symlink_to(os.environ[MARK])
    subprocess.run(["mount", "--move", ready, DRIVE], check=True)


def choose(app, destination):
    """On the destination page: a drive that is connected by then."""
    app.click("table cell", "Drive")
    app.find("list item", "No drive is connected")
    assert not app.has("combo box", "Drive")
    app.picture("no-drive")
    app.click("button", "Test")
    app.find("label", "Connect a drive, or choose another kind of place.")
    connect()
    app.find("combo box", "Drive")
    app.type_into("Folder on the Drive", "../elsewhere")
    app.click("button", "Test")
    app.find("label", "Type the name of a folder on the drive, such as Backups.")
    app.type_into("Folder on the Drive", destination.name)
    app.click("button", "Test")
    app.find("list item", "The folder will be made")


def main(program):
    if MARK not in os.environ:
        name_spaces = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]
        command = [*name_spaces, "bash", "-c", MACHINE, "bash", DRIVE, sys.executable, __file__, program]
        os.execvp(command[0], [str(part) for part in command])
    kept = pathlib.Path(os.environ[MARK]).with_name("drive")
    with Session(TOP / "target" / "drive") as session:
        documents = sample.make(session.home / "Documents")
        app = session.launch(program)
        app.find("button")

        def seen(name):
            app.picture(name)
            if name == "destination":
                app.find("list item", "On the drive “Blue”")

        flows.set_up(app, documents, DRIVE / "Backups", seen, choose=choose)
        for number in range(12):
            (documents / f"Film {number}.mkv").write_bytes(sample.random.Random(number).randbytes(40_000_000))
        app.click("button", "Back Up Now")
        app.find("label", re.compile(r"\d of \d.* files"), flows.WORK_SECS)
        app.click("button", "Pause")
        app.find("button", "Continue")
        leave(kept)
        # What was under way may have missed the drive already.
        if app.has("button", "Continue"):
            app.click("button", "Continue")
        app.find(text="Waiting for the drive “Blue”", patience=flows.WORK_SECS)
        app.picture("waiting")
        assert not list(DRIVE.iterdir()), "the disk below got something"

        come_back(kept)
        flows.wait_for_backup(app, 2)
        app.picture("back")
        names = [path.name for path in (DRIVE / "Backups").iterdir()]
        assert all(name.startswith("duplicity-") for name in names), names

        # Who has nothing but the drive need not know where on it the backups are. Those that come and go with it are shown.
        leave(kept)
        session.press("ctrl+o")
        app.find("dialog", "Restore From a Backup")
        assert not app.has("label", "On Connected Drives")
        come_back(kept)
        found = app.find("list item", "Backups on the drive Blue")
        app.find("label", re.compile("^The oldest was made on .*, the newest on "))
        app.picture("found-on-drive")
        found.click()
        app.wait_gone("dialog")
        app.find("table row", re.compile("Film|Documents"), flows.WORK_SECS)
        app.click("button", "Back")
        app.find("button", "Back Up Now")

        # Another plan needs a folder of its own. The drive is there, so it is what is offered first.
        session.press("ctrl+n")
        app.click("button", "Continue")
        assert app.find("text", "Folder on the Drive").text == "Backups"
        app.click("button", "Test")
        app.find("label", re.compile("^The plan “Documents” keeps its backups here"))
        app.picture("drive-taken")
        # The same where it is known by its path only.
        app.click("table cell", "Folder")
        app.wait_gone("label", re.compile("^The plan “Documents” keeps its backups here"))
        app.type_into("Folder", str(DRIVE / "Backups"))
        app.click("button", "Test")
        app.find("label", re.compile("^The plan “Documents” keeps its backups here"))
        app.click("button", "Close", within=app.find("dialog"))
        app.click("button", "Cancel", within=app.find("alert", "Discard This Backup?"))
        app.wait_gone("alert")
        app.click("button", "Close", within=app.find("dialog"))
        app.click("button", "Discard", within=app.find("alert", "Discard This Backup?"))
        app.wait_gone("dialog")

        # What was seen once can be looked at while the drive is away.
        flows.browse(app)
        app.click("button", "Back")
        leave(kept)
        flows.browse(app)
        app.find(text=re.compile("You see what was there .*; restoring has to wait"))
        app.picture("browsed-away")
        app.close()

        # What is due waits for the drive, is said once, and is made when the drive is there.
        shown = session.home / "shown"
        session.take_notifications(shown)
        history = next((session.home / ".local/share/souvenir/history").glob("*.jsonl"))
        runs = lambda: [json.loads(line) for line in history.read_text().splitlines()]  # noqa: E731
        history.write_text(json.dumps(runs()[0] | {"started_secs": 1_600_000_000, "ended_secs": 1_600_000_100}) + "\n")
        flows.change_plan(session, ("^every = .*", 'every = "month"'), ("^prove = .*", "prove = false\nsince = 0"))
        session.spawn([pathlib.Path(program).resolve().with_name("souvenir-monitor")], log="monitor.log")
        (note,) = wait(lambda: shown.exists() and shown.read_text().splitlines(), "a word", flows.WORK_SECS)
        assert json.loads(note)["body"] == "Connect the drive “Blue”, then it begins.", note
        come_back(kept)
        wait(lambda: len(runs()) == 2, "a run", flows.WORK_SECS)
        run = runs()[1]
        assert run["automatic"] and run["outcome"]["kind"] == "finished", run
        assert len(shown.read_text().splitlines()) == 1
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
