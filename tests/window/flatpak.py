#!/usr/bin/env python3
"""The installed Flatpak, tried inside its sandbox: the command line and the window back up and restore there, with gpg,
the SSH agent and remembered passphrases, and nothing is left running.

    flatpak.py [window|network]

`./dev flatpak` runs it, where flatpak is. Pictures are left in target/flatpak/pictures.
"""

import getpass
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import urllib.parse

import flows
import sample
from session import Application, Session, wait
from tour import Table, compare, snapshots

TOP = pathlib.Path(__file__).resolve().parents[2]
ID = "io.github.souvenir_backup.Souvenir"
# How long a sandbox may take to end once its last program has.
END_SECS = 10


class Sandboxed(Application):
    """The application in its sandbox, where processes have other numbers."""

    def _on_the_desktop(self):
        desktop = self.atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            child = desktop.get_child_at_index(index)
            if child is not None and "souvenir" in (child.get_name() or "").lower() and child.get_child_count():
                return child
        return None

    def window_id(self):
        command = ["xdotool", "search", "--onlyvisible", "--class", "souvenir"]
        found = self.session._wait(lambda: self.session.run(command, check=False).split(), "the window")
        return found[-1].decode()


def launch(session):
    (session.pictures / "application.log").unlink(missing_ok=True)
    process = session.spawn(["flatpak", "run", "--user", ID], log="application.log")
    return Sandboxed(session, process)


def activate(session):
    """Has the bus start it, as the desktop does when somebody clicks on a notification."""
    session.run(["gdbus", "call", "--session", f"--dest={ID}", f"--object-path=/{ID.replace('.', '/')}",
                 "--method=org.freedesktop.Application.Activate", "{}"])  # fmt: skip
    return Sandboxed(session, None)


def inside(session, program, *arguments):
    """Runs a program in the sandbox and gives what it says."""
    command = ["flatpak", "run", "--user", f"--command={program}", ID, *map(str, arguments)]
    return session.run(command).decode().strip()


def cli(session, *arguments):
    return inside(session, "souvenir-cli", *arguments)


def running(session):
    """What runs in sandboxes."""
    return session.run(["flatpak", "ps", "--columns=application,pid"]).decode().split()


def ends(session, table):
    """Whether the sandbox is gone, its gpg-agent too."""
    try:
        wait(lambda: not running(session), "the end of the sandbox", END_SECS)
        table.line("what is left running", "nothing")
    except AssertionError:
        table.line("what is left running", " ".join(running(session)), False)


def there_and_back(session, table, step, source, destination, *options):
    """A backup and a restore with the command line inside."""
    expected = sample.look(source)
    cli(session, "backup", *options, source, destination)
    target = session.home / f"Back {step}"
    passphrase = [option for option in options if "passphrase-file" in str(option)]
    cli(session, "restore", *passphrase, destination, target)
    compare(table, f"CLI: {step}", "restored,", expected, target)


