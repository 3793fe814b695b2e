#!/usr/bin/env python3
"""What bad input gets: every field of the assistant with nothing, with nonsense, and with what is not there. Each is said beside
the field, in words; and nothing is lost by going back.

    fields.py PROGRAM [wide|narrow] [light|dark]
"""

import pathlib
import re
import socket
import sys
import time

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]


def main(program, width="narrow", shade="light"):
    with Session(TOP / "target" / "fields" / f"{width}-{shade}") as session:
        number = iter(range(1, 100))
        documents = sample.make(session.home / "Documents")
        file = documents / "Poem.txt"
        store = session.home / "Backup Drive"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            deaf = probe.getsockname()[1]

        old = ["--quick-gen-key", "Old Ada <old@example.org>", "default", "default", "seconds=1"]
        session.run(["gpg", "--batch", "--passphrase", "", *old])
        time.sleep(2)

        app = session.launch(program, dark=shade == "dark")
        app.find("button")
        app.resize(*((1000, 760) if width == "wide" else (360, 760)))

        def refused(button, said, **fields):
            """Types into fields, goes on, and reads why that does not work."""
            for name, text in fields.items():
                app.type_into(name, text)
            app.find("button", button).bring().click()
            app.find("label", said)

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        # Folders.
        app.click("button", "Set Up a Backup…")
        app.click("button", "Do Not Back Up Home")
        refused("Continue", "Add at least one folder to back up.")
        seen("no-folder")
        whole = "Type the whole path, beginning with “/” or “~”."
        refused("Continue", whole, **{"Add a Folder": "Documents"})
        seen("folder-relative")
        app.type_into("Add a Folder", str(documents))
        app.click("button", "Continue")

        # The destination, of each kind.
        test = lambda said, **fields: refused("Test", said, **fields)  # noqa: E731
        app.find("table cell", "Folder")
        test("Choose a folder, or type its path.")
        test(whole, Folder="some/where")
        test(re.compile("^This folder does not exist, nor does the one"), Folder="/no/such/place")
        test("This is a file. Choose a folder.", Folder=str(file))
        seen("destination-file")

        app.find("table cell", "SSH").bring().click()
        only_name = "Type only the name of the server, such as backup.example.org."
        test("Type the name of the server.")
        test(only_name, Server="two words")
        test("This is not the address of an SSH server.", Server="ftp://example.org")
        test(re.compile("^Leave the password out of the address"), Server="sftp://ada:secret@example.org")
        port = "A port is a number between 1 and 65535. Most servers have 22."
        test(port, **{"Server": "localhost", "Port (optional)": "99999"})
        test(port, **{"Port (optional)": "ssh"})
        seen("ssh-port")
        key = "Key File (optional)"
        app.type_into("Port (optional)", "")
        test("There is no such key file. Check the path.", **{key: "/no/such/key"})
        test(re.compile("^This is the public part"), **{key: str(session.home / "id_ed25519.pub")})
        test(whole, **{key: "id_ed25519"})
        seen("ssh-key-file")
        app.type_into(key, "")
        away = re.compile("^The server cannot be reached")
        test(away, **{"Port (optional)": str(deaf)})
        unknown = re.compile("^There is no server of this name")
        test(unknown, **{"Server": "no-such-server.invalid", "Port (optional)": ""})
        seen("ssh-away")

        app.find("table cell", "S3").bring().click()
        flows.choose_item(app, "Provider", "Another One")
        test("Type the address of the service, such as https://s3.example.org.")
        test("The address begins with https:// or http://.", **{"Address of the Service": "s3.example.org"})
        test("Type the name of the bucket.", **{"Address of the Service": f"http://127.0.0.1:{deaf}"})
        test(re.compile("^The name of a bucket has no slash"), Bucket="a/b")
        test("Type the ID of the access key.", Bucket="backups")
        seen("s3-no-key")

        app.find("table cell", "WebDAV").bring().click()
        test("Type the address of the folder, as the server shows it.")
        begins = "The address begins with https://, as in https://cloud.example.org/dav."
        test(begins, **{"Address of the Folder": "nonsense"})
        test(re.compile("^Leave the password out"), **{"Address of the Folder": "https://ada:secret@example.org/dav"})
        test(away, **{"Address of the Folder": f"http://127.0.0.1:{deaf}/dav"})
        seen("webdav-away")

        # Who goes elsewhere and comes back finds what was typed.
        app.find("table cell", "SSH").bring().click()
        assert app.find("text", "Server").text == "no-such-server.invalid"
        app.find("table cell", "Folder").bring().click()
        # What is backed up is no place for the backups, nor is what holds it.
        inside = "“Documents”, which is to be backed up, is in this place. Choose a folder for the backups alone."
        test(inside, Folder=str(documents))
        seen("in-the-source")
        test(inside, Folder=str(documents.parent))
        flows.choose_folder(app, store)
        app.click("button", "Continue")

        # A key: chosen, and made.
        app.find("radio button", re.compile("With a Key"))
        refused("Continue", "Choose a key, or create one.")
        seen("no-key")
        expired = app.find("list item", re.compile("^Old Ada"))
        assert not expired.is_sensitive, "a key that has expired can be chosen"
        app.find("label", re.compile("Has expired"))
        seen("key-expired")
        app.find("button", "Create a Key…").bring().click()
        use = "Use This Key"
        refused(use, "Type the name of the owner.", Name="")
        refused(use, "A name cannot contain “<” or “>”.", Name="Ada <ada@example.org>")
        refused(use, re.compile("^This is no e-mail address"), **{"Name": "Ada Lovelace", "E-Mail": "nonsense"})
        refused(use, "Type a passphrase.", **{"E-Mail": ""})
        refused(use, re.compile("^Type the passphrase once more"), **{"New Passphrase": flows.PASSPHRASE})
        refused(use, "The two passphrases differ. Type them again.", **{"Repeat Passphrase": "something else"})
        seen("passphrases-differ")
        app.type_into("Repeat Passphrase", flows.PASSPHRASE)
        app.click("button", use)
        app.find("list item", "Ada Lovelace")
        app.click("button", "Continue")
        app.find("label", "Lose this key and you lose every backup")
        refused("Continue", "Choose a folder for the copy, or go on without one.")
        refused("Continue", whole, **{"Folder for the Copy": "stick"})
        refused("Continue", re.compile("^The backups themselves are kept there"), **{"Folder for the Copy": str(store)})
        seen("copy-beside-the-backups")
        refused("Continue", "This is a file. Choose a folder.", **{"Folder for the Copy": str(file / "in it")})
        # Whoever does not want one says so.
        app.type_into("Folder for the Copy", "")
        app.find("check box", "Go On Without a Copy").bring().click()
        app.click("button", "Continue")
        flows.choose_item(app, "Snapshots", "For some time")
        app.find("list item", "Days")
        seen("keep")
        app.find("combo box", "How Often").bring()
        flows.schedule(app)
        app.find("button", "Later")
        app.find("label", "Every snapshot of the last 365 days")
        refused("Back Up Now", "Type a name, to tell this backup from others.", **{"Name of This Backup": ""})
        seen("no-name")

        # All the way back and forth again: everything is as it was.
        for role, of_page in (
            ("combo box", "How Often"),
            ("label", "Lose this key and you lose every backup"),
            ("radio button", re.compile("With a Key")),
            ("table cell", "Folder"),
            ("button", "Do Not Back Up Documents"),
        ):
            app.click("button", "Back")
            app.find(role, of_page)
        app.click("button", "Continue")
        assert app.find("text", "Folder").text == str(store)
        app.click("button", "Continue")
        app.find("list item", "Ada Lovelace")
        app.click("button", "Continue")
        app.find("check box", "Go On Without a Copy")
        app.click("button", "Continue")
        app.find("combo box", "How Often")
        app.click("button", "Continue")
        app.type_into("Name of This Backup", "Papers")
        app.click("button", "Back Up Now")
        flows.wait_for_backup(app, 1)
        plans = (session.home / ".config/souvenir/plans.toml").read_text()
        assert re.search(r"""keep\]\nkind = "days"\ndays = 365$""", plans, re.MULTILINE), plans
        seen("made")

        # The same where a backup is opened.
        session.press("ctrl+o")
        app.find("dialog", "Restore From a Backup")
        open_backup = lambda said, **fields: refused("Open Backup", said, **fields)  # noqa: E731
        open_backup("Choose a folder, or type its path.")
        open_backup(re.compile("^This folder does not exist"), Folder="/no/such/place")
        open_backup(re.compile("^This is a file"), Folder=str(file))
        open_backup(re.compile("^There is no backup in this folder"), Folder=str(documents))
        seen("no-backup")
        session.press("Escape")
        app.wait_gone("dialog")

        # And where it is restored to.
        flows.browse(app)
        app.click("button", "Restore…")
        restore = lambda said, **fields: refused("Restore", said, **fields)  # noqa: E731
        app.find("text", "Folder")
        restore(whole, Folder="some/where")
        restore("This is a file. Choose a folder.", Folder=str(file / "in it"))
        seen("restore-into-a-file")
        session.press("Escape")
        app.wait_gone("dialog")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
