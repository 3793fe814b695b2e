#!/usr/bin/env python3
"""Keys: a new one is kept safe, exported and printed; and on a new computer the paper alone opens the backup.

    keys.py PROGRAM
"""

import pathlib
import re
import sys

import flows
import sample
from session import Session

TOP = pathlib.Path(__file__).resolve().parents[2]
DAY = 86_400


def names(folder):
    return sorted(path.name.split(".", 1)[1] for path in folder.iterdir())


def print_and_photograph(session, folder):
    """The pages of the recovery kit in a folder, as pictures in another one."""
    (kit,) = folder.glob("*.pdf")
    pictures = session.home / "Photographs"
    pictures.mkdir(exist_ok=True)
    session.run(["pdftoppm", "-r", "150", "-jpeg", kit, pictures / "page"])
    return pictures


def first_computer(session, program):
    """A plan with a new key, and what is kept of the key. Gives the photographs of its kit."""
    documents = sample.make(session.home / "Documents")
    app = session.launch(program)
    app.find("button")
    copy = session.home / "Stick"
    flows.set_up(app, documents, session.home / "Backup Drive", app.picture, remember=False, copy=copy)
    assert names(copy) == ["ownertrust.txt", "public.asc", "recovery-kit.pdf", "secret.asc"], names(copy)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in copy.iterdir())

    app.find("label", re.compile("\nCopied, with a recovery kit, on "))

    # The dialog: what the key is, who uses it, and another copy.
    session.press("ctrl+k")
    app.find("list item", "Ada Lovelace")
    app.picture("keys")
    app.click("list item", "Ada Lovelace")
    app.find("list item", "Used By")
    app.click("button", "Export Key")
    app.find("label", "Choose a folder, or type its path.")
    session.run(["gpgconf", "--kill", "gpg-agent"])
    shelf = session.home / "Shelf"
    app.type_into("Folder", str(shelf))
    app.picture("key")
    app.click("button", "Export Key")
    app.find("alert", "Passphrase Needed")
    app.type_into("Passphrase", "not this one")
    app.click("button", "Unlock")
    app.find("label", re.compile("^That was not the passphrase"))
    flows.answer(app)
    app.find("label", re.compile("^The key is in"))
    assert names(shelf) == ["ownertrust.txt", "public.asc", "secret.asc"], names(shelf)
    app.click("button", "Save Recovery Kit")
    app.find("label", re.compile("^The recovery kit is in"))
    app.picture("key-saved")
    before = {path: path.read_bytes() for path in shelf.iterdir()}
    assert len(before) == 4
    app.click("button", "Export Key")
    app.find("label", "A file of this name is there already")
    app.picture("key-not-overwritten")
    assert before == {path: path.read_bytes() for path in shelf.iterdir()}
    app.click("button", "Back")

    # Another key, of the other kind, for some years.
    app.click("button", "Create a Key…")
    app.type_into("Name", "Grace Hopper")
    app.type_into("New Passphrase", flows.PASSPHRASE)
    app.type_into("Repeat Passphrase", flows.PASSPHRASE)
    flows.choose_item(app, "Algorithm", "RSA 4096, for old programs")
    flows.choose_item(app, "Valid", "For two years")
    app.picture("create")
    app.click("button", "Create Key")
    app.find("list item", "Used By", flows.WORK_SECS)
    app.click("button", "Back")
    app.find("list item", "Grace Hopper")
    app.picture("keys-two")
    listed = session.run(["gpg", "--with-colons", "--list-secret-keys"]).decode()
    (made,) = (key for key in listed.split("\nsec:") if "Grace Hopper" in key)
    _, size_bits, algorithm, _, created, expires = made.split(":")[:6]
    assert (algorithm, size_bits) == ("1", "4096"), made
    assert abs(int(expires) - int(created) - 2 * 365 * DAY) < 2 * DAY, made
    app.click("button", "Close", within=app.find("dialog", "Keys"))
    app.wait_gone("dialog")

    # A plan gets a key of its own: whoever saves that is asked for a copy, and led to it.
    app.find("list item", "Protection").bring().click()
    app.find("button", "Create a Key…").bring().click()
    app.type_into("Name", "Mary Somerville")
    app.type_into("New Passphrase", flows.PASSPHRASE)
    app.type_into("Repeat Passphrase", flows.PASSPHRASE)
    app.click("button", "Use This Key")
    # It goes on being signed, by another key.
    assert app.find("check box", "Sign the Backup").has_state("checked")
    app.find("combo box", "Sign With").bring(below=150).click()
    app.find("label", "Ada Lovelace <ada@example.org>")
    # The last of the list.
    session.press("End", "Return")
    app.picture("signer")
    app.click("button", "Continue")
    app.find("label", re.compile("Mary Somerville, signed with the key of Grace Hopper"))
    app.picture("signer-change")
    app.click("button", "Use This Protection")
    app.click("button", "Save")
    question = app.find("alert", "Copy the New Key?", flows.WORK_SECS)
    app.picture("copy-question")
    app.click("button", "Copy Key…", within=question)
    app.find("list item", "Owner")
    second_shelf = session.home / "Second Shelf"
    app.type_into("Folder", str(second_shelf))
    app.picture("copy")
    app.click("button", "Export Key")
    flows.answer(app)
    app.find("label", re.compile("^The key is in"), flows.WORK_SECS)
    assert names(second_shelf) == ["ownertrust.txt", "public.asc", "secret.asc"], names(second_shelf)
    app.click("button", "Close", within=app.find("dialog", "Keys"))
    app.wait_gone("dialog")
    session.run(["gpgconf", "--kill", "gpg-agent"])
    app.click("button", "Back Up Now")
    app.find("alert", "Passphrase Needed")
    app.find("label", re.compile("Grace Hopper"))
    flows.answer(app)
    flows.wait_for_backup(app, 2)
    newest = max((session.home / "Backup Drive").glob("*.manifest.gpg"), key=lambda path: path.stat().st_mtime)
    open_it = ["gpg", "--batch", "--pinentry-mode=loopback", f"--passphrase={flows.PASSPHRASE}"]
    said = session.run([*open_it, "--status-fd=1", "--decrypt", newest]).decode(errors="replace")
    assert re.search(r"GOODSIG \w+ Grace Hopper", said), said
    listed = session.run([*open_it, "--list-packets", newest], check=False).decode(errors="replace")
    assert "Mary Somerville" in session.run(["gpg", "--list-keys", re.search(r"keyid (\w+)", listed)[1]]).decode()
    complaints(app)
    app.close()
    return print_and_photograph(session, copy), shelf


