#!/usr/bin/env python3
"""What every kind of work shows and obeys: how fast it goes, how long it will take, a pause, going on, a stop. And what
else holds while it runs: the session does not end, a closed window does not end it, a second start brings the
window back.

    jobs.py PROGRAM [wide|narrow] [dark]

The destination is made slow by the limits of the plan.
"""

import pathlib
import re
import shutil
import sys
import time

import flows
import sample
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
DAY_SECS = 86_400
UNLINK_MSEC = 200
FILES, FILE_BYTES = 8, 4_000_000
LOGOUT, SUSPEND = 1, 4
# “3 of 8 files · 12.3 MB of 32.0 MB · 4.1 MB/s · a few seconds left”
FULL_FIGURES = re.compile(r" of .*/s · .* left$")


def limit(session, upload_kib, download_kib):
    """Holds transfers of the only plan back."""
    path = session.home / ".config/souvenir/plans.toml"
    lines = [line for line in path.read_text().splitlines() if not re.match("(up|down)load_limit", line)]
    at = next(number for number, line in enumerate(lines) if line.startswith("name = "))
    lines[at + 1 : at + 1] = [f"upload_limit = {upload_kib}", f"download_limit = {download_kib}"]
    path.write_text("\n".join(lines) + "\n")


def start_session_manager(session):
    """GNOME's own, with nothing to start."""
    sessions = session.home / ".config/gnome-session/sessions"
    sessions.mkdir(parents=True)
    (sessions / "test.session").write_text("[GNOME Session]\nName=Test\nRequiredComponents=\n")
    nothing = session.folder / "autostart"
    nothing.mkdir()
    command = ["/usr/libexec/gnome-session-binary", "--session=test", "--disable-acceleration-check"]
    command += [f"--autostart={nothing}", "--failsafe"]
    session.spawn(command, extra={"XDG_SESSION_TYPE": "x11"}, log="gnome-session.log")
    wait(lambda: is_inhibited(session, SUSPEND) is not None, "the session manager")


def is_inhibited(session, what):
    """Whether something must not happen now; none if nobody knows."""
    address = ["--dest", "org.gnome.SessionManager", "--object-path", "/org/gnome/SessionManager"]
    method = ["--method", "org.gnome.SessionManager.IsInhibited", str(what)]
    answer = session.run(["gdbus", "call", "--session", *address, *method], check=False)
    return {b"(true,)\n": True, b"(false,)\n": False}.get(answer)


def figures(app):
    """What is done, of how much, how fast, how long: all of it."""
    return app.find("label", FULL_FIGURES, flows.WORK_SECS).name


def hold(app, rate_kib, seen):
    """A transfer goes at the rate that it may have, stands still while it is paused, and goes on."""
    shown = figures(app)
    number, unit = re.search(r"([\d.]+) (k?M?B)/s", shown.replace("\xa0", " ")).groups()
    rate = float(number) * {"B": 1, "kB": 1_000, "MB": 1_000_000}[unit]
    # A folder is read twice, so half of the rate is seen.
    assert 0.3 < rate / (rate_kib * 1024) < 1.5, shown
    pause(app, seen)


def pause(app, seen):
    """A job stands still while it is paused, and goes on."""
    app.click("button", "Pause")
    app.find("label", "Paused")
    app.wait_gone("label", FULL_FIGURES)
    still = app.find("label", re.compile(r"^[\d,.].* of ")).name
    time.sleep(1.5)
    assert app.find("label", re.compile(r"^[\d,.].* of ")).name == still, still
    seen()
    app.click("button", "Continue")
    app.wait_gone("label", "Paused")
    figures(app)


def stop(app):
    app.click("button", "Stop")


def add_old_chains(session, program, films):
    """Two chains of many small volumes, of a time long ago."""
    command_line = pathlib.Path(program).resolve().with_name("souvenir-cli")
    store = session.home / "Older"
    for days in (90, 60):
        when = str(int(time.time()) - days * DAY_SECS)
        command = [command_line, "backup", "--full", "--no-encryption", "--volume-size", "1", "--current-time", when]
        session.run([*command, films, store])
    for path in store.iterdir():
        shutil.copy(path, session.home / "Drive")


def slow_down_deleting(session, app):
    """As on a server that is far away."""
    calls = "unlink,unlinkat"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(app.process.pid), "-e", f"trace={calls}"]
    return session.spawn([*command, "-e", f"inject={calls}:delay_enter={UNLINK_MSEC}ms"])


