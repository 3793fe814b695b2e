#!/usr/bin/env python3
"""Backups in a folder on a WebDAV server, whose password is remembered.

    webdav.py PROGRAM URL USER PASSWORD
"""

import pathlib
import sys

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]


def main(program, url, user, password):
    with Session(TOP / "target" / "webdav") as session:
        documents = sample.make(session.home / "Documents")
        app = session.launch(program)
        app.find("button")

        def choose(app, destination):
            app.click("radio button", "WebDAV")
            app.click("button", "Test")
            app.find("label", "Type the address of the folder, as the server shows it.")
            app.type_into("Address of the Folder", "nonsense")
            app.click("button", "Test")
            app.find("label", "The address begins with https://, as in https://cloud.example.org/dav.")
            app.type_into("Address of the Folder", url)
            app.type_into("User Name", user)
            app.click("button", "Test")
            app.find("alert", "Password Needed")
            app.type_into("Password", password)
            app.click("check box", "Remember")
            app.click("button", "Sign In")
            app.find("list item", "The place answers and can be written")

        flows.set_up(app, documents, None, app.picture, choose=choose)
        app.picture("overview")
        app.close()

        # Another day nothing is asked.
        sample.change(documents)
        app = session.launch(program)
        app.find("button")
        flows.back_up(app, 2)
        flows.browse(app)
        flows.restore(app, session.home / "Restored")
        differing = sample.differences(sample.look(documents), sample.look(session.home / "Restored" / "Documents"))
        assert not differing, differing
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
