#!/usr/bin/env python3
"""A window that files can be dropped on, as on a folder of the file manager: it copies them into a folder.

    drop_window.py FOLDER WIDTH HEIGHT

As the file manager's, it asks for the files as soon as they are over it. What happened is written to the standard
output: "over", "dropped" with the number of files, "copied", or "refused".
"""

import pathlib
import shutil
import sys

import gi

gi.require_version("Gdk", "4.0")
gi.require_version("Gtk", "4.0")
from gi.repository import Gdk, Gio, Gtk  # noqa: E402


def say(text):
    print(text, flush=True)


class Target(Gtk.Application):
    def __init__(self, folder, width, height):
        super().__init__(flags=Gio.ApplicationFlags.NON_UNIQUE)
        self.folder, self.size = folder, (width, height)

    def do_activate(self):
        window = Gtk.ApplicationWindow(application=self, title="Drop Here", decorated=False)
        window.set_default_size(*self.size)
        window.set_child(Gtk.Label(label=str(self.folder)))
        target = Gtk.DropTarget.new(Gdk.FileList, Gdk.DragAction.COPY)
        target.set_preload(True)
        target.connect("enter", self.enter)
        target.connect("drop", self.drop)
        target.connect("notify::current-drop", self.gone)
        self.dropped = False
        window.add_controller(target)
        window.present()

    def enter(self, _target, _x, _y):
        say("over")
        return Gdk.DragAction.COPY

    def drop(self, _target, files, _x, _y):
        # Where the files did not come, the list is empty.
        if files is None:
            return False
        files = [pathlib.Path(file.get_path()) for file in files.get_files()]
        say(f"dropped {len(files)}")
        self.dropped = True
        for file in files:
            if file.is_dir():
                shutil.copytree(file, self.folder / file.name, symlinks=True)
            else:
                shutil.copy2(file, self.folder / file.name)
        say("copied")
        return True

    def gone(self, target, _property):
        if target.get_current_drop() is None and not self.dropped:
            say("refused")
        self.dropped = False


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    Target(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).run()
