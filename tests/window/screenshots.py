#!/usr/bin/env python3
"""Photographs every page of the window, wide and narrow, light and dark, and in German.

    screenshots.py PROGRAM [VARIANT…]

The pictures are left in target/screenshots/VARIANT, those of a variant side by side in target/screenshots/VARIANT.png, and
each page in all variants in target/screenshots/all.png. Variants: wide-light, narrow-light, wide-dark, narrow-dark; behind it
may stand a language, `contrast` for high contrast and `large` for large text, such as narrow-light-de-large.
"""

import pathlib
import re
import socket
import subprocess
import sys

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]
PICTURES = TOP / "target" / "screenshots"
VARIANTS = ["wide-light", "wide-dark", "wide-light-de", "narrow-light", "narrow-dark", "narrow-light-de"]
# GNOME's Large Text is larger by a quarter.
LARGE_TEXT = "Xft.dpi: 120"
# Stands where a variant does not have a page: montage makes the pictures smaller, and of nothing it cannot.
NO_PICTURE = "xc:#888888[20x20]"
SIZES = {"wide": (1000, 760), "narrow": (360, 760)}


def photograph(program, variant):
    """One walk through the window."""
    width, shade, *more = variant.split("-")
    language = next((part for part in more if len(part) == 2), None)
    folder = PICTURES / variant
    with Session(folder) as session:
        if "large" in more:
            session.run(["xprop", "-root", "-f", "RESOURCE_MANAGER", "8s", "-set", "RESOURCE_MANAGER", LARGE_TEXT])
        documents = sample.make(session.home / "Documents")
        # Enough work to be seen at it, and something that cannot be backed up.
        (documents / "Film.mkv").write_bytes(sample.random.Random(1).randbytes(150_000_000))
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(documents / "door"))

        def start():
            extra = {"ADW_DEBUG_HIGH_CONTRAST": "1"} if "contrast" in more else None
            app = session.launch(program, dark=shade == "dark", language=language, extra=extra)
            app.find("button")
            app.resize(*SIZES[width])
            return app

        app = start()
        number = iter(range(1, 100))

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        seen("welcome")
        session.press("ctrl+o")
        app.find("dialog", "Restore From a Backup")
        seen("restore-from")
        app.find("button", "Import a Key…").bring().click()
        app.find("button", "Import Key")
        seen("import-key")
        app.click("button", "Back")
        app.find("button", "Open Backup")
        session.press("Escape")
        app.wait_gone("dialog")
        session.press("ctrl+question")
        app.find("dialog", "Keyboard Shortcuts")
        seen("shortcuts")
        session.press("Escape")
        app.wait_gone("dialog")
        session.press("F1")
        app.find("dialog", "Help")
        seen("help")
        app.click("list item", "Keys and Passphrases")
        app.find("heading", "Keep the Key Safe")
        seen("help-topic")
        session.press("Escape")
        app.find("list item", "Keys and Passphrases")
        session.press("Escape")
        app.wait_gone("dialog")

        def choose(app, destination):
            for kind in ("Drive", "SSH", "S3", "WebDAV", "Network"):
                app.click("table cell", kind)
                seen(f"destination-{kind.lower()}")
            app.click("table cell", "Folder")
            flows.choose_folder(app, destination)

        flows.set_up(app, documents, session.home / "Backup Drive", seen, remember=False, choose=choose)
        seen("overview-first")
        app.click("list item", re.compile("remark"))
        app.find("list", "Warnings")
        seen("warnings")
        app.click("button", "Back")

        sample.change(documents)
        (documents / "Film 2.mkv").write_bytes(sample.random.Random(2).randbytes(150_000_000))
        # The next day nobody remembers the passphrase, so it is asked for.
        app.close()
        session.run(["gpgconf", "--kill", "all"])
        app = start()
        app.click("button", "Back Up Now")
        app.find("alert", "Passphrase Needed")
        seen("passphrase")
        app.type_into("Passphrase", flows.PASSPHRASE)
        app.click("button", "Unlock")
        app.wait_gone("alert")
        app.find("label", re.compile(r"\d of \d.* files"), flows.WORK_SECS)
        app.click("button", "Pause")
        app.find("button", "Continue")
        seen("running")
        app.click("button", "Continue")
        flows.wait_for_backup(app, 2)
        seen("overview")
        app.click("toggle button", "Main Menu")
        app.find("menu")
        seen("menu")
        session.press("Up", "Return")
        app.find("dialog", re.compile("About"))
        seen("about")
        session.press("Escape")
        app.wait_gone("dialog")

        app.find("list item", "Keep").bring()
        seen("overview-below")
        app.click("list item", "Keep")
        app.find("list item", "Nothing is deleted").bring()
        seen("settings")
        app.click("button", "Cancel")
        app.wait_gone("dialog", "Plan Settings")
        app.find("list item", "Log").bring().click()
        app.find("list", "Log")
        seen("log")
        app.find_all("list item", within=app.find("list", "Log"))[0].click()
        app.find("list item", re.compile("^Incremental backup: "))
        seen("run")
        app.click("button", "Back")
        app.find("list", "Log")
        app.click("button", "Back")
        app.wait_gone("list", "Log")

        session.press("ctrl+k")
        app.find("list item", "Ada Lovelace")
        seen("keys")
        app.click("list item", "Ada Lovelace")
        app.find("button", "Export Key")
        seen("key")
        app.click("button", "Back")
        app.find("button", "Create a Key…")
        session.press("Escape")
        app.wait_gone("dialog")

        flows.browse(app)
        seen("browser")
        app.click("check box", "Select Letters")
        seen("browser-selection")
        app.click("check box", "Select Letters")
        if width == "wide":
            app.click("check box", "Select Poem.txt")
            app.find(text=re.compile("Komm! ins Offene"))
            seen("browser-file")
            app.click("button", "Compare Versions…")
            app.find("list", "Differences")
            seen("compare")
            session.press("Escape")
            app.wait_gone("list", "Differences")
            app.click("check box", "Select Poem.txt")
        app.click("toggle button", re.compile("^Snapshot of"))
        app.find("list", "Snapshots")
        seen("browser-calendar")
        session.press("Escape")
        app.wait_gone("list", "Snapshots")
        session.press("ctrl+f")
        seen("browser-search-empty")
        session.type("b")
        app.find("list item", "Budget.csv")
        seen("browser-search")
        session.press("Escape")
        app.find("table row", "Letters")
        flows.restore(app, session.home / "Restored", seen)
        app.click("button", "Back")

        # Something else has the name of the destination.
        (session.home / "Backup Drive").rename(session.home / "Elsewhere")
        (session.home / "Backup Drive").touch()
        app.click("button", "Back Up Now")
        app.find("button", "Copy Details", flows.WORK_SECS)
        seen("problem")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


