#!/usr/bin/env python3
"""A folder of very many files in the browser: how soon it is there, and how long the main loop was blocked.

    browser_size.py PROGRAM COMMAND-LINE [FOLDER] [FILES] [OTHERS] [SNAPSHOTS]

Snapshots of a folder of FILES (100,000) empty files are opened, gone through, sorted and searched. Beside it lie
OTHERS (none) in folders of a hundred each; from one of the SNAPSHOTS (2) to the next one file of a hundred is
changed. The window itself says when its main loop was kept from its work (src/ui/tick.rs) and how much of that
time it had a processor, which others want too; the worst of each step is printed, and fails above a bound that a
slow machine keeps too.
"""

import pathlib
import re
import sys
import time

import flows
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
DAY = 86_400
# A frame of the whole window alone takes long where no graphics card draws it.
BOUND_MS = 500
BLOCKED = re.compile(r"blocked for (\d+) ms, (\d+) ms")
ANSWERED = re.compile(r"after (\d+) ms")


class Watch:
    """Prints how long a step took, and the worst block of the main loop in it."""

    def __init__(self, log):
        self.log = log
        self.worst = 0

    def arrival_count(self):
        """How many times the rows of a folder came."""
        return self.log.read_text(errors="replace").count(" rows were there after ")

    def step(self, what, act, seen):
        offset = self.log.stat().st_size
        start = time.monotonic()
        act()
        seen()
        took = time.monotonic() - start
        # Rows out of sight still come.
        time.sleep(1)
        said = self.log.read_bytes()[offset:].decode(errors="replace")
        blocks = [(int(blocked), int(worked)) for blocked, worked in BLOCKED.findall(said)]
        worst = max((blocked for blocked, _ in blocks), default=0)
        work = max((worked for _, worked in blocks), default=0)
        answered = max(map(int, ANSWERED.findall(said)), default=0)
        self.worst = max(self.worst, worst)
        print(
            f"{what:<30} catalogue {answered:4} ms, seen from outside {took * 1000:5.0f} ms, "
            f"main loop blocked {worst:3} ms at most, at work {work:3} ms",
            flush=True,
        )


def make_snapshots(session, command_line, store, files, others, snapshots):
    documents = session.home / "Documents"
    many = documents / "Many"
    many.mkdir(parents=True)
    paths = [many / f"file {number:06}.txt" for number in range(files)]
    for number in range(others):
        folder = documents / f"Others {number // 10_000:03}" / f"{number // 100 % 100:02}"
        folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f"note {number:07}.txt")
    for path in [*paths, documents / "Letter.txt"]:
        path.touch()
    end = int(time.time()) - 60
    for snapshot in range(snapshots):
        when = str(end - (snapshots - 1 - snapshot) * DAY)
        back_up = [command_line, "backup", "--no-encryption", documents, store, "--current-time", when]
        session.run(back_up, timeout=flows.WORK_SECS * 10)
        for path in paths[snapshot % 100 :: 100]:
            path.write_text(f"changed after snapshot {snapshot}\n")


def main(program, command_line, pictures, count, others, snapshots):
    with Session(pictures) as session:
        store = session.home / "Backup Drive"
        make_snapshots(session, command_line, store, count, others, snapshots)
        app = session.launch(program, extra={"SOUVENIR_LOG": "souvenir::ui::tick=debug,souvenir::ui::browser=debug"})
        app.find("button", "Set Up a Backup…")
        watch = Watch(pictures / "application.log")

        def open_store():
            session.press("ctrl+o")
            app.type_into("Folder", str(store))
            app.click("button", "Open Backup")

        watch.step(
            "first opening, catalogue made", open_store, lambda: app.find("table row", "Many", flows.WORK_SECS)
        )
        session.press("Escape")
        app.find("button", "Set Up a Backup…")
        watch.step("opening again", open_store, lambda: app.find("table row", "Many"))

        def enter():
            app.find("table row", "Many").mouse_click()
            session.press("Return")

        watch.step(f"folder of {count:,}", enter, lambda: app.find("table row", "file 000000.txt"))
        came = watch.arrival_count()

        def older_came():
            wait(lambda: watch.arrival_count() > came, "the rows of the older snapshot")
            app.find("table row", "file 000000.txt")

        watch.step("older snapshot", lambda: flows.older_snapshot(app), older_came)
        watch.step("to its end", lambda: session.press("ctrl+End"), lambda: app.find("table row", f"file {count - 1:06}.txt"))
        watch.step("everything selected", lambda: session.press("ctrl+a"), lambda: app.find("label", re.compile("selected")))

        def search():
            session.press("ctrl+f")
            session.type("0777")

        watch.step("search as it is typed", search, lambda: app.find("list item", re.compile("0777")))
        app.picture("searched")
        watch.step("search left", lambda: session.press("Escape"), lambda: app.find("table row", re.compile("file")))
        print(f"worst of all: {watch.worst} ms")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))
        if watch.worst > BOUND_MS:
            raise SystemExit(f"the main loop was blocked for {watch.worst} ms")


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 7:
        sys.exit(__doc__)
    programs, rest = [pathlib.Path(name).resolve() for name in sys.argv[1:3]], sys.argv[3:]
    folder = pathlib.Path(rest.pop(0)) if rest else TOP / "target" / "browser-size"
    main(*programs, folder, *map(int, rest + ["100000", "0", "2"][len(rest) :]))
