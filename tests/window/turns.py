#!/usr/bin/env python3
"""Two plans that are to be backed up at once take turns, unless one is paused.

    turns.py PROGRAM
"""

import pathlib
import re
import sys

import flows
import sample
from session import NotFound, Session

TOP = pathlib.Path(__file__).resolve().parents[2]
CLICKS = 3


def add_plan(app, folder, store):
    """A plan that protects nothing, and is not backed up yet."""
    app.session.press("ctrl+n")
    flows.without_protection(app, folder, store)
    flows.schedule(app)
    app.click("button", "Later")
    app.wait_gone("dialog")


def main(program):
    with Session(TOP / "target" / "turns") as session:
        documents = sample.make(session.home / "Documents")
        films = session.home / "Films"
        films.mkdir()
        for number in range(4):
            (films / f"{number}.mkv").write_bytes(sample.random.Random(number).randbytes(60_000_000))
        app = session.launch(program)
        app.find("button", "Set Up a Backup…")
        add_plan(app, films, session.home / "Drive of Films")
        add_plan(app, documents, session.home / "Drive of Documents")
        app.close()
        # It is slow enough to be overtaken, also where the test itself is slow.
        plans = session.home / ".config/souvenir/plans.toml"
        text = plans.read_text()
        plans.write_text(text.replace('name = "Films"\n', 'name = "Films"\nupload_limit = 5120\n', 1))
        app = session.launch(program)
        app.find("button")

        def show(name):
            # A click that meets a change of what is shown may be lost, and is made again.
            for _ in range(CLICKS):
                app.find("list item", re.compile(name)).click()
                try:
                    app.find("grouping", name, patience=2)
                    return
                except NotFound:
                    pass
            app.find("grouping", name)

        def back_up(name):
            show(name)
            app.click("button", "Back Up Now")

        back_up("Films")
        app.find("label", re.compile(r"\d of \d.* files"), flows.WORK_SECS)
        back_up("Documents")
        app.find("label", "Waiting for “Films”")
        app.picture("waiting")
        show("Films")
        app.find("label", re.compile(r"\d of \d.* files"))
        app.click("button", "Pause")
        app.find("label", "Paused")
        show("Documents")
        flows.wait_for_backup(app, 1)
        app.picture("passed-by")
        show("Films")
        app.click("button", "Continue")
        flows.wait_for_backup(app, 1)
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