def sheet(variant):
    """All pictures of a variant in one, to be looked at."""
    pictures = sorted(str(path) for path in (PICTURES / variant).glob("[0-9]*.png"))
    columns = "4x" if variant.startswith("wide") else "7x"
    target = PICTURES / f"{variant}.png"
    subprocess.run(
        ["montage", *pictures, "-background", "#888888", "-tile", columns, "-geometry", "50%x+8+8", target],
        check=True,
    )
    return target


def contact_sheet(variants):
    """Every page in a row, in every variant."""
    named = lambda variant: {path.stem.split("-", 1)[1]: str(path) for path in (PICTURES / variant).glob("[0-9]*.png")}  # noqa: E731
    columns = [named(variant) for variant in variants]
    order = sorted((PICTURES / variants[0]).glob("[0-9]*.png"))
    pages = [path.stem.split("-", 1)[1] for path in order]
    pages += sorted({page for column in columns for page in column} - set(pages))
    pictures = [column.get(page, NO_PICTURE) for page in pages for column in columns]
    target = PICTURES / "all.png"
    tiles = f"{len(variants)}x"
    subprocess.run(
        ["montage", *pictures, "-background", "#888888", "-tile", tiles, "-geometry", "40%x+6+6", target],
        check=True,
    )
    return target


def main(program, variants):
    if variants and variants[0] == "--only":
        photograph(program, variants[1])
        return
    for variant in variants or VARIANTS:
        # One process each: a process sees one accessibility bus in its life.
        subprocess.run([sys.executable, __file__, program, "--only", variant], check=True)
        print(sheet(variant), flush=True)
    if len(variants or VARIANTS) > 1:
        print(contact_sheet(variants or VARIANTS), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
