"""What happens by itself: a schedule in the assistant, the monitor, a run at its time, in the window and without it; on battery
it waits and says so once; and a failure leads to its explanation.

    schedule.py PROGRAM [wide|narrow] [light|dark]
"""

import datetime
import json
import pathlib
import re
import sys
import time

import flows
import sample
from session import Session, wait

TOP = pathlib.Path(__file__).resolve().parents[2]
# A minute until the time that is set, and a slow machine.
LONG_SECS = 240


def runs(session):
    """The runs of the only plan, once it has a history."""
    files = list((session.home / ".local/share/souvenir/history").glob("*.jsonl"))
    return [json.loads(line) for line in files[0].read_text().splitlines()] if files else []


def processes(session, name):
    """The processes of this session that run this program."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if pathlib.Path(words[0].decode()).name == name and f"HOME={session.home}\0".encode() in environment:
            found.append(int(entry.name))
    return found


def set_spin(app, name, value):
    spin = app.find("spin button", name).bring()
    spin.accessible.get_value_iface().set_current_value(value)


def forget_runs(history, earlier):
    """Leaves only an early run, so that the next one is due. The monitor looks first for what the last one left
    behind; without a trace it would let the plan rest."""
    time.sleep(2)
    history.write_text(json.dumps(earlier) + "\n")


def main(program, width="wide", shade="light"):
    size = (1100, 800) if width == "wide" else (360, 760)
    with Session(TOP / "target" / "schedule" / f"{width}-{shade}") as session:
        number = iter(range(1, 100))
        services = TOP / "tests/window/services.py"
        power, shown = session.home / "power", session.home / "shown"
        power.write_text('{"OnBattery": false}')
        # The system's bus of this session.
        session.environment["DBUS_SYSTEM_BUS_ADDRESS"] = session.environment["DBUS_SESSION_BUS_ADDRESS"]
        session.spawn(["/usr/bin/python3", services, "power", power])
        session.take_notifications(shown)
        documents = sample.make(session.home / "Documents")
        store = session.home / "Backup Drive"
        app = None

        def seen(name):
            app.picture(f"{next(number):02}-{name}")

        def notes():
            return [json.loads(line) for line in shown.read_text().splitlines()] if shown.exists() else []

        def start():
            # One that says something, or writes its history, would show the window itself.
            wait(lambda: not processes(session, "souvenir"), "the end of the program")
            # What the monitor sees and does stands in the log, too.
            app = session.launch(program, dark=shade == "dark", extra={"SOUVENIR_LOG": "info", "NO_COLOR": "1"})
            app.find("button")
            app.resize(*size)
            return app

        app = start()
        app.click("button", "Set Up a Backup…")
        flows.without_protection(app, documents, store)
        app.find("combo box", "How Often")
        seen("daily")
        flows.choose_every(app, "Every month")
        app.find("list item", "Day of the Month")
        seen("monthly")
        flows.choose_every(app, "Every week")
        app.find("combo box", "Day of the Week")
        flows.choose_every(app, "Every hour")
        app.wait_gone("spin button", "Hour")
        # The next minute but one, so that it is still to come when the plan is saved.
        due = datetime.datetime.now() + datetime.timedelta(seconds=70)
        due = due.replace(second=0) + datetime.timedelta(minutes=1 if due.second > 50 else 0)
        set_spin(app, "Minute", due.minute)
        seen("hourly")
        app.click("button", "Continue")
        app.find("list item", "Schedule")
        seen("summary")
        app.click("button", "Later")
        app.find(text=re.compile(r"^Next: (today|tomorrow) at \d\d:\d\d$"))
        seen("next")
        wait(lambda: processes(session, "souvenir-monitor"), "the monitor")
        autostart = session.home / ".config/autostart/io.github.souvenir_backup.Souvenir.Monitor.desktop"
        assert f'Exec="{pathlib.Path(program).resolve().with_name("souvenir-monitor")}"' in autostart.read_text()

        # The time comes, and it is backed up before the eyes of whoever looks.
        flows.wait_for_backup(app, 1, LONG_SECS)
        wait(lambda: len(runs(session)) == 1, "the history")
        (run,) = runs(session)
        assert run["automatic"] and run["outcome"]["kind"] == "finished", run
        assert datetime.datetime.fromtimestamp(run["started_secs"]) >= due.replace(microsecond=0)
        app.find(text=re.compile("^Next: "))
        seen("made")

        # What the command line runs shows here, too.
        cli = pathlib.Path(program).resolve().with_name("souvenir-cli")
        session.run([cli, "plan", "run", "Documents"])
        flows.wait_for_backup(app, 2)
        # A notification leads back to the window.
        session.run(["xdotool", "windowminimize", app.window_id()])
        plan_id = re.search('id = "(.*)"', (session.home / ".config/souvenir/plans.toml").read_text())[1]
        session.run([pathlib.Path(program).resolve(), f"--waits={plan_id}", "--reason=game"])
        (note,) = wait(notes, "a notification")
        click = session.home / "click"
        click.write_text(f"{note['id']} default")
        click.rename(shown.with_name("shown.click"))
        active = ["xdotool", "getactivewindow", "getwindowname"]
        wait(lambda: session.run(active, check=False) == b"Souvenir\n", "the window")
        shown.unlink()
        app.close()

        # On battery and without a window it waits, which is said once.
        power.write_text('{"OnBattery": true}')
        (documents / "New.txt").write_text("new")
        # The monitor looks first for what the last run left behind. From here on only backups are due: checks would
        # follow each of them, and run while the history is replaced.
        time.sleep(2)
        only_backups = ("^prove = .*", "prove = false")
        flows.change_plan(session, ("^every = .*", 'every = "month"'), only_backups, ("^since = .*", "since = 0"))
        history = next((session.home / ".local/share/souvenir/history").glob("*.jsonl"))
        earlier = run | {"started_secs": 1_600_000_000, "ended_secs": 1_600_000_100}
        history.write_text(json.dumps(earlier) + "\n")
        wait(lambda: notes(), "a word", LONG_SECS)
        app = start()
        app.find(text="Waits until the computer is plugged in")
        seen("waits")
        (note,) = notes()
        assert note["title"] == "The backup of “Documents” waits", note
        assert note["body"] == "It begins when the computer is plugged in.", note
        app.close()
        wait(lambda: not processes(session, "souvenir"), "the end of the program")

        # Plugged in, it is made without a window; nobody is told, since nothing is wrong.
        power.write_text('{"OnBattery": false}')
        wait(lambda: len(runs(session)) == 2, "a run", LONG_SECS)
        assert runs(session)[1]["outcome"]["kind"] == "finished", runs(session)
        wait(lambda: not processes(session, "souvenir"), "the end of the program")
        assert len(notes()) == 1, notes()

        # A rule that turns stops what runs, and it goes on when the rule turns back. Of that nobody is told again.
        for film in range(8):
            (documents / f"Film {film}.mkv").write_bytes(sample.random.Random(film).randbytes(40_000_000))
        # So slow that it can be stopped on any machine.
        flows.change_plan(session, ("^name = ", "upload_limit = 20480\nname = "))
        forget_runs(history, earlier)
        wait(lambda: list(store.glob(".souvenir-upload-*")), "a volume", LONG_SECS)
        power.write_text('{"OnBattery": true}')
        wait(lambda: len(runs(session)) == 2, "the end of the run", LONG_SECS)
        stopped = runs(session)[1]
        assert (stopped["outcome"]["kind"], stopped.get("cause")) == ("stopped", "battery"), stopped
        power.write_text('{"OnBattery": false}')
        wait(lambda: len(runs(session)) == 3, "another run", LONG_SECS)
        assert runs(session)[2]["outcome"]["kind"] == "finished", runs(session)
        wait(lambda: not processes(session, "souvenir"), "the end of the program")
        assert len(notes()) == 1, (notes(), runs(session))

        # It fails without a window; the notification and the window say why.
        kept = store.rename(session.home / "Elsewhere")
        forget_runs(history, earlier)
        title = "“Documents” could not be backed up"
        failed = wait(lambda: [note for note in notes() if note["title"] == title], "another word", LONG_SECS)[0]
        assert failed["actions"][0] == "default" and "Back Up Now" in failed["actions"], failed
        app = start()
        app.find(text=re.compile("^Failed "))
        app.find(text=re.compile("^Tries again "))
        seen("failed")
        # What can be mended is mended, and by hand it can be done at once.
        kept.rename(store)
        app.click("button", "Back Up Now")
        app.find(text=re.compile("^Next: "), patience=flows.WORK_SECS)

        # Without a schedule nobody watches.
        app.find("list item", "Schedule").bring().click()
        app.find("combo box", "How Often")
        flows.choose_every(app, "Never")
        seen("settings-never")
        app.click("button", "Done")
        app.find("button", "Save")
        seen("settings")
        app.click("button", "Save")
        app.wait_gone("dialog", "Plan Settings")
        wait(lambda: not autostart.exists(), "the end of the autostart")
        wait(lambda: not processes(session, "souvenir-monitor"), "the end of the monitor")
        assert not app.has("label", re.compile("^Next: "))
        seen("by-hand")
        if complaints := app.complaints():
            raise SystemExit("GTK complains: " + "; ".join(complaints))


if __name__ == "__main__":
    main(*sys.argv[1:])
