"""A folder such as people have, changed as people change theirs, and a comparison that misses nothing."""

import os
import pathlib
import random
import stat

EPOCH = 1_760_000_000


def make(folder):
    """Documents of several kinds, the same ones every time."""
    rng = random.Random(7)
    folder = pathlib.Path(folder)
    letters = folder / "Letters"
    photos = folder / "Photos" / "Summer in Århus"
    for path in (letters, photos, folder / "Empty Folder"):
        path.mkdir(parents=True)
    (folder / "Budget.csv").write_text("".join(f"{month};{rng.randrange(3000)}\n" for month in range(1, 400)))
    (folder / "Poem.txt").write_text("Was bleibt aber, stiften die Dichter.\n")
    (folder / "Empty.txt").write_text("")
    (letters / "To Grandmother.txt").write_text("Dear Grandmother,\n" + "thank you for the socks. " * 900)
    (letters / "Réponse – für dich.txt").write_text("Ünïcödé\n")
    (letters / "Private.txt").write_text("nobody else's business\n")
    (letters / "Private.txt").chmod(0o600)
    for number in range(1, 7):
        (photos / f"IMG_{number:04}.jpg").write_bytes(rng.randbytes(700_000))
    (folder / "Latest Letter").symlink_to("Letters/To Grandmother.txt")
    script = folder / "tidy.sh"
    script.write_text("#!/bin/sh\necho tidy\n")
    script.chmod(0o755)
    with open(folder / "Disk Image.img", "wb") as image:
        image.write(b"start")
        image.seek(5_000_000)
        image.write(b"end")
    _date(folder)
    return folder


def change(folder):
    """A day's work: new, changed, deleted and renamed files. Says in words what was done."""
    folder = pathlib.Path(folder)
    (folder / "Poem.txt").write_text("Komm! ins Offene, Freund!\n")
    with open(folder / "Letters" / "To Grandmother.txt", "a") as letter:
        letter.write("\nP.S. And for the cake.\n")
    (folder / "Budget.csv").unlink()
    (folder / "New Idea.md").write_text("# An idea\n")
    photos = folder / "Photos" / "Summer in Århus"
    (photos / "IMG_0001.jpg").rename(photos / "Harbour.jpg")
    _date(folder, 86_400)
    return "1 file new, 2 changed, 1 deleted, 1 renamed"


def look(folder):
    """Everything about everything in a folder that a restore must bring back."""
    found = {}
    for parent, names, files in os.walk(folder):
        for name in [".", *files, *(name for name in names if os.path.islink(os.path.join(parent, name)))]:
            path = pathlib.Path(parent, name)
            status = path.lstat()
            facts = [stat.filemode(status.st_mode), int(status.st_mtime)]
            if path.is_symlink():
                facts = [os.readlink(path)]
            elif path.is_file():
                facts += [path.read_bytes()]
            found[str(path.relative_to(folder))] = facts
    return found


def differences(expected, found):
    """The paths in which two looks differ."""
    return sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))


def _date(folder, shift=0):
    """Times in the past, to the second: a restore must set them, and every run sees the same ones."""
    paths = sorted(folder.rglob("*"), reverse=True)
    for number, path in enumerate([*paths, folder]):
        os.utime(path, (EPOCH, EPOCH + shift - number * 1_000), follow_symlinks=False)
