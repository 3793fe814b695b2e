#!/usr/bin/env python3
"""Backups in a folder on a WebDAV server, whose password is remembered.

    webdav.py PROGRAM URL USER PASSWORD
"""

import pathlib
import sys

import flows
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]


def main(program, url, user, password):
    with Session(TOP / "target" / "webdav") as session:

        def choose(app, destination):
            app.click("table cell", "WebDAV")
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

        flows.back_up_on_two_days(session, program, None, choose)


if __name__ == "__main__":
    main(*sys.argv[1:])
