#!/usr/bin/env python3
"""A plan with a key on a smart card: gpg-agent's own pinentry asks for the PIN, and only where a person wants something.

    card.py PROGRAM

The card, its reader's driver and GnuPG's daemon are those of tests/smart_card.rs.
"""

import filecmp
import pathlib
import re
import sys

import flows
import sample
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
READER_PORT = "35963"
PIN = "123456"
OWNER = "Ada Lovelace <ada@example.org>"
PINENTRY = """#!/bin/sh
echo OK
while read line; do
  echo "$line" >> {log}
  case $line in
    GETPIN*) echo "D {pin}"; echo OK ;;
    CONFIRM*) echo "ERR 83886179 Operation cancelled" ;;
    BYE*) echo OK; exit ;;
    *) echo OK ;;
  esac
done
"""


class PinPad:
    """The agent's pinentry, which knows the PIN and has no card to insert."""

    def __init__(self, session):
        gnupg = pathlib.Path(session.environment["GNUPGHOME"])
        self.log = gnupg / "asked"
        program = gnupg / "pinentry"
        program.write_text(PINENTRY.format(log=self.log, pin=PIN))
        program.chmod(0o700)
        (gnupg / "gpg-agent.conf").write_text(f"pinentry-program {program}\n")
        (gnupg / "scdaemon.conf").write_text("disable-ccid\n")

    def asked(self, command):
        """How often it was asked since this was looked at last."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return sum(line.startswith(command) for line in lines)


def is_there(session):
    return b"Serial number" in session.run(["gpg", "--card-status"], check=False)


def lock(session):
    """The card forgets that its PIN was entered."""
    session.run(["gpgconf", "--kill", "all"])
    wait(lambda: is_there(session), "the card")


def main(program):
    with Session(TOP / "target" / "card") as session:
        documents = sample.make(session.home / "Documents")
        pad = PinPad(session)
        session.spawn(["pcscd", "--foreground", "--disable-polkit"])
        wait(pathlib.Path("/run/pcscd/pcscd.comm").exists, "the reader")
        card = session.spawn(["/usr/bin/python3", TOP / "tests/common/openpgp_card.py", READER_PORT])
        wait(lambda: is_there(session), "the card")
        session.run(["gpg", "--batch", "--quick-gen-key", OWNER, "card", "default", "never"])

        # The assistant: no copy of the key is asked for, since a card gives it to nobody.
        app = session.launch(program)
        app.click("button", "Set Up a Backup…")
        app.click("button", "Do Not Back Up Home")
        app.type_into("Add a Folder", str(documents))
        app.click("button", "Continue")
        flows.choose_folder(app, session.home / "Backup Drive")
        app.click("button", "Continue")
        app.find("label", re.compile("on a smart card$"))
        app.click("radio button", re.compile("Ada Lovelace"))
        app.find("check box", "Sign the Backup").bring().click()
        app.picture("01-protection")
        app.click("button", "Continue")
        flows.schedule(app)
        pad.asked("")
        app.click("button", "Back Up Now")
        flows.wait_for_backup(app, 1)
        assert pad.asked("GETPIN") > 0, "the PIN was not asked for"

        # Who only looks is asked nothing.
        lock(session)
        flows.browse(app)
        app.find("table row", "Poem.txt").mouse_click()
        app.find("label", "The preview needs the card with the key, and its PIN.", flows.WORK_SECS)
        app.picture("02-preview")
        assert pad.asked("GETPIN") == 0, "a PIN was asked for by itself"
        app.click("button", "Show Preview…")
        app.find("text", text=re.compile("^" + re.escape((documents / "Poem.txt").read_text()[:20])))
        assert pad.asked("GETPIN") == 1

        flows.restore(app, session.home / "Restored")
        assert filecmp.cmp(documents / "Poem.txt", session.home / "Restored" / "Poem.txt", shallow=False)
        app.click("button", "Back")

        # The card is away.
        card.kill()
        card.wait()
        session.run(["gpgconf", "--kill", "all"])
        pad.asked("")
        app.click("button", "Back Up Now")
        app.find(text="The key could not be unlocked", patience=flows.WORK_SECS)
        app.picture("03-no-card")
        assert pad.asked("CONFIRM") == 1, "the card was not asked for"
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
