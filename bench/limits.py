#!/usr/bin/env python3
"""What Souvenir needs for very many files and for a very large one: time, and the peak memory of the engine.

    limits.py [--files N] [--gigabytes N]

Two trees are backed up with a passphrase, backed up again, and restored: many small files, and one sparse
file with something in it here and there. The table is left in target/bench/limits.md.
"""

import argparse
import os
import pathlib
import random
import shutil

from bench import PASSPHRASE, TOP
from measure import measure

WORK = TOP / "target" / "limits"
PROGRAM = str(TOP / "target" / "release" / "souvenir-cli")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=200_000, help="small files in the first tree")
    parser.add_argument("--gigabytes", type=int, default=20, help="size of the file of the second")
    options = parser.parse_args()
    lines = ["| | step | s | peak memory, MB | with all its processes, MB |", "|---|---|---|---|---|"]
    for name, make in (
        (f"{options.files:,} files", lambda folder: _many(folder, options.files)),
        (f"a sparse file of {options.gigabytes} GB", lambda folder: _large(folder, options.gigabytes)),
    ):
        for step, result in _steps(make):
            figures = f"{result.wall_secs:.1f} | {result.main_peak_bytes / 1e6:.0f} | {result.all_peak_bytes / 1e6:.0f}"
            lines.append(f"| {name} | {step} | {figures} |")
            name = ""
    text = "\n".join(lines) + "\n"
    (TOP / "target" / "bench").mkdir(parents=True, exist_ok=True)
    (TOP / "target" / "bench" / "limits.md").write_text(text)
    print(text)


def _steps(make):
    shutil.rmtree(WORK, ignore_errors=True)
    source, store, target = WORK / "source", WORK / "store", WORK / "restored"
    source.mkdir(parents=True)
    make(source)
    secret = WORK / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(WORK / "home"), "XDG_CACHE_HOME": str(WORK / "cache")}
    (WORK / "home").mkdir()
    backup = [PROGRAM, "backup", source, store, "--passphrase-file", secret]
    with open(WORK / "log", "wb") as log:
        yield "first backup", measure(backup, environment, log)
        yield "nothing changed", measure(backup, environment, log)
        restore = [PROGRAM, "restore", store, target, "--passphrase-file", secret]
        yield "restore", measure(restore, environment, log)
    shutil.rmtree(WORK)


def _many(folder, count):
    rng = random.Random(1)
    for number in range(count):
        below = folder / f"{number % 97}" / f"{number % 1009}"
        if number < 97 * 1009:
            below.mkdir(parents=True, exist_ok=True)
        (below / f"file-{number}.txt").write_bytes(rng.randbytes(rng.randrange(600)))


def _large(folder, gigabytes):
    rng = random.Random(2)
    size = gigabytes * 10**9
    with open(folder / "image", "wb") as file:
        file.truncate(size)
        for _ in range(200):
            file.seek(rng.randrange(size - 10**6))
            file.write(rng.randbytes(10**6))


if __name__ == "__main__":
    pathlib.Path(WORK).parent.mkdir(parents=True, exist_ok=True)
    main()
