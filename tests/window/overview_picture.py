#!/usr/bin/env python3
"""The pictures of the README and of software centres: the overview of a plan that has been in use for some weeks, and one
of its snapshots.

    overview_picture.py FOLDER-OF-THE-PROGRAMS [FOLDER]

The weeks are made by the command line, which can be told the time; the pictures are docs/images/overview.png and browser.png.
"""

import os
import pathlib
import random
import re
import shutil
import sys
import time

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]
DAY = 86_400
MONTHS = ["Month;Rent;Food;Books\n", *(f"2026-{month:02};820;{390 + month * 7};{40 + month % 3}\n" for month in range(4, 11))]


def main(programs, pictures):
    with Session(TOP / "target" / "screenshots" / "readme") as session:
        documents = sample.make(session.home / "Documents")
        store = session.home / "Backups"
        session.run(["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "Ada Lovelace <ada@example.org>"])
        rng = random.Random(3)
        for week in range(9, 0, -1):
            when = int(time.time()) - 7 * week * DAY - rng.randrange(20_000)
            film = documents / f"Film {week}.mkv"
            film.write_bytes(rng.randbytes(rng.randrange(500_000, 4_000_000)))
            os.utime(film, (when - 3_000, when - 3_000))
            if week % 3 == 0:
                budget = documents / "Budget.csv"
                budget.write_text("".join(MONTHS[: 8 - week // 3]))
                os.utime(budget, (when - 9_000, when - 9_000))
            session.run(
                [programs / "souvenir-cli", "backup", "--current-time", str(when), "--encrypt-key", "ada@example.org",
                 "--include", documents, "--exclude", "**", "/", store],
                check=False,  # a warning is a status of its own
            )  # fmt: skip
        app = session.launch(programs / "souvenir")
        app.click("button", "Set Up a Backup…")
        app.click("button", "Do Not Back Up Home")
        app.type_into("Add a Folder", str(documents))
        app.click("button", "Continue")
        app.type_into("Folder", str(store))
        app.click("button", "Continue")
        app.click("list item", "Ada Lovelace")
        app.click("button", "Continue")
        flows.keep_key(app, session.home / "Copy of the Key")
        flows.schedule(app, "Every day")
        app.click("button", "Back Up Now")
        flows.wait_for_backup(app, 10)
        app.resize(860, 840)
        # Until what was said about the copy of the key is gone.
        time.sleep(7)
        shutil.copy(app.picture("overview"), pictures)
        flows.browse(app)
        app.resize(1000, 720)
        app.find("table row", "Budget.csv").mouse_click()
        app.find("label", re.compile("^Changed, "))
        shutil.copy(app.picture("browser"), pictures)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else TOP / "docs" / "images"
    target.mkdir(parents=True, exist_ok=True)
    main(pathlib.Path(sys.argv[1]).resolve(), target)