def start_server(session):
    """sshd on a port of its own, which lets in a key that nobody but the agent of the session has. Gives its address."""
    folder = session.folder / "sshd"
    folder.mkdir(mode=0o700)
    (session.home / ".ssh").mkdir(mode=0o700)
    agent = session.folder / "run" / "ssh-agent"
    session.environment["SSH_AUTH_SOCK"] = str(agent)
    session.spawn(["ssh-agent", "-D", "-a", agent], log="ssh-agent.log")
    wait(agent.exists, "the SSH agent")
    for name in ("host", "key"):
        session.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name])
    session.run(["ssh-add", folder / "key"])
    (folder / "key").unlink()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/key.pub\n"
        "StrictModes no\nPermitRootLogin yes\nPidFile none\nUsePAM no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp -d {folder}\n"
    )
    session.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "config"], log="sshd.log")
    kind, key, *_owner = (folder / "host.pub").read_text().split()
    (session.home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    return f"sftp://{getpass.getuser()}@127.0.0.1:{port}/backups"


def try_command_line(session, table):
    documents = sample.make(session.home / "Letters and Photos")
    secret = session.home / "passphrase"
    secret.write_text("what nobody guesses\n")
    secret.chmod(0o600)
    by_passphrase = f"--passphrase-file={secret}"
    there_and_back(session, table, "folder, passphrase", documents, session.home / "By Passphrase", by_passphrase)

    made = json.loads(cli(session, "--json", "key", "create", "Grace", "--email=grace@example.org", "--no-passphrase"))
    fingerprint = find(made, "fingerprint")
    by_key = [f"--encrypt-key={fingerprint}", f"--sign-key={fingerprint}"]
    there_and_back(session, table, "folder, key made inside", documents, session.home / "By Key", *by_key)
    there_and_back(session, table, "SFTP, SSH agent, key", documents, start_server(session), *by_key)

    keyring = session.home / ".var" / "app" / ID / "data" / "gnupg"
    mode = stat.S_IMODE(keyring.stat().st_mode)
    own = list((session.home / ".gnupg").glob("pubring*")) + list((session.home / ".gnupg").glob("private-keys*/*"))
    table.line("the keyring is the sandbox's own", f"mode {mode:o}; in ~/.gnupg: {own or 'nothing'}", mode == 0o700 and not own)

    service = inside(session, "gdbus", "call", "--session", "--dest=org.freedesktop.secrets",
                     "--object-path=/org/freedesktop/secrets",
                     "--method=org.freedesktop.Secret.Service.ReadAlias", "default")  # fmt: skip
    table.line("the Secret Service answers", service, "/collection/" in service)
    other = session.home / ".var" / "app" / "org.example.Other" / "data" / "diary"
    other.parent.mkdir(parents=True)
    other.write_text("of another application")
    table.line("other applications' data", inside(session, "cat", other), True)
    # It has the name of its own on the bus, and there is nothing to watch.
    said = inside(session, "sh", "-c", "SOUVENIR_LOG=info NO_COLOR=1 souvenir-monitor 2>&1")
    table.line("the monitor is on the bus", "watching" if "watching" in said else said, "watching" in said)
    ends(session, table)


def find(value, name):
    """The first value of that name in what JSON held."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for found in (find(item, name) for item in value) if found is not None), None)
    return None


def try_window(session, table):
    number = iter(range(1, 100))
    documents = sample.make(session.home / "Documents")
    app = launch(session)

    def seen(name):
        app.picture(f"{next(number):02}-{name}")

    app.find("button", "Set Up a Backup…")
    seen("welcome")
    table.line("the window opens", "welcome page")
    first = sample.look(documents)
    flows.set_up(app, documents, session.home / "Backup Drive", seen)
    seen("first-backup")
    table.line("plan, new GPG key, first backup", snapshots(app))
    complaints = app.complaints()
    table.line("what GTK complains of", "; ".join(complaints) or "nothing", not complaints)
    status = app.close()
    table.line("close the window", f"exit status {status}", status == 0)
    ends(session, table)

    # gpg's agent ended with the first window: the passphrase of the signing key comes from where it was remembered.
    table.line("where passphrases are remembered", *remembered(session))
    app = activate(session)
    table.line("the bus starts it", "the window is there")
    done = sample.change(documents)
    flows.back_up(app, 2)
    table.line("the next day, nothing asked", f"{done}; {snapshots(app)}")
    flows.browse(app)
    flows.older_snapshot(app)
    app.find("table row", "Budget.csv", flows.WORK_SECS)
    said = flows.restore(app, session.home / "Restored", seen)
    compare(table, "restore the first day", said, first, session.home / "Restored" / "Documents")
    seen("browser")
    session.press("alt+F4")
    ends(session, table)


def try_network_folder(session, table):
    """A folder that GVfs reaches, which runs outside: by SSH, with the key of the agent."""
    server = urllib.parse.urlsplit(start_server(session))
    session.run(["dbus-update-activation-environment", "SSH_AUTH_SOCK"])
    # It has been started already, without the agent.
    session.run(["pkill", "gvfsd"])
    address = f"sftp://{server.username}@127.0.0.1:{server.port}{session.folder}/On the Network"
    documents = sample.make(session.home / "Documents")
    app = launch(session)

    def choose(app, destination):
        app.click("table cell", "Network")
        app.type_into("Address of the Folder", destination)
        app.click("button", "Test")
        app.find("list item", "The place answers and can be written")

    app.click("button", "Set Up a Backup…")
    flows.without_protection(app, documents, address, choose)
    flows.schedule(app)
    app.find("button", "Later")
    app.click("button", "Back Up Now")
    flows.wait_for_backup(app, 1)
    table.line("network folder: first backup", snapshots(app))
    flows.browse(app)
    expected = sample.look(documents)
    said = flows.restore(app, session.home / "Restored")
    compare(table, "network folder: restore", said, expected, session.home / "Restored" / "Documents")
    app.picture("restored")
    app.close()
    ends(session, table)


def remembered(session):
    """In which of the two places there is a passphrase now, and whether it is one."""
    portal = any((session.home / ".var" / "app" / ID / "data" / "keyrings").rglob("*.keyring"))
    service = session.run(["secret-tool", "search", "--all", "application", ID], check=False)
    places = ["a file locked by the portal"] * portal + ["the Secret Service"] * bool(service)
    return " and ".join(places) or "nowhere", len(places) == 1


def main(name, *steps):
    pictures = TOP / "target" / "flatpak" / "pictures" / name
    table = Table()
    installed = os.environ["FLATPAK_USER_DIR"]
    # What is installed there is known to the bus.
    variables = {"FLATPAK_USER_DIR": installed, "XDG_DATA_DIRS": f"{installed}/exports/share:/usr/local/share:/usr/share"}
    with Session(pictures, below=os.environ["HOME"], variables=variables) as session:
        for step in steps:
            step(session, table)
    return 1 if table.failed else 0


PARTS = {"window": (try_command_line, try_window), "network": (try_network_folder,)}


if __name__ == "__main__":
    if len(sys.argv) > 2 or not shutil.which("flatpak"):
        sys.exit(__doc__)
    if len(sys.argv) == 2:
        sys.exit(main(sys.argv[1], *PARTS[sys.argv[1]]))
    print("The Flatpak, in its sandbox:\n", flush=True)
    # One process each: a process sees one accessibility bus in its life.
    failures = [part for part in PARTS if subprocess.run([sys.executable, __file__, part], check=False).returncode]
    print("\nPictures: target/flatpak/pictures")
    sys.exit(bool(failures))
