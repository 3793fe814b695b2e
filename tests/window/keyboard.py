#!/usr/bin/env python3
"""The way of a new user by the keyboard alone: set up, back up, browse, restore, settings. Nothing is clicked, and what
has the focus is what is used.

    keyboard.py PROGRAM [wide|narrow] [light|dark]
"""

import pathlib
import re
import sys
import time

import flows
import sample
from session import ROLES, Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
# More stops than that on one page are no way for anybody.
MOST_STOPS = 40


class Keyboard:
    """Somebody who has no mouse."""

    def __init__(self, app):
        self.app, self.session = app, app.session

    def press(self, *keys):
        self.session.press(*keys)
        time.sleep(0.15)

    def focused(self):
        """What has the focus: the innermost, where several say so."""
        return ([None] + [widget for widget, _ in self.app._walk(self.app.root) if widget.has_state("focused")])[-1]

    def go_to(self, role, name, key="Tab"):
        """Presses a key until something has the focus."""
        trail = []
        for _ in range(MOST_STOPS):
            widget = self.focused()
            trail.append(str(widget))
            if widget is not None and widget.role in ROLES.get(role, (role,)) and widget.english_name == name:
                return
            self.press(key)
        raise AssertionError(f"{key} does not lead to {role} “{name}” but to {trail}")

    def use(self, role, name, key="Tab"):
        """Goes to something and presses it."""
        self.go_to(role, name, key)
        self.press("space")

    def fill(self, name, text):
        """Goes to a field and types."""
        self.go_to("text", name)
        self.session.type(text)


def main(program, width="wide", shade="light"):
    with Session(TOP / "target" / "keyboard" / f"{width}-{shade}") as session:
        documents = sample.make(session.home / "Documents")
        app = session.launch(program, dark=shade == "dark")
        app.find("button")
        app.resize(*((1000, 760) if width == "wide" else (360, 760)))
        keys = Keyboard(app)

        keys.use("button", "Set Up a Backup…")
        app.find("button", "Continue")
        keys.use("button", "Do Not Back Up Home")
        keys.fill("Add a Folder", str(documents))
        keys.use("button", "Continue")

        app.find("table cell", "Folder")
        keys.fill("Folder", str(session.home / "Backup Drive"))
        keys.use("button", "Test")
        app.find("list item", "The folder will be made")
        app.picture("01-destination")
        keys.use("button", "Continue")

        app.find("radio button", re.compile("With a Passphrase"))
        keys.use("list item", "With a Passphrase")
        keys.fill("New Passphrase", flows.PASSPHRASE)
        keys.fill("Repeat Passphrase", flows.PASSPHRASE)
        app.picture("02-protection")
        keys.use("button", "Continue")

        app.find("combo box", "How Often")
        keys.go_to("combo box", "How Often")
        keys.press("space")
        app.find("label", "Every day")
        keys.press("Home", "Return")
        app.wait_gone("check box", "Catch Up")
        keys.use("button", "Continue")

        app.find("button", "Later")
        app.picture("03-summary")
        keys.use("button", "Back Up Now")
        flows.wait_for_backup(app, 1)
        # What was to be stopped with the keyboard leaves the focus with what can be done next.
        keys.use("button", "Back Up Now")
        flows.wait_for_backup(app, 2)
        wait(lambda: keys.focused() and keys.focused().english_name == "Back Up Now", "the focus")

        # Browse, look at a file, restore.
        keys.use("button", "Browse and Restore")
        app.find("table row", "Letters")
        keys.go_to("table row", "Empty Folder")
        keys.go_to("table row", "Budget.csv", key="Down")
        for key in ("ctrl+Up", "ctrl+space"):
            keys.press(key)
        app.find("label", re.compile("^2 selected"))
        for key in ("ctrl+space", "ctrl+Down"):
            keys.press(key)
        app.find("label", re.compile("^1 selected"))
        # From one row it goes on to what is behind the list, however long that is.
        keys.press("Tab")
        keys.go_to("check box", "Select Budget.csv")
        assert keys.focused().has_state("checked"), "going to a row does not select it"
        app.picture("04-browser")
        keys.use("button", "Restore…")
        app.find("dialog", "Restore")
        keys.fill("Folder", str(session.home / "Restored"))
        keys.use("button", "Restore")
        app.find("label", "Restored", flows.WORK_SECS)
        app.picture("05-restored")
        keys.press("Escape")
        app.wait_gone("dialog", "Restore")

        restored = [path for path in (session.home / "Restored").rglob("*") if path.is_file()]
        assert [path.name for path in restored] == ["Budget.csv"], restored
        assert restored[0].read_bytes() == (documents / "Budget.csv").read_bytes()

        # A name is found in all snapshots, and back it goes.
        keys.press("ctrl+f")
        session.type("poem")
        app.find("list item", "Poem.txt")
        keys.go_to("list item", "Poem.txt")
        app.picture("06-found")
        keys.press("Escape")
        keys.press("alt+Left")
        app.find("button", "Browse and Restore")

        # The settings, from the menu; another name is saved.
        keys.use("toggle button", "Main Menu")
        app.find("menu")
        keys.press("Return")
        app.find("dialog", "Plan Settings")
        keys.go_to("text", "Name of This Backup")
        keys.press("ctrl+a")
        session.type("Papers")
        keys.use("button", "Save")
        app.wait_gone("dialog", "Plan Settings")
        wait(lambda: 'name = "Papers"' in (session.home / ".config/souvenir/plans.toml").read_text(), "the name")

        # Keys, and a page in the dialog.
        keys.press("ctrl+k")
        app.find("dialog", "Keys")
        keys.use("button", "Create a Key…")
        app.find("button", "Create Key")
        app.picture("07-create-key")
        keys.press("Escape")
        app.wait_gone("button", "Create Key")
        keys.press("Escape")
        app.wait_gone("dialog", "Keys")


if __name__ == "__main__":
    main(*sys.argv[1:])