def choose_files(app, session, folder):
    """All files of a folder, in GTK's file chooser."""
    app.click("button", "Choose Files…")
    chooser = app.find("dialog", "Choose the Files of a Key")
    session.press("ctrl+l")
    app.find("text", "", within=chooser).set_text(str(folder))
    app.click("button", "Open", within=chooser)
    app.find("table row", re.compile("ownertrust"), within=chooser).mouse_click()
    session.press("ctrl+a")
    app.picture("chooser")
    app.click("button", "Open", within=chooser)
    app.wait_gone("dialog", "Choose the Files of a Key")


def new_computer(session, program, photographs, shelf):
    """The paper, and the drive with the backup."""
    extra = flows.another_computer(session, "other")
    app = session.launch(program, extra=extra)
    app.click("button", "Restore From a Backup…")
    app.type_into("Folder", str(session.home / "Backup Drive"))
    app.picture("restore-from")
    app.click("button", "Import a Key…")
    app.click("button", "Import Key")
    app.find("label", "Choose a file, or type what is in the recovery kit.")
    app.type_into("File or Folder", str(photographs / "gone.jpg"))
    app.click("button", "Import Key")
    app.find("label", re.compile("^The key could not be read from there"))
    app.picture("import-gone")

    # One picture is not enough, and the page says what is missing.
    pages = sorted(photographs.iterdir())
    app.type_into("File or Folder", str(pages[0]))
    app.click("button", "Import Key")
    app.find("list item", re.compile("page-1"))
    app.picture("import-no-code")
    app.type_into("File or Folder", str(photographs))
    app.click("button", "Import Key")
    app.find("label", "The key of Ada Lovelace <ada@example.org> was imported.", flows.WORK_SECS)
    app.picture("imported")
    app.click("button", "Open Backup")

    # Newer snapshots are for another key, and the page leads to where it can be imported.
    app.find("label", "The secret key is not on this computer", flows.WORK_SECS)
    app.picture("key-missing")
    app.click("button", "Keys…")
    app.click("button", "Import a Key…")
    app.type_into("File or Folder", str(session.home / "Second Shelf"))
    app.click("button", "Import Key")
    app.find("label", re.compile("^The key of Mary Somerville was imported"), flows.WORK_SECS)
    app.click("button", "Close", within=app.find("dialog", "Keys"))
    app.wait_gone("dialog")
    app.click("button", "Try Again")
    flows.answer(app)
    app.find("table row", re.compile("."), flows.WORK_SECS)
    flows.restore(app, session.home / "Restored")
    expected, found = sample.look(session.home / "Documents"), sample.look(session.home / "Restored" / "Documents")
    assert not sample.differences(expected, found), sample.differences(expected, found)
    # What was made for the key on the paper opens as well.
    flows.older_snapshot(app)
    app.find("table row", "Letters")

    # The exported files once more, in the dialog.
    app.click("button", "Back")
    session.press("ctrl+k")
    app.find("list item", "Ada Lovelace")
    app.click("button", "Import a Key…")
    choose_files(app, session, shelf)
    app.find("label", "The key of Ada Lovelace <ada@example.org> was here already.")
    app.picture("keys-imported")
    flows.end_agent(session, extra)
    app.click("button", "Close", within=app.find("dialog", "Keys"))
    app.wait_gone("dialog")
    complaints(app)
    app.close()