def main(program, width="wide", shade="light"):
    with Session(TOP / "target" / "jobs" / f"{width}-{shade}") as session:
        start_session_manager(session)
        films = session.home / "Films"
        films.mkdir()
        for number in range(FILES):
            (films / f"{number}.mkv").write_bytes(sample.random.Random(number).randbytes(FILE_BYTES))
        app = session.launch(program, dark=shade == "dark")
        app.click("button", "Set Up a Backup…")
        flows.without_protection(app, films, session.home / "Drive")
        flows.schedule(app)
        app.click("button", "Later")
        app.wait_gone("dialog")
        app.close()
        number = iter(range(1, 100))

        def start(upload_kib, download_kib):
            limit(session, upload_kib, download_kib)
            app = session.launch(program, dark=shade == "dark")
            app.find("button", "Back Up Now")
            app.resize(*((1000, 760) if width == "wide" else (360, 760)))
            return app, lambda name: app.picture(f"{next(number):02}-{name}")

        # A backup is held, is stopped, and goes on where it was.
        app, seen = start(3_000, 3_000)
        assert not is_inhibited(session, LOGOUT | SUSPEND)
        app.click("button", "Back Up Now")
        hold(app, 3_000, lambda: seen("backup"))
        assert is_inhibited(session, SUSPEND) and is_inhibited(session, LOGOUT)
        stop(app)
        app.find(text=re.compile("^Stopped"), patience=flows.WORK_SECS)
        wait(lambda: not is_inhibited(session, LOGOUT | SUSPEND), "the end of what was inhibited")

        # Closing the window does not stop it, and another start shows it again.
        app.click("button", "Back Up Now")
        figures(app)
        session.press("alt+F4")
        wait(lambda: not app.root.get_child_count(), "the end of the window")
        assert app.process.poll() is None
        second = session.spawn([pathlib.Path(program).resolve()])
        assert second.wait(20) == 0
        app.find("button", "Pause")
        # It is in front of another window.
        above = session.spawn(["xmessage", "-center", "something else"])
        wait(lambda: session.run(["xdotool", "search", "--name", "xmessage"], check=False), "another window")
        active = lambda: session.run(["xdotool", "getactivewindow"], check=False).decode().strip()  # noqa: E731
        assert active() != app.window_id()
        assert session.spawn([pathlib.Path(program).resolve()]).wait(20) == 0
        wait(lambda: active() == app.window_id(), "the window in front")
        above.terminate()
        flows.wait_for_backup(app, 1)
        wait(lambda: not is_inhibited(session, LOGOUT | SUSPEND), "the end of what was inhibited")

        # Checks read the destination.
        app.find("button", "Verify…").bring().click()
        app.click("button", "Newest Snapshot", within=app.find("alert", "Verify the Backup"))
        hold(app, 3_000, lambda: seen("verify"))
        stop(app)
        app.find(text=re.compile("^Backed up"), patience=flows.WORK_SECS)
        app.find("button", "Test a Restore…").bring().click()
        app.click("button", "Test", within=app.find("alert", "Test a Restore"))
        hold(app, 3_000, lambda: seen("drill"))
        app.find("label", re.compile(f"^{FILES} files restored and equal"), flows.WORK_SECS)

        # So does a restore.
        flows.browse(app)
        app.click("button", "Restore…")
        app.type_into("Folder", str(session.home / "Restored"))
        app.click("button", "Restore")
        hold(app, 3_000, lambda: seen("restore"))
        assert is_inhibited(session, SUSPEND) and is_inhibited(session, LOGOUT)
        app.find("label", "Restored", flows.WORK_SECS)
        app.click("button", "Close", within=app.find("dialog"))
        app.wait_gone("dialog", "Restore")
        differing = sample.differences(sample.look(films), sample.look(session.home / "Restored" / "Films"))
        assert not differing, differing
        app.close()

        # The catalogue is made anew from the signatures, which are small.
        shutil.rmtree(session.home / ".cache/souvenir")
        app, seen = start(3_000, 24)
        app.click("button", "Browse and Restore")
        hold(app, 24, lambda: seen("catalogue"))
        stop(app)
        app.find(text="The snapshots were not opened")
        seen("not-opened")
        app.click("button", "Try Again")
        app.find("table row", re.compile("."), flows.WORK_SECS)
        app.close()

        # Old snapshots are deleted after a backup.
        add_old_chains(session, program, films)
        app, seen = start(100_000, 100_000)
        app.find("list item", "Keep").bring().click()
        flows.choose_item(app, "Snapshots", "For some time")
        app.find("spin button", "Days").accessible.get_value_iface().set_current_value(30)
        app.find("list item", re.compile("^2 of 3 snapshots are deleted"))
        app.click("button", "Save")
        app.wait_gone("dialog", "Plan Settings")
        slowly = slow_down_deleting(session, app)
        app.click("button", "Back Up Now")
        shown = app.find("label", re.compile(r"^\d+ of \d+ files · .* · \d+ files?/s · .* left$"), flows.WORK_SECS).name
        assert 0.3 < int(re.search(r"(\d+) files?/s", shown)[1]) * UNLINK_MSEC / 1_000 < 1.5, shown
        pause(app, lambda: seen("removal"))
        slowly.terminate()
        flows.wait_for_backup(app, 2)
        assert len(list((session.home / "Drive").glob("*.manifest"))) == 2
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
