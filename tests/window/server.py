#!/usr/bin/env python3
"""Backups on an SSH server: a real one, which nobody knows yet, with a key that has a passphrase; and a line to it
that is cut in the middle.

    server.py PROGRAM
"""

import getpass
import pathlib
import shutil
import socket
import sys

import flows
from line import Line
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDER = "Backups/Documents"
KEY_PASSPHRASE = "a key for one server"


def start_server(session):
    """sshd on a port of its own, which lets in the key of the session's home folder. The port."""
    folder = session.folder / "sshd"
    (session.home / ".ssh").mkdir(mode=0o700)
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    authorized = folder / ".ssh" / "authorized_keys"
    key = session.home / ".ssh" / "id_ed25519"
    session.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"])
    session.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", KEY_PASSPHRASE, "-f", key])
    shutil.copy(key.with_suffix(".pub"), authorized)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {authorized}\n"
        "StrictModes no\nPermitRootLogin yes\nPidFile none\nUsePAM no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp -d {folder}\n"
    )
    session.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "config"], log="sshd.log")
    return port, folder


def main(program):
    with Session(TOP / "target" / "server") as session:
        server_port, folder = start_server(session)
        line = Line(server_port)
        port = line.port

        def fill_in(app):
            app.click("table cell", "SSH")
            app.type_into("Server", "127.0.0.1")
            app.type_into("User (optional)", getpass.getuser())
            app.type_into("Port (optional)", str(port))
            app.type_into("Folder on the Server", FOLDER)

        def fill_in_with_key(app):
            """The key for the server came along, on a stick."""
            fill_in(app)
            app.type_into("Key File (optional)", str(session.home / ".ssh" / "id_ed25519"))

        def sign_in(app):
            """Nobody knows the server here."""
            app.click("button", "Trust Server", within=app.find("alert", "Is This the Right Server?"))
            app.find("alert", "Passphrase Needed")
            app.type_into("Passphrase", KEY_PASSPHRASE)
            app.click("button", "Sign In")

        def choose(app, destination):
            app.click("table cell", "SSH")
            app.click("button", "Test")
            app.find("label", "Type the name of the server.")
            fill_in(app)
            app.type_into("Port (optional)", "nonsense")
            app.click("button", "Test")
            app.find("label", "A port is a number between 1 and 65535. Most servers have 22.")
            app.type_into("Port (optional)", str(port))
            app.click("button", "Test")
            app.find("alert", "Is This the Right Server?")
            shown = session.run(["ssh-keygen", "-lf", folder / "host.pub"]).decode().split()[1]
            app.find("label", text=shown)
            app.picture("host-key")
            app.click("button", "Trust Server")
            app.find("alert", "Passphrase Needed")
            app.type_into("Passphrase", "not this one")
            app.click("button", "Sign In")
            app.find("label", "That was not right. Check the keyboard layout and Caps Lock, and try again.")
            app.picture("key-passphrase")
            app.type_into("Passphrase", KEY_PASSPHRASE)
            app.click("check box", "Remember")
            app.click("button", "Sign In")
            app.find("list item", "The place answers and can be written")
            app.click("button", "Set Up")
            app.find("list item", "This computer signs in with a key")
            assert (session.home / ".ssh" / "id_ed25519_souvenir").exists()

        app = flows.back_up_on_two_days(session, program, FOLDER, choose)
        store = folder / "Backups" / "Documents"
        flows.lose_the_line(session, app, line)
        stored = [path.name for path in store.iterdir()]
        assert all(name.startswith("duplicity-") for name in stored), stored
        app.close()
        flows.restore_on_another_computer(session, program, fill_in_with_key, sign_in)


if __name__ == "__main__":
    main(*sys.argv[1:])
