#!/usr/bin/env python3
"""Files are dragged out of a snapshot with the mouse and dropped on another program's window.

    dragging.py PROGRAM COMMAND-LINE [FOLDER]

One file, several, a folder, one that takes a while and is stopped, and one whose volume is gone; a drag that is
ended in the air restores nothing.
"""

import filecmp
import pathlib
import re
import sys

import flows
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
PASSPHRASE = "a passphrase of the backup"
LARGE_BYTES = 1500 << 20


class Drop:
    """The window that files are dropped on, beside the application's."""

    def __init__(self, session, folder):
        folder.mkdir()
        self.session, self.folder, self.log = session, folder, session.pictures / "drop.log"
        self.log.unlink(missing_ok=True)
        python = ["/usr/bin/python3", HERE / "drop_window.py", folder, "300", "300"]
        self.process = session.spawn(python, log="drop.log")
        search = ["xdotool", "search", "--onlyvisible", "--pid", str(self.process.pid)]
        window = wait(lambda: session.run(search, check=False).split(), "the window to drop on")[-1].decode()
        session.run(["xdotool", "windowmove", "--sync", window, "960", "300"])
        self.centre = (1110, 450)

    def said(self):
        return self.log.read_text().splitlines()

    def wait_for(self, word, count=1):
        wait(lambda: self.said().count(word) >= count, f"the other window to say “{word}”", flows.WORK_SECS)

    def drag(self, row, drop=True):
        """Drags a row here, as a hand does, and drops it, or lets it go where nothing takes it."""
        x, y = row.application.find("label", row.name, within=row).centre()
        steps = ["mousemove", str(x), str(y), "sleep", "0.1", "mousedown", "1", "sleep", "0.1"]
        for part in range(1, 21):
            at = (x + (self.centre[0] - x) * part // 20, y + (self.centre[1] - y) * part // 20)
            steps += ["mousemove", str(at[0]), str(at[1]), "sleep", "0.03"]
        count = self.said().count("over")
        self.session.run(["xdotool", *steps])
        self.wait_for("over", count + 1)
        last = (self.centre[0] + 2, self.centre[1] + 2) if drop else (self.centre[0], self.centre[1] + 300)
        self.session.run(["xdotool", "mousemove", *map(str, last), "sleep", "0.3", "mouseup", "1"])


def handed_over(session):
    return sorted((session.home / ".cache" / "souvenir" / "dragged").glob("*"))


def row(app, name):
    return app.find("table row", name)


def main(program, command_line, pictures):
    with Session(pictures) as session:
        folder, store = session.home / "Documents", session.home / "Backup Drive"
        (folder / "Letters" / "Old").mkdir(parents=True)
        (folder / "Letters" / "Old" / "Aunt.txt").write_text("Dear aunt\n")
        (folder / "Letters" / "Uncle ä%20.txt").write_text("Dear uncle\n")
        (folder / "Poem.txt").write_text("Was bleibt aber, stiften die Dichter.\n")
        (folder / "Song.txt").write_text("la la\n")
        with (folder / "Large.bin").open("wb") as large:
            large.truncate(LARGE_BYTES)
        session.environment["PASSPHRASE"] = PASSPHRASE
        session.run([command_line, "backup", folder, store])
        del session.environment["PASSPHRASE"]

        app = session.launch(program)
        app.find("button", "Set Up a Backup…")
        session.press("ctrl+o")
        app.type_into("Folder", str(store))
        app.click("button", "Open Backup")
        app.find("table row", "Poem.txt", 10)
        app.resize(900, 760)
        session.run(["xdotool", "windowmove", "--sync", app.window_id(), "10", "40"])
        drop = Drop(session, session.home / "Desktop")

        # One file, which nobody selected before. Nothing is restored before it is dropped.
        drop.drag(row(app, "Poem.txt"), drop=False)
        drop.wait_for("refused")
        assert not handed_over(session)
        # The passphrase is asked for where the files come from.
        drop.drag(row(app, "Poem.txt"))
        flows.answer(app, PASSPHRASE)
        drop.wait_for("copied")
        assert filecmp.cmp(folder / "Poem.txt", drop.folder / "Poem.txt", shallow=False)
        assert [path.name for path in drop.folder.iterdir()] == ["Poem.txt"]
        assert len(handed_over(session)) == 1
        assert handed_over(session)[0].stat().st_mode & 0o777 == 0o700
        (drop.folder / "Poem.txt").unlink()

        # A folder and a file together.
        row(app, "Letters").mouse_click()
        session.run(["xdotool", "keydown", "ctrl"])
        row(app, "Song.txt").mouse_click()
        session.run(["xdotool", "keyup", "ctrl"])
        app.find("label", re.compile("^2 selected"))
        drop.drag(row(app, "Letters"))
        drop.wait_for("copied", 2)
        assert "dropped 2" in drop.said()
        assert sorted(path.name for path in drop.folder.iterdir()) == ["Letters", "Song.txt"]
        for name in ["Letters/Old/Aunt.txt", "Letters/Uncle ä%20.txt", "Song.txt"]:
            assert filecmp.cmp(folder / name, drop.folder / name, shallow=False)

        # What takes a while shows how far it is, and can be stopped: then nothing is dropped.
        refused = drop.said().count("refused")
        drop.drag(row(app, "Large.bin"))
        app.click("button", "Pause")
        app.find("button", "Continue")
        app.picture("01-takes-a-while")
        app.click("button", "Stop")
        app.wait_gone("dialog", "Restore")
        drop.wait_for("refused", refused + 1)
        assert not (drop.folder / "Large.bin").exists()

        # A volume that is gone: said, and nothing dropped.
        for volume in store.glob("*.vol*"):
            volume.rename(store / f"lost-{volume.name}")
        drop.drag(row(app, "Poem.txt"))
        app.find(text="Not Restored")
        app.picture("02-not-restored")
        drop.wait_for("refused", refused + 2)
        app.click("button", "Close", within=app.find("dialog"))
        app.wait_gone("dialog", "Restore")
        assert not (drop.folder / "Poem.txt").exists()
        assert (drop.said().count("copied"), drop.process.poll()) == (2, None)
        assert app.complaints() == []


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(
        pathlib.Path(sys.argv[1]).resolve(),
        pathlib.Path(sys.argv[2]).resolve(),
        pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else TOP / "target" / "dragging",
    )
