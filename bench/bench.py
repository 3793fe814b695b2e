#!/usr/bin/env python3
"""Compares Souvenir with duplicity, restic and borg, all encrypted: a first backup of 1 GB, one when nothing
and one when 2 % of the files have changed, a list, one file, and all of it restored.

    bench.py [--rounds N] [PROGRAM…]

All work on the same tree, made from a seed, on the same disk, one after another with the page cache
warm; caches and configuration are fresh for every round. Of several rounds the quickest counts.
Seconds depend on the machine and on what else it does; the ratios are what to look at.
"""

import argparse
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys

import tree
from measure import measure

TOP = pathlib.Path(__file__).resolve().parent.parent
WORK = TOP / "target" / "bench"
SOURCE = WORK / "tree"
PASSPHRASE = "correct horse battery staple"


class Program:
    """How one program is told to do it. `store` is where it writes, `target` where it restores to."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.store = folder / "store"
        self.target = folder / "restored"
        self.passphrase_file = folder / "passphrase"
        # Nothing is left over from another round, and nobody's own settings count.
        self.environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environment |= {
            "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PASSPHRASE": PASSPHRASE,
            "RESTIC_PASSWORD": PASSPHRASE,
            "BORG_PASSPHRASE": PASSPHRASE,
            "BORG_BASE_DIR": str(folder / "home"),
        }

    def version(self):
        raise NotImplementedError

    def prepare(self):
        """What is done once for a destination."""
        return []

    def backup(self, number):
        """The backup with this number; the first is 1."""
        raise NotImplementedError

    def list(self):
        """Prints everything in the newest backup."""
        raise NotImplementedError

    def restore(self):
        raise NotImplementedError

    def restore_one(self, path, target):
        """Restores one file, `path` relative to the source, into or as `target`, which does not exist."""
        raise NotImplementedError

    def restored(self):
        """Where the tree is after the restore."""
        return self.target


class Souvenir(Program):
    program = str(TOP / "target" / "release" / "souvenir-cli")

    def version(self):
        return [self.program, "--version"]

    def backup(self, number):
        return [self.program, "backup", SOURCE, self.store, "--passphrase-file", self.passphrase_file]

    def list(self):
        return [self.program, "list", self.store, "--passphrase-file", self.passphrase_file]

    def restore(self):
        return [self.program, "restore", self.store, self.target, "--passphrase-file", self.passphrase_file]

    def restore_one(self, path, target):
        return [self.program, "restore", "--path", path, self.store, target, "--passphrase-file", self.passphrase_file]


class Duplicity(Program):
    program = os.environ.get("SOUVENIR_TEST_DUPLICITY_NEWEST", "duplicity")

    def version(self):
        return [self.program, "--version"]

    def backup(self, number):
        return [self.program, "full" if number == 1 else "incremental", SOURCE, f"file://{self.store}"]

    def list(self):
        return [self.program, "list-current-files", f"file://{self.store}"]

    def restore(self):
        return [self.program, "restore", f"file://{self.store}", self.target]

    def restore_one(self, path, target):
        return [self.program, "restore", "--path-to-restore", path, f"file://{self.store}", target]


class Restic(Program):
    def version(self):
        return ["restic", "version"]

    def prepare(self):
        return ["restic", "--repo", self.store, "init"]

    def backup(self, number):
        return ["restic", "--repo", self.store, "backup", SOURCE]

    def list(self):
        return ["restic", "--repo", self.store, "ls", "--long", "latest"]

    def restore(self):
        return ["restic", "--repo", self.store, "restore", "latest", "--target", self.target]

    def restore_one(self, path, target):
        return ["restic", "--repo", self.store, "restore", "latest", "--include", SOURCE / path, "--target", target]

    def restored(self):
        return self.target / SOURCE.relative_to("/")


class Borg(Program):
    def version(self):
        return ["borg", "--version"]

    def prepare(self):
        return ["borg", "init", "--encryption", "repokey-blake2", self.store]

    newest = None

    def backup(self, number):
        self.newest = f"{self.store}::backup-{number}"
        return ["borg", "create", self.newest, SOURCE]

    def list(self):
        return ["borg", "list", self.newest]

    def restore(self):
        self.target.mkdir()
        return ["borg", "extract", self.newest]

    def restore_one(self, path, target):
        target.mkdir()
        return ["borg", "extract", self.newest, str(SOURCE / path).lstrip("/")]

    def restored(self):
        return self.target / SOURCE.relative_to("/")


PROGRAMS = {"souvenir": Souvenir, "duplicity": Duplicity, "restic": Restic, "borg": Borg}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often each is run")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    options = parser.parse_args()
    unknown = set(options.programs) - set(PROGRAMS)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are: {', '.join(PROGRAMS)}")

    print("making the tree", file=sys.stderr)
    WORK.mkdir(parents=True, exist_ok=True)
    files, size = tree.make(SOURCE)
    _warm_up()
    results = {}
    for number in range(options.rounds):
        for name in options.programs or PROGRAMS:
            print(f"round {number + 1}: {name}", file=sys.stderr)
            result = run(name)
            results[name] = best(results.get(name), result)
    text = report(results, files, size, options.rounds)
    (WORK / "result.md").write_text(text)
    print(text)


STEPS = {
    "first": "first backup, s",
    "unchanged": "nothing changed, s",
    "changed": "2 % changed, s",
    "list": "list, s",
    "one": "one file, s",
    "restore": "restore, s",
}


def run(name):
    """All steps with one program; what is restored is compared with the source."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    program = PROGRAMS[name](name, folder)
    program.store.mkdir()
    program.passphrase_file.write_text(PASSPHRASE + "\n")
    program.passphrase_file.chmod(0o600)
    one = folder / "one"
    result = {}
    with open(folder / "log", "wb") as log, tree.Change(SOURCE) as change:

        def step(step, command, folder=None):
            os.sync()
            result[step] = measure(command, program.environment, log, folder)

        version = subprocess.run(program.version(), env=program.environment, capture_output=True, text=True).stdout
        if command := program.prepare():
            measure(command, program.environment, log)
        step("first", program.backup(1))
        result["stored"] = _size(program.store)
        step("unchanged", program.backup(2))
        change.make()
        step("changed", program.backup(3))
        result["added"] = _size(program.store) - result["stored"]
        step("list", program.list())
        command = program.restore_one(change.small_file, one)
        step("one", command, one if one.exists() else None)
        command = program.restore()
        step("restore", command, program.target if program.target.exists() else None)
        differing = differences(SOURCE, program.restored())
    if differing:
        raise RuntimeError(f"{name} restored something else: {differing[:5]}")
    for used in ("store", "restored"):
        shutil.rmtree(folder / used)
    return result | {"version": version.split("\n")[0]}


