#!/usr/bin/env python3
"""A folder of very many files in the browser: how soon it is there, and how long the main loop was blocked.

    browser_size.py PROGRAM COMMAND-LINE [FOLDER] [FILES]

Two snapshots of a folder of 100,000 empty files are opened, gone through, sorted and searched. The window itself
says when its main loop was kept from its work (src/ui/tick.rs); the worst of each step is printed, and fails
above a bound that a slow machine keeps too.
"""

import pathlib
import re
import sys
import time

import flows
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]
DAY = 86_400
# A frame of the whole window alone takes long where no graphics card draws it.
BOUND_MS = 500
BLOCKED = re.compile(r"blocked for (\d+) ms")
ANSWERED = re.compile(r"after (\d+) ms")


class Watch:
    """Prints how long a step took, and the worst block of the main loop in it."""

    def __init__(self, log):
        self.log = log
        self.worst = 0

    def step(self, what, act, seen):
        offset = self.log.stat().st_size
        start = time.monotonic()
        act()
        seen()
        took = time.monotonic() - start
        time.sleep(0.5)
        said = self.log.read_bytes()[offset:].decode(errors="replace")
        worst = max(map(int, BLOCKED.findall(said)), default=0)
        answered = max(map(int, ANSWERED.findall(said)), default=0)
        self.worst = max(self.worst, worst)
        print(
            f"{what:<30} catalogue {answered:4} ms, seen from outside {took * 1000:5.0f} ms, "
            f"main loop blocked {worst:3} ms at most",
            flush=True,
        )


def main(program, command_line, pictures, count):
    with Session(pictures) as session:
        many, store = session.home / "Documents" / "Many", session.home / "Backup Drive"
        many.mkdir(parents=True)
        for number in range(count):
            (many / f"file {number:06}.txt").touch()
        (session.home / "Documents" / "Letter.txt").write_text("hello\n")
        now = int(time.time())
        back_up = [command_line, "backup", "--no-encryption", session.home / "Documents", store, "--current-time"]
        session.run([*back_up, str(now - DAY)])
        for number in range(0, count, 1_000):
            (many / f"file {number:06}.txt").write_text("changed\n")
        session.run([*back_up, str(now - 60)])
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
        watch.step(
            "older snapshot",
            lambda: app.click("button", "Older Snapshot"),
            lambda: app.find("label", "Full snapshot"),
        )
        watch.step("to its end", lambda: session.press("ctrl+End"), lambda: app.find("table row", f"file {count - 1:06}.txt"))
        watch.step("everything selected", lambda: session.press("ctrl+a"), lambda: app.find("label", re.compile("selected")))

        def search():
            session.press("ctrl+f")
            session.type("0777")

        watch.step("search as it is typed", search, lambda: app.find("list item", re.compile("0777")))
        app.picture("searched")
        print(f"worst of all: {watch.worst} ms")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))
        if watch.worst > BOUND_MS:
            raise SystemExit(f"the main loop was blocked for {watch.worst} ms")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4, 5):
        sys.exit(__doc__)
    main(
        pathlib.Path(sys.argv[1]).resolve(),
        pathlib.Path(sys.argv[2]).resolve(),
        pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else TOP / "target" / "browser-size",
        int(sys.argv[4]) if len(sys.argv) > 4 else 100_000,
    )
