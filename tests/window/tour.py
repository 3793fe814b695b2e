#!/usr/bin/env python3
"""The tour: a first backup and restore in the real window, and whether it kept its word.

    tour.py PROGRAM [FOLDER]

Sets up a plan for a sample folder with a new GPG key, backs up, changes files, backs up again, browses,
restores both snapshots and compares them byte by byte with what was there. Prints a table of what was
seen; the pictures are left in FOLDER (target/tour).
"""

import pathlib
import sys
import time

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]


class Table:
    """What was seen, a line a step."""

    def __init__(self):
        self.started = time.monotonic()
        self.failed = False

    def line(self, step, seen, ok=True):
        now = time.monotonic()
        mark = "✓" if ok else "✗"
        print(f" {mark}  {step:<34} {now - self.started:5.1f} s   {seen}", flush=True)
        self.started = now
        self.failed = self.failed or not ok


def main(program, pictures):
    print(f"The tour: {program}\n")
    table = Table()
    with Session(pictures) as session:
        number = iter(range(1, 100))

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        documents = sample.make(session.home / "Documents")
        destination = session.home / "Backup Drive"
        app = session.launch(program)
        app.find("button", "Set Up a Backup…")
        seen("welcome")
        table.line("the window opens", "welcome page")

        first = sample.look(documents)
        flows.set_up(app, documents, destination, seen)
        seen("first-backup")
        table.line("plan, new GPG key, first backup", snapshots(app))

        stored = sorted(path.name for path in destination.iterdir())
        sealed = all(name.endswith(".gpg") for name in stored)
        table.line("stored", f"{len(stored)} files, all of them sealed" if sealed else f"{stored}", sealed)
        clear = [name for name in stored if b"Grandmother" in (destination / name).read_bytes()]
        table.line("clear text at the destination", f"{clear or 'none'}", not clear)

        done = sample.change(documents)
        second = sample.look(documents)
        flows.back_up(app, 2)
        seen("second-backup")
        table.line("files change, second backup", f"{done}; {snapshots(app)}")

        flows.browse(app)
        seen("browser")
        names = [row.name for row in app.find_all("table row") if not row.name.startswith("Name Size")]
        table.line("browse the newer snapshot", ", ".join(names), "New Idea.md" in names)

        said = flows.restore(app, session.home / "Newer", seen)
        compare(table, "restore it", said, second, session.home / "Newer" / "Documents")

        flows.older_snapshot(app)
        app.find("label", "Full snapshot", flows.WORK_SECS)
        app.find("table row", "Budget.csv", flows.WORK_SECS)
        seen("older-snapshot")
        said = flows.restore(app, session.home / "Older")
        compare(table, "restore the older one", said, first, session.home / "Older" / "Documents")

        complaints = app.complaints()
        table.line("what GTK complains of", "; ".join(complaints) or "nothing", not complaints)
        status = app.close()
        table.line("close the window", f"exit status {status}", status == 0)
    print(f"\nPictures: {pictures}")
    return 1 if table.failed else 0


def snapshots(app):
    return next(label.name for label in app.find_all("label") if " in " in label.name and "snapshot" in label.name)


def compare(table, step, said, expected, folder):
    differing = sample.differences(expected, sample.look(folder))
    result = f"differs: {', '.join(differing[:9])}" if differing else "equal, byte by byte"
    table.line(step, f"{said} {result}", not differing)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else TOP / "target" / "tour")))
