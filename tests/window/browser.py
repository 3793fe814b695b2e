#!/usr/bin/env python3
"""Looking into backups through the real window: a deleted file is found, and an old version of a file comes back.

    browser.py PROGRAM COMMAND-LINE [FOLDER]

Three snapshots of a folder are made by the command line, which can be told the time. Then, in the window: a
search over all of them, the history of a file, its preview, a comparison of two versions, what a restore
would meet, and the restore of the oldest version, which is compared byte by byte.
"""

import pathlib
import re
import struct
import sys
import time
import zlib

import flows
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
DAY = 86_400
NOTES = [
    "".join(f"line {number}\n" for number in range(1, 60)),
    "".join(f"line {number}\n" for number in range(1, 60)).replace("line 30\n", "line thirty\nand a half\n"),
    "the third version\n",
]


def picture(width=64, height=48):
    """A PNG of one colour."""
    rows = b"".join(b"\0" + bytes((80, 140, 220)) * width for _ in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make(session, command_line, folder, store):
    """Three snapshots, the oldest three weeks ago."""
    letters = folder / "Letters"
    letters.mkdir(parents=True)
    (letters / "Picture.png").write_bytes(picture())
    (letters / "Budget.csv").write_text("January;1\n")
    (folder / "Poem.txt").write_text("Was bleibt aber, stiften die Dichter.\n")
    for number, text in enumerate(NOTES):
        (letters / "Notes.txt").write_text(text)
        if number == 1:
            (letters / "Budget.csv").unlink()
            (letters / "New.txt").write_text("new\n")
        when = str(int(time.time()) - (21 - 7 * number) * DAY)
        session.run([command_line, "backup", "--no-encryption", "--current-time", when, folder, store])


def open_store(app, session, store):
    session.press("ctrl+o")
    app.find("dialog", "Restore From a Backup")
    app.type_into("Folder", str(store)).mouse_click()
    # Return looks at the place, and once more opens what was found.
    session.press("Return")
    app.find("list item", re.compile("3 backups"))
    session.press("Return")
    app.wait_gone("dialog")
    app.find("table row", re.compile("Letters|Notes"), flows.WORK_SECS)


def shown_rows(app):
    return [row.name for row in app.find_all("table row") if not row.name.startswith("Name Size")]


def main(program, command_line, pictures):
    with Session(pictures) as session:
        folder, store = session.home / "Documents", session.home / "Backup Drive"
        make(session, command_line, folder, store)
        app = session.launch(program)
        app.find("button", "Set Up a Backup…")
        open_store(app, session, store)
        app.resize(1000, 760)
        app.picture("01-folder")

        # A deleted file is found in all snapshots and shown in the last one that has it.
        session.press("ctrl+f")
        app.find(text=re.compile("^Type a part of a name"))
        app.picture("02-search-empty")
        session.type("budg")
        hit = app.find("list item", "Budget.csv")
        assert "deleted" in hit.accessible.get_description(), hit.accessible.get_description()
        hit.mouse_click()
        app.find(text=re.compile("January"))
        app.picture("03-search")
        session.press("Return")
        row = app.find("table row", "Budget.csv")
        wait(lambda: row.has_state("selected"), "the found file to be selected")
        assert "New.txt" not in shown_rows(app), shown_rows(app)
        app.find(text=re.compile("January"))
        app.picture("04-deleted-file")

        # In the newer snapshot it is shown as deleted.
        app.click("button", "Newer Snapshot")
        app.find("table row", "New.txt")
        gone = app.find("table row", "Budget.csv")
        assert "deleted" in gone.accessible.get_description(), gone.accessible.get_description()
        assert app.has("label", re.compile("^deleted "), within=gone)
        app.find("label", "Not in this snapshot any more")
        app.picture("05-newer-snapshot")
        assert app.has("label", "Not in this snapshot any more")

        # The history of a file: three versions, and the oldest one comes back.
        session.press("ctrl+f")
        session.type("notes")
        app.find("list item", "Notes.txt")
        session.press("Return")
        app.find("table row", "Notes.txt")
        app.find(text=re.compile("and a half"))
        versions = app.find("list", "Versions")
        rows = app.find_all("list item", within=versions)
        assert len(rows) == 3, rows
        app.picture("06-history")
        app.click("button", "Compare Versions…")
        app.find("list item", "added: and a half")
        app.picture("07-compare")
        session.press("Escape")
        app.wait_gone("list", "Differences")
        oldest = app.find_all("list item", within=app.find("list", "Versions"))[2]
        oldest.mouse_click()
        wait(lambda: oldest.has_state("selected"), "the oldest version to be selected")
        target = session.home / "Old"
        app.click("button", "Restore This Version…")
        app.type_into("Folder", str(target))
        app.find("label", re.compile(r"^1 stored volume with "))
        app.find("label", re.compile(r"^1 item, "))
        app.picture("08-restore")
        app.click("button", "Restore", within=app.find("dialog", "Restore"))
        app.find("label", "Restored", flows.WORK_SECS)
        app.click("button", "Close", within=app.find("dialog"))
        assert (target / "Notes.txt").read_text() == NOTES[0], "the restored version is not the oldest one"

        # Once more to the same place: what is there is counted for each way of dealing with it.
        app.click("button", "Restore This Version…")
        app.type_into("Folder", str(target))
        app.find("label", "1 file is there and stays as it is.")
        # The same is no loss, and nothing is asked.
        app.find("label", "Nothing that is there is lost.")
        app.find("radio button", "Replace It").bring().click()
        app.click("button", "Restore", within=app.find("dialog", "Restore"))
        app.find("label", "Restored", flows.WORK_SECS)
        app.click("button", "Close", within=app.find("dialog"))
        (target / "Notes.txt").write_text("something else\n")
        app.click("button", "Restore This Version…")
        app.type_into("Folder", str(target))
        app.find("label", "1 file that is there now is lost.")
        app.picture("09-conflicts")
        app.find("radio button", "Replace It").bring().click()
        app.click("button", "Restore", within=app.find("dialog", "Restore"))
        app.click("button", "Cancel", within=app.find("alert", "Replace Files?"))
        app.wait_gone("alert")
        session.press("Escape")
        app.wait_gone("dialog", "Restore")
        assert (target / "Notes.txt").read_text() == "something else\n"

        # A picture.
        app.find("table row", "Picture.png").mouse_click()
        app.find("image", "Preview")
        app.picture("10-picture")

        # Going through the snapshots keeps the button that was pressed, until there is none to go to.
        while app.find("button", "Newer Snapshot").is_sensitive:
            session.press("alt+Page_Down")
            time.sleep(0.5)
        older = app.find("button", "Older Snapshot")
        steps = 0
        while older.is_sensitive:
            date = app.find("toggle button", re.compile("^Snapshot of ")).name
            if steps:
                wait(lambda: older.has_state("focused"), "the button to keep the focus")
                session.press("space")
            else:
                older.mouse_click()
            wait(lambda: not app.has("toggle button", date), "another snapshot")
            # Within a quarter of a second GTK takes a second press for the same.
            time.sleep(0.5)
            steps += 1
        assert steps > 1, "there were no two older snapshots to go to"
        # Then the rows have it.
        session.press("Home", "Down")
        app.find("label", re.compile(r"^1 selected|^Not in this snapshot"))

        # On a narrow page the versions have a page of their own.
        app.resize(360, 760)
        app.picture("11-narrow")
        app.click("button", "Versions")
        app.find("list", "Versions")
        app.picture("12-narrow-versions")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(
        pathlib.Path(sys.argv[1]).resolve(),
        pathlib.Path(sys.argv[2]).resolve(),
        pathlib.Path(sys.argv[3]) if len(sys.argv) == 4 else TOP / "target" / "browser",
    )