def _size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def best(old, new):
    if old is None:
        return new
    for step in STEPS:
        if old[step].wall_secs < new[step].wall_secs:
            new[step] = old[step]
    return new


def differences(left, right):
    """Paths whose kind, content, mode or time is not the same."""
    found = []
    for folder, names, files in os.walk(left):
        other = right / pathlib.Path(folder).relative_to(left)
        if not other.is_dir() or sorted(os.listdir(other)) != sorted(names + files):
            found.append(str(other))
            continue
        for name in files:
            one, two = pathlib.Path(folder, name), other / name
            a, b = one.stat(), two.stat()
            same = (a.st_mode, a.st_size, int(a.st_mtime)) == (b.st_mode, b.st_size, int(b.st_mtime))
            if not same or not filecmp.cmp(one, two, shallow=False):
                found.append(str(two))
    return found


def _warm_up():
    for path in SOURCE.rglob("*"):
        if path.is_file():
            path.read_bytes()


def report(results, files, size, rounds):
    first = next(iter(results.values()))
    names = [*STEPS.values(), "peak memory of the first backup, MB", "with all its processes, MB"]
    names += ["peak memory of the restore, MB", "stored, MB", "added by the changes, MB"]
    lines = [
        f"{size / 1e6:,.0f} MB in {files:,} files, a third of the bytes incompressible; {os.cpu_count()} cores; "
        f"best of {rounds}. In brackets: how many times as much as the first line.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for result in results.values():
        cells = [cell(result[step].wall_secs, first[step].wall_secs, 1) for step in STEPS]
        for value, digits in (
            (lambda of: of["first"].main_peak_bytes, 0),
            (lambda of: of["first"].all_peak_bytes, 0),
            (lambda of: of["restore"].main_peak_bytes, 0),
            (lambda of: of["stored"], 0),
            (lambda of: of["added"], 1),
        ):
            cells.append(cell(value(result) / 1e6, value(first) / 1e6, digits))
        lines.append(f"| {result['version']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(value, base, digits):
    ratio = "" if value == base or not base else f" (×{value / base:.2g})"
    return f"{value:,.{digits}f}{ratio}"


if __name__ == "__main__":
    main()