def typed_lines(session, kit):
    """What a person types who has the paper and no camera."""
    text = session.run(["pdftotext", "-layout", kit, "-"]).decode()
    return [line.strip().lower() for line in text.splitlines() if line.count(":") == 2 and "/" in line]


def computer_without_camera(session, program, shelf):
    """The lines on the paper, typed."""
    (kit,) = shelf.glob("*.pdf")
    lines = typed_lines(session, kit)
    wrong = lines[3][:8] + ("b" if lines[3][8] != "b" else "c") + lines[3][9:]
    extra = flows.another_computer(session, "third")
    app = session.launch(program, extra=extra)
    app.click("button", "Restore From a Backup…")
    app.click("button", "Import a Key…")
    # With a slip in one line, and without the last.
    app.type_into("Codes or Lines", "\n".join([*lines[:3], wrong, *lines[4:-1]]))
    app.click("button", "Import Key")
    app.find("list item", "Typed lines")
    app.find("label", re.compile(f"slip in these lines: 4\nMissing: {len(lines)}$"))
    app.find("label", re.compile("^The key is not complete yet. Mend the lines"))
    app.picture("typed-slip")
    # What was right before is known.
    app.type_into("Codes or Lines", "")
    app.find("text", "Codes or Lines").bring(below=160).mouse_click()
    session.type(lines[3])
    session.press("Return")
    session.type(lines[-1])
    app.click("button", "Import Key")
    app.find("label", "The key of Ada Lovelace <ada@example.org> was imported.", flows.WORK_SECS)
    app.picture("typed")
    flows.end_agent(session, extra)
    complaints(app)


def complaints(app):
    if found := app.complaints():
        raise SystemExit("GTK complains: " + "; ".join(found))


def main(program):
    with Session(TOP / "target" / "keys") as session:
        photographs, shelf = first_computer(session, program)
        new_computer(session, program, photographs, shelf)
        computer_without_camera(session, program, shelf)


if __name__ == "__main__":
    main(*sys.argv[1:])
