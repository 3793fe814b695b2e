"""What people do with Souvenir, in the words of its window. The tour and the pictures are made of these."""

import re
import time

import sample
from session import wait

APPLICATION_ID = "io.github.souvenir_backup.Souvenir"
PASSPHRASE = "four slow snails singing"
# Work on files takes longer than drawing, on a slow machine much longer.
WORK_SECS = 120
EVERY = ["Never", "Every hour", "Every day", "Every week", "Every month"]


def choose_folder(app, destination):
    """On the destination page: a folder."""
    app.type_into("Folder", str(destination))
    app.click("button", "Test")
    app.find("list item", "The folder will be made")


def set_up(app, folder, destination, seen=lambda name: None, remember=True, choose=choose_folder, copy=None):
    """The assistant, from the welcome page to the first backup, with a new key that also signs. `choose` fills
    in the destination page; `copy` is where the copy of the key goes."""
    app.click("button", "Set Up a Backup…")
    app.find("button", "Continue")
    seen("folders")
    app.click("button", "Do Not Back Up Home")
    app.type_into("Add a Folder", str(folder))
    app.click("button", "Continue")
    choose(app, destination)
    seen("destination")
    app.click("button", "Continue")
    app.click("button", "Create a Key…")
    app.type_into("Name", "Ada Lovelace")
    app.type_into("E-Mail", "ada@example.org")
    app.type_into("New Passphrase", PASSPHRASE)
    app.type_into("Repeat Passphrase", PASSPHRASE)
    if remember:
        app.find("check box", "Remember Passphrase").bring().click()
    seen("new-key")
    app.click("button", "Use This Key")
    app.find("list item", "Ada Lovelace")
    app.find("check box", "Sign the Backup").bring().click()
    seen("protection")
    app.click("button", "Continue")
    keep_key(app, copy or folder.parent / "Copy of the Key", seen)
    schedule(app, seen=seen)
    app.find("button", "Later")
    seen("summary")
    app.click("button", "Back Up Now")
    wait_for_backup(app, 1)


def without_protection(app, folder, destination, choose=choose_folder):
    """The assistant, from its first page to that of the schedule, for a backup that everybody can read."""
    app.click("button", "Do Not Back Up Home")
    app.type_into("Add a Folder", str(folder))
    app.click("button", "Continue")
    choose(app, destination)
    app.click("button", "Continue")
    app.click("radio button", re.compile("Not at All"))
    app.wait_gone("button", "Create a Key…")
    app.click("button", "Continue")


def choose_passphrase(app, passphrase, remember=False):
    """On the page of the protection: a passphrase of its own."""
    app.click("radio button", re.compile("With a Passphrase"))
    app.type_into("New Passphrase", passphrase)
    app.type_into("Repeat Passphrase", passphrase)
    if remember:
        app.find("check box", "Remember Passphrase").bring().click()
    app.click("button", "Continue")


def keep_key(app, copy, seen=lambda name: None):
    """On the page after a key: a copy of it. Without one there is no way on that is taken by accident."""
    app.find("label", "Lose this key and you lose every backup")
    app.click("button", "Continue")
    app.find("label", "Choose a folder for the copy, or go on without one.")
    app.type_into("Folder for the Copy", str(copy))
    seen("keep-key")
    app.click("button", "Continue")


def choose_item(app, row, item):
    """Chooses an item of a row that has several."""
    app.find("combo box", row).bring(below=150).click()
    # The items of the list have no names; what they hold has.
    label = app.find("label", item)
    time.sleep(0.3)
    label.mouse_click()


def choose_every(app, every):
    """On the page of the schedule, by keyboard: how often."""
    app.find("combo box", "How Often").click()
    app.find("label", every)
    app.session.press("Home", *["Down"] * EVERY.index(every), "Return")
    if every == "Never":
        app.wait_gone("check box", "Catch Up")
    else:
        app.find("check box", "Catch Up")


def schedule(app, every="Never", seen=lambda name: None):
    """On the page after the protection: how often it is backed up by itself. Most tests want no surprises."""
    app.find("combo box", "How Often")
    seen("schedule")
    choose_every(app, every)
    app.click("button", "Continue")


def answer(app, passphrase=PASSPHRASE):
    """Types the passphrase that is asked for."""
    app.find("alert", "Passphrase Needed")
    app.type_into("Passphrase", passphrase)
    app.click("button", "Unlock")
    app.wait_gone("alert")


def change_plan(session, *changes):
    """Changes the file of the plans as a text editor does."""
    path = session.home / ".config/souvenir/plans.toml"
    text = path.read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count == 1, (pattern, text)
    path.write_text(text)


def back_up(app, count):
    """Another backup of the only plan; `count` is the number of snapshots then."""
    app.click("button", "Back Up Now")
    wait_for_backup(app, count)


def wait_for_backup(app, count, patience=WORK_SECS):
    app.find("label", re.compile(rf" in {count} snapshots?$"), patience)
    app.find(text=re.compile("^Backed up"), patience=WORK_SECS)
    app.find("button", "Browse and Restore")
    # Nobody writes to what the tests back up.
    assert not app.has("label", re.compile(" needs? attention$")), app.histories()


def browse(app):
    app.click("button", "Browse and Restore")
    app.find("table row", re.compile("."), WORK_SECS)


def older_snapshot(app):
    """Does not wait for what the snapshot holds."""
    date = re.compile("^Snapshot of ")
    before = app.find("toggle button", date).english_name
    app.click("button", "Older Snapshot")
    # Within a quarter of a second GTK takes a second activation of a button for the same.
    app.find("toggle button", re.compile(f"^Snapshot of (?!{re.escape(before.removeprefix('Snapshot of '))}$)"))


