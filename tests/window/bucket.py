#!/usr/bin/env python3
"""Backups in an object store: set up with every answer wrong once, made on two days, restored; and a line to it that is
cut in the middle.

    bucket.py PROGRAM ENDPOINT BUCKET KEY_ID SECRET
"""

import pathlib
import sys

import flows
from line import Line
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDER = "D"


def main(program, endpoint, bucket, key_id, secret):
    with Session(TOP / "target" / "bucket") as session:
        line = Line(int(endpoint.rpartition(":")[2]))
        endpoint = f"http://127.0.0.1:{line.port}"

        def choose_other_provider(app):
            """The last of the list."""
            app.click("combo box", "Provider")
            session.press("End")
            session.press("Return")

        def fill_in(app):
            app.click("table cell", "S3")
            choose_other_provider(app)
            app.type_into("Address of the Service", endpoint)
            app.type_into("Bucket", bucket)
            app.type_into("Folder in the Bucket (optional)", FOLDER)
            app.type_into("Access Key ID", key_id)

        def sign_in(app):
            app.find("alert", "Secret Needed")
            app.type_into("Secret", secret)
            app.click("button", "Sign In")

        def choose(app, destination):
            app.click("table cell", "S3")
            app.click("button", "Test")
            app.find("label", "Type the region of the bucket, as the provider shows it.")
            app.picture("provider")
            choose_other_provider(app)
            app.type_into("Address of the Service", endpoint.removeprefix("http://"))
            app.click("button", "Test")
            app.find("label", "The address begins with https:// or http://.")
            app.type_into("Address of the Service", endpoint)
            app.type_into("Bucket", bucket + "/a")
            app.click("button", "Test")
            app.find("label", "The name of a bucket has no slash. The folder in it has a field of its own.")
            app.type_into("Bucket", bucket)
            app.type_into("Folder in the Bucket (optional)", destination)
            app.type_into("Access Key ID", key_id)
            app.click("button", "Test")
            app.find("alert", "Secret Needed")
            app.type_into("Secret", "not this one")
            app.click("button", "Sign In")
            app.find("label", "That was not right. Check the keyboard layout and Caps Lock, and try again.")
            app.picture("secret")
            app.type_into("Secret", secret)
            app.click("check box", "Remember")
            app.click("button", "Sign In")
            app.find("list item", "The place answers and can be written")

        app = flows.back_up_on_two_days(session, program, FOLDER, choose)
        flows.lose_the_line(session, app, line)
        app.close()
        flows.restore_on_another_computer(session, program, fill_in, sign_in)


if __name__ == "__main__":
    main(*sys.argv[1:])
