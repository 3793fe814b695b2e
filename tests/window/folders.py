#!/usr/bin/env python3
"""What is backed up and what is left out of it: by a switch, by its place, by a pattern; what makes a backup big; and what
of all that is in the backup.

    folders.py PROGRAM CLI [wide|narrow] [light|dark]
"""

import pathlib
import re
import sys

import flows
from session import Session, wait
from settings import open_settings

TOP = pathlib.Path(__file__).resolve().parents[2]


def make(home):
    """A home folder with what people leave out."""
    files = {
        "Documents/letter.txt": "Dear Ada,",
        ".cache/thumbnail": "made again",
        ".local/share/Trash/files/old.txt": "thrown away",
        ".mozilla/firefox/profile/cache2/entry": "a page",
        ".mozilla/firefox/profile/places.sqlite": "bookmarks",
        "Downloads/setup.exe": "again and again",
        "Music/song.ogg": "la la la",
        "Project/package.json": "{}",
        "Project/node_modules/left-pad/index.js": "module",
        "Project/src/index.js": "mine",
        "Pictures/Disc.ISO": "an image",
        "Pictures/photo.jpg": "a photo",
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (home / "Videos/Trip").mkdir(parents=True)
    with (home / "Videos/Trip/film.mkv").open("wb") as film:
        film.truncate(3_000_000_000)


def main(program, cli, width="wide", shade="light"):
    with Session(TOP / "target" / "folders" / f"{width}-{shade}") as session:
        make(session.home)
        store = session.folder / "Backup Drive"
        number = iter(range(1, 100))

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        app = session.launch(program, dark=shade == "dark")
        app.find("button")
        app.resize(*((1000, 760) if width == "wide" else (360, 760)))

        # The home folder is big, and it is said why.
        app.click("button", "Set Up a Backup…")
        app.find("label", re.compile(r"^3\.0.GB$"))
        seen("folders")
        app.find("list item", "Trip").bring()
        app.find(text=re.compile(r"^Together it is 3\.0.GB in \d+ files"))
        seen("big")
        app.click("button", "Leave Out Trip")
        app.wait_gone("button", "Leave Out Trip")
        app.find("button", "Do Not Leave Out Trip")

        # What cannot be left out, or backed up.
        app.type_into("Leave Out a Folder", str(session.home / "no such folder"))
        app.find("button", "Continue").click()
        app.find("label", "There is nothing at this place.")
        app.type_into("Leave Out a Folder", str(session.home / "Music"))
        pattern = "Leave Out by a Pattern, Such as *.iso"
        for wrong, said in {
            "/home/*.iso": re.compile("^A pattern is looked for in every folder"),
            "*": "This pattern would leave out everything.",
            "[z-a]": re.compile("^This is no pattern"),
        }.items():
            app.type_into(pattern, wrong)
            app.find("button", "Continue").click()
            hint = app.find("label", said)
        wait(lambda: hint.centre()[1] < app.find("button", "Continue").centre()[1], "the hint to be in sight")
        seen("pattern-refused")
        app.type_into(pattern, "ignorecase:*.iso")
        app.find("check box", "Build Folders").bring().click()
        app.find("button", "Do Not Leave Out Music").bring()
        seen("left-out")
        app.type_into("Add a Folder", str(session.home / "Nowhere"))
        app.find("button", "Continue").click()
        app.find("label", re.compile("^This folder is backed up already"))
        app.type_into("Add a Folder", "/no/such/folder")
        app.find("button", "Continue").click()
        app.find("label", "There is no folder at this place.")
        app.type_into("Add a Folder", "")
        app.click("button", "Continue")

        flows.choose_folder(app, store)
        app.click("button", "Continue")
        app.click("radio button", re.compile("Not at All"))
        app.wait_gone("button", "Create a Key…")
        app.click("button", "Continue")
        flows.schedule(app)
        app.find("list item", "Leave Out").bring()
        seen("summary")
        app.click("button", "Back Up Now", within=app.find("dialog"))
        flows.wait_for_backup(app, 1)

        # What is in the backup.
        home = session.home.relative_to("/")
        listed = session.run([cli, "list", store]).decode()
        stored = set(re.findall(rf"{re.escape(str(home))}/(\S[^\n]*)", listed))
        kept = {
            "Documents/letter.txt",
            ".mozilla/firefox/profile/places.sqlite",
            "Project/package.json",
            "Project/src/index.js",
            "Pictures/photo.jpg",
        }
        gone = {
            "Videos/Trip", "Music", ".cache", ".local/share/Trash", ".mozilla/firefox/profile/cache2",
            "Downloads", "Project/node_modules", "Pictures/Disc.ISO",
        }
        assert kept <= stored, (kept - stored, listed)
        held = [name for name in stored for left in gone if name == left or name.startswith(f"{left}/")]
        assert not held, held

        # All of it is shown again in the settings.
        open_settings(app)
        app.click("list item", "Folders", within=app.find("dialog", "Plan Settings"))
        app.find("button", "Do Not Leave Out Music")
        app.find("button", "Do Not Leave Out ignorecase:*.iso")
        assert app.find("check box", "Build Folders").has_state("checked")
        app.find("button", "Do Not Leave Out ignorecase:*.iso").bring().click()
        app.find("check box", "Trash").bring().click()
        app.find("button", "Done").bring().click()
        app.find("label", re.compile("^Home, with 4 exceptions$"))
        seen("settings")


if __name__ == "__main__":
    main(*sys.argv[1:])
