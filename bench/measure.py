"""Runs a command and says how long it took and how much memory it needed."""

import ctypes
import dataclasses
import os
import pathlib
import subprocess
import time

PAUSE_SECS = 0.02
PR_SET_CHILD_SUBREAPER = 36


@dataclasses.dataclass
class Measure:
    wall_secs: float
    main_peak_bytes: int
    """The largest resident set of the process that was started."""
    all_peak_bytes: int
    """The largest sum over it and all it started, shared pages counted once for each."""


def measure(command, environment, log, folder=None):
    """Runs it to its end; it must succeed."""
    # Whatever it starts stays below this process, also what is handed over to the system, as gpgme does
    # with every gpg: else such helpers would not be counted.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)
    main_peak = all_peak = 0
    while process.poll() is None:
        main, everything = _memory(process.pid)
        main_peak, all_peak = max(main_peak, main), max(all_peak, everything)
        time.sleep(PAUSE_SECS)
    wall = time.monotonic() - started
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}; its output is in {log.name}")
    return Measure(wall, main_peak, max(all_peak, main_peak))


def _memory(pid):
    """The peak so far of one process, and the present sum of all that are below this one."""
    parents, resident = {}, {}
    own_peak = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            status = pathlib.Path(entry.path, "status").read_text()
        except OSError:
            continue
        values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        number = int(entry.name)
        parents[number] = int(values["PPid"])
        resident[number] = _kilobytes(values.get("VmRSS"))
        if number == pid:
            own_peak = _kilobytes(values.get("VmHWM"))
    todo, total = [os.getpid()], 0
    while todo:
        parent = todo.pop()
        children = [child for child, its in parents.items() if its == parent]
        total += sum(resident[child] for child in children)
        todo += children
    return own_peak, total


def _kilobytes(field):
    return int(field.split()[0]) * 1024 if field else 0
