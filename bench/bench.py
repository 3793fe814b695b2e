#!/usr/bin/env python3
"""Compares Souvenir with duplicity, restic and borg: a backup of 1 GB and its restore, all encrypted.

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

    def backup(self):
        raise NotImplementedError

    def restore(self):
        raise NotImplementedError

    def restored(self):
        """Where the tree is after the restore."""
        return self.target


class Souvenir(Program):
    program = str(TOP / "target" / "release" / "souvenir-cli")

    def version(self):
        return [self.program, "--version"]

    def backup(self):
        return [self.program, "backup", "--full", SOURCE, self.store, "--passphrase-file", self.passphrase_file]

    def restore(self):
        return [self.program, "restore", self.store, self.target, "--passphrase-file", self.passphrase_file]


class Duplicity(Program):
    program = os.environ.get("SOUVENIR_TEST_DUPLICITY_NEWEST", "duplicity")

    def version(self):
        return [self.program, "--version"]

    def backup(self):
        return [self.program, "full", SOURCE, f"file://{self.store}"]

    def restore(self):
        return [self.program, "restore", f"file://{self.store}", self.target]


class Restic(Program):
    def version(self):
        return ["restic", "version"]

    def prepare(self):
        return ["restic", "--repo", self.store, "init"]

    def backup(self):
        return ["restic", "--repo", self.store, "backup", SOURCE]

    def restore(self):
        return ["restic", "--repo", self.store, "restore", "latest", "--target", self.target]

    def restored(self):
        return self.target / SOURCE.relative_to("/")


class Borg(Program):
    def version(self):
        return ["borg", "--version"]

    def prepare(self):
        return ["borg", "init", "--encryption", "repokey-blake2", self.store]

    def backup(self):
        return ["borg", "create", f"{self.store}::first", SOURCE]

    def restore(self):
        self.target.mkdir()
        return ["borg", "extract", f"{self.store}::first"]

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


def run(name):
    """One backup and one restore; the result is compared with the source."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    program = PROGRAMS[name](name, folder)
    program.store.mkdir()
    program.passphrase_file.write_text(PASSPHRASE + "\n")
    program.passphrase_file.chmod(0o600)
    with open(folder / "log", "wb") as log:
        version = subprocess.run(program.version(), env=program.environment, capture_output=True, text=True).stdout
        if command := program.prepare():
            measure(command, program.environment, log)
        os.sync()
        backup = measure(program.backup(), program.environment, log)
        os.sync()
        command = program.restore()
        restore = measure(command, program.environment, log, program.target if program.target.exists() else None)
    stored = sum(path.stat().st_size for path in program.store.rglob("*") if path.is_file())
    differing = differences(SOURCE, program.restored())
    if differing:
        raise RuntimeError(f"{name} restored something else: {differing[:5]}")
    shutil.rmtree(folder / "store")
    shutil.rmtree(folder / "restored")
    return {"version": version.split("\n")[0], "backup": backup, "restore": restore, "stored": stored}


def best(old, new):
    if old is None:
        return new
    for verb in ("backup", "restore"):
        if old[verb].wall_secs < new[verb].wall_secs:
            new[verb] = old[verb]
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
    lines = [
        f"{size / 1e6:,.0f} MB in {files:,} files, a third of the bytes incompressible; {os.cpu_count()} cores; "
        f"best of {rounds}. In brackets: how many times as much as the first line.",
        "",
        "| | backup, s | restore, s | peak memory of the backup, MB | with all its processes, MB "
        "| peak memory of the restore, MB | stored, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        cells = [
            cell(result["backup"].wall_secs, first["backup"].wall_secs, 1),
            cell(result["restore"].wall_secs, first["restore"].wall_secs, 1),
            cell(result["backup"].main_peak_bytes / 1e6, first["backup"].main_peak_bytes / 1e6, 0),
            cell(result["backup"].all_peak_bytes / 1e6, first["backup"].all_peak_bytes / 1e6, 0),
            cell(result["restore"].main_peak_bytes / 1e6, first["restore"].main_peak_bytes / 1e6, 0),
            cell(result["stored"] / 1e6, first["stored"] / 1e6, 0),
        ]
        lines.append(f"| {result['version']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(value, base, digits):
    ratio = "" if value == base or not base else f" (×{value / base:.2g})"
    return f"{value:,.{digits}f}{ratio}"


if __name__ == "__main__":
    main()
