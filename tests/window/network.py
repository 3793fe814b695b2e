#!/usr/bin/env python3
"""Backups in a network folder: what is typed, the desktop's own dialog, what it remembers, and a server that is away.

    network.py PROGRAM PORT USER PASSWORD

The server speaks WebDAV at the port; a line that can be cut leads there.
"""

import os
import pathlib
import re
import signal
import sys

import flows
import sample
from line import Line
from session import Session, _descendants, wait

TOP = pathlib.Path(__file__).resolve().parents[2]


def kill_carrier():
    """Ends the program of GVfs that carries the mount, as an update of the system does."""
    carriers = [
        process
        for process in _descendants()
        if pathlib.Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].endswith(b"gvfsd-dav")
    ]
    for process in carriers:
        os.kill(process, signal.SIGKILL)
    assert carriers, "nothing is mounted"


def sign_in(session, app, password, remember=False):
    """Answers the desktop's dialog."""
    app.type_into("Password", password)
    if remember:
        session.press("alt+f")
        wait(lambda: app.find("radio button", re.compile("Remember _?forever")).has_state("checked"), "the choice")
    app.click("button", "Connect")


def main(program, port, user, password):
    line = Line(int(port))
    address = f"dav://{user}@127.0.0.1:{line.port}/Backups"
    with Session(TOP / "target" / "network") as session:

        def choose(app, destination):
            app.click("table cell", "Network")
            for typed, said in [
                ("", "Type the address of the folder, such as smb://server/share/folder."),
                ("nonsense", "This is not the address of a network folder. One looks like smb://server/share/folder."),
                ("https://cloud.example.org", "Begin the address of a WebDAV folder with davs://, or choose “WebDAV” above."),
                (r"\\server", "Add the name of the share, as in smb://server/share/folder."),
            ]:
                app.type_into("Address of the Folder", typed)
                app.click("button", "Test")
                app.find("label", said)
            app.picture("nonsense")
            app.type_into("Address of the Folder", address)
            app.click("button", "Test")
            app.find("button", "Connect")
            session.screenshot("mount-dialog")
            sign_in(session, app, "not this one")
            # It asks again, and offers to remember only what is right at once.
            app.wait_gone("radio button", re.compile("Forget password"))
            app.click("button", "Cancel")
            app.wait_gone("label", "Looking at the folder…")
            app.click("button", "Test")
            sign_in(session, app, password, remember=True)
            app.find("list item", "The place answers and can be written")

        documents = sample.make(session.home / "Documents")
        app = session.launch(program)
        app.find("button")
        flows.set_up(app, documents, None, app.picture, choose=choose)
        app.picture("overview")

        # What was remembered is enough when the mount has gone.
        kill_carrier()
        sample.change(documents)
        flows.back_up(app, 2)
        # A server that is away for a while is waited for.
        line.cut(True)
        (documents / "New.txt").write_text("new")
        app.click("button", "Back Up Now")
        app.find("button", "Pause")
        line.cut(False)
        flows.wait_for_backup(app, 3)
        flows.browse(app)
        app.picture("browser")
        flows.restore(app, session.home / "Restored")
        restored = session.home / "Restored" / "Documents"
        differing = sample.differences(sample.look(documents), sample.look(restored))
        assert not differing, differing
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