def restore(app, target, seen=lambda name: None):
    """Restores all of the snapshot that is shown into a folder; gives what the window says then."""
    app.click("button", "Restore…")
    app.type_into("Folder", str(target))
    # What it costs is known of every kind of place, also of one that wants a secret.
    app.find("label", re.compile(r"^\d+ stored volumes? with"))
    seen("restore")
    app.click("button", "Restore")
    app.find("label", "Restored", WORK_SECS)
    said = app.find("label", re.compile(r"^[\d,.]+ items?, ")).name
    seen("restored")
    app.click("button", "Close", within=app.find("dialog"))
    app.wait_gone("dialog", "Restore")
    return said


def restore_older_version(app, target, name, expected):
    """In the browser: the oldest version of one file of the folder that is shown, into another folder."""
    app.find("table row", name).mouse_click()
    rows = wait(lambda: app.find_all("list item", within=app.find("list", "Versions"))[1:], "older versions")
    rows[-1].mouse_click()
    wait(lambda: rows[-1].has_state("selected"), "the oldest version to be selected")
    app.click("button", "Restore This Version…")
    app.type_into("Folder", str(target))
    app.find("label", re.compile("^1 stored volume with "))
    app.click("button", "Restore", within=app.find("dialog", "Restore"))
    app.find("label", "Restored", WORK_SECS)
    app.click("button", "Close", within=app.find("dialog"))
    app.wait_gone("dialog", "Restore")
    assert (target / name).read_text() == expected, (target / name).read_text()


def another_computer(session, name):
    """The environment of one that knows nothing yet: no keys, no plans, no servers, no passwords."""
    other = session.folder / name
    folders = {"GNUPGHOME": "gnupg", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"}
    for folder in folders.values():
        (other / folder).mkdir(mode=0o700, parents=True)
    session.run(["secret-tool", "clear", "application", APPLICATION_ID], check=False)
    # The file chooser would look for the drives of a system that has none.
    return {"GIO_USE_VOLUME_MONITOR": "unix", "HOME": str(other)} | {
        variable: str(other / folder) for variable, folder in folders.items()
    }


def end_agent(session, extra):
    session.run(["env", f"GNUPGHOME={extra['GNUPGHOME']}", "gpgconf", "--kill", "all"])


def restore_on_another_computer(session, program, fill_in, sign_in):
    """The old one is gone: what is left are the copy of the key, and who may sign in to the place. `fill_in` says
    where the place is, and `sign_in` answers what it asks."""
    extra = another_computer(session, "other")
    app = session.launch(program, extra=extra)
    app.click("button", "Restore From a Backup…")
    fill_in(app)
    # The button at the bottom lies over what is below.
    app.find("button", "Import a Key…").bring(below=190).click()
    app.type_into("File or Folder", str(session.home / "Copy of the Key"))
    app.click("button", "Import Key")
    app.find("label", "The key of Ada Lovelace <ada@example.org> was imported.", WORK_SECS)
    app.click("button", "Open Backup")
    sign_in(app)
    answer(app)
    app.find("table row", re.compile("."), WORK_SECS)
    app.picture("other-computer")
    restore(app, session.home / "On Another Computer")
    found = sample.look(session.home / "On Another Computer" / "Documents")
    assert not (differing := sample.differences(sample.look(session.home / "Documents"), found)), differing
    end_agent(session, extra)
    if complaints := app.complaints():
        raise SystemExit("GTK complains: " + "; ".join(complaints))
    app.close()


def back_up_on_two_days(session, program, destination, choose):
    """A first backup to a place that wants to know who comes, with pictures. What was answered was to be remembered,
    so another day nothing is asked; and what is restored then is what there is. Gives the application, which shows
    the browser."""
    documents = sample.make(session.home / "Documents")
    app = session.launch(program)
    app.find("button")
    set_up(app, documents, destination, app.picture, choose=choose)
    app.picture("overview")
    app.close()

    sample.change(documents)
    app = session.launch(program)
    app.find("button")
    back_up(app, 2)
    browse(app)
    app.picture("browser")
    restore(app, session.home / "Restored")
    differing = sample.differences(sample.look(documents), sample.look(session.home / "Restored" / "Documents"))
    assert not differing, differing
    restore_older_version(app, session.home / "Older", "Poem.txt", "Was bleibt aber, stiften die Dichter.\n")
    if complaints := app.complaints():
        raise SystemExit("GTK complains: " + "; ".join(complaints))
    return app


def lose_the_line(session, app, line):
    """After that, a third backup whose line is cut while it stores: it goes on once the line is back, and all of it is
    there."""
    documents = session.home / "Documents"
    (documents / "Film.mkv").write_bytes(sample.random.Random(1).randbytes(150_000_000))
    app.click("button", "Back")
    carried = line.carried
    app.click("button", "Back Up Now")
    wait(lambda: line.carried > carried + 20_000_000, "the first volumes", WORK_SECS)
    line.cut(True)
    app.find("label", "Connection Lost, Trying Again")
    app.picture("connection-lost")
    time.sleep(3)
    assert app.has("button", "Pause"), "the backup has given up"
    line.cut(False)
    wait_for_backup(app, 3)
    browse(app)
    long = re.compile("That takes less than a minute|Judged by earlier runs that takes about")
    restore(app, session.home / "Third", lambda name: name == "restored" or app.find("label", long))
    differing = sample.differences(sample.look(documents), sample.look(session.home / "Third" / "Documents"))
    assert not differing, differing
