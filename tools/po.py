#!/usr/bin/env python3
"""Keeps the translations in step with the source.

    po.py update   writes po/POTFILES.in and po/souvenir.pot and merges the languages of po/LINGUAS
    po.py check    fails where one of them is not up to date, where a translation is broken or incomplete,
                   and where a text of a .ui file is not marked for translation, or one of the source cannot
                   be found by translators
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

from rust_strings import to_c

TOP = pathlib.Path(__file__).resolve().parent.parent
PO = TOP / "po"
TEMPLATE = PO / "souvenir.pot"
POTFILES = PO / "POTFILES.in"
KEYWORDS = [
    "gettext",
    "gettext_f",
    "ngettext:1,2",
    "ngettext_f:1,2",
    "pgettext:1c,2",
    "pgettext_f:1c,2",
    "npgettext:1c,2,3",
    "npgettext_f:1c,2,3",
]
CALLS = re.compile(r"\bn?p?gettext(_f)?\(")
# Calls that go on in the next line have their text there.
NOT_LITERAL = re.compile(r"(?<!fn )\bn?p?gettext(?:_f)?\([^\s\"]|\bngettext(?:_f)?\(\"(?:[^\"\\]|\\.)*\",\s*[^\s\"]")
GIVEN_TO_WIDGET = re.compile(
    r"\.(?:set_)?(?:title|subtitle|label|tooltip_text|description|body|heading|button_label|placeholder_text|text)"
    r"\((?:Some\()?&?\"[^\"]*[^\W\d_]"
)

# Properties of GTK's and libadwaita's widgets that people read.
READ_BY_PEOPLE = {
    "title", "subtitle", "label", "description", "tooltip-text", "tooltip-markup", "placeholder-text",
    "text", "heading", "body", "button-label", "primary-icon-tooltip-text", "secondary-icon-tooltip-text",
    "menu-tooltip", "action-label", "name-label", "comments",
}  # fmt: skip
HAS_LETTERS = re.compile(r"[^\W\d_]")


def main(arguments):
    if arguments == ["update"]:
        update()
    elif arguments == ["check"]:
        faults = check()
        print("\n".join(faults))
        sys.exit(bool(faults))
    else:
        sys.exit(__doc__)


# --- what is translated ---------------------------------------------------------------------------


def sources():
    """All files with texts for people, relative to the top."""
    found = []
    for path in sorted((TOP / "src").rglob("*")):
        if path.suffix == ".rs" and path.name != "i18n.rs" and CALLS.search(path.read_text()):
            found.append(path)
        elif path.suffix == ".ui" and 'translatable="' in path.read_text():
            found.append(path)
    data = TOP / "data"
    found += sorted(data.glob("*.desktop")) + sorted(data.glob("*.metainfo.xml"))
    return [str(path.relative_to(TOP)) for path in found]


def potfiles_text(names):
    return "# Written by ./dev pot: the files that have texts for people.\n" + "".join(
        f"{name}\n" for name in names
    )


def template_text(names):
    """The template, made from the files as they are now."""
    rust = [name for name in names if name.endswith(".rs")]
    desktop = [name for name in names if name.endswith(".desktop")]
    xml = [name for name in names if name.endswith((".ui", ".xml"))]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in rust:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(to_c((TOP / name).read_text()))
        pot = folder / "souvenir.pot"
        pot.touch()
        common = [
            "xgettext", f"--output={pot}", "--join-existing", "--from-code=UTF-8", "--add-comments=Translators",
            "--add-location=file", "--sort-by-file", "--package-name=Souvenir",
            "--copyright-holder=The Souvenir developers",
            "--msgid-bugs-address=https://github.com/souvenir-backup/souvenir/issues",
        ]  # fmt: skip
        # C's own idea of a format would call every "%" of a sentence a placeholder.
        keywords = ["--keyword", *(f"--keyword={keyword}" for keyword in KEYWORDS)]
        unflagged = [f"--flag={keyword.split(':')[0]}:1:no-c-format" for keyword in KEYWORDS]
        run([*common, "--language=C", *keywords, *unflagged, *rust], folder, rust)
        run([*common, "--language=Desktop", *desktop], TOP, desktop)
        run([*common, *xml], TOP, xml)
        text = pot.read_text()
    text = re.sub(r'"POT-Creation-Date: .*\\n"\n', "", text)
    text = text.replace("#, no-c-format\n", "").replace(", no-c-format", "")
    return text.replace("SOME DESCRIPTIVE TITLE.", "The texts of Souvenir.").replace(
        "Copyright (C) YEAR ", "Copyright "
    )


def run(command, folder, inputs):
    if inputs:
        subprocess.run(command, cwd=folder, check=True)


def languages():
    lines = (PO / "LINGUAS").read_text().splitlines()
    return [word for line in lines for word in line.split("#")[0].split()]


# --- update ---------------------------------------------------------------------------------------


def update():
    names = sources()
    POTFILES.write_text(potfiles_text(names))
    TEMPLATE.write_text(template_text(names))
    for language in languages():
        file = PO / f"{language}.po"
        if not file.exists():
            new = ["msginit", "--no-translator", f"--locale={language}", f"--input={TEMPLATE}", f"--output={file}"]
            subprocess.run(new, check=True)
        command = ["msgmerge", "--quiet", "--update", "--backup=none", "--no-fuzzy-matching", file, TEMPLATE]
        subprocess.run([*command, "--add-location=file"], check=True)
        subprocess.run(["msgattrib", "--no-obsolete", "--add-location=file", "-o", file, file], check=True)
        print(f"{language}: {statistics(file)}")


def statistics(file):
    result = subprocess.run(
        ["msgfmt", "--check", "--statistics", "-o", "/dev/null", file], capture_output=True, text=True
    )
    return result.stderr.strip()


# --- check ----------------------------------------------------------------------------------------


def check():
    names = sources()
    faults = []
    if not POTFILES.exists() or POTFILES.read_text() != potfiles_text(names):
        faults.append("po/POTFILES.in is not up to date: ./dev pot")
    if not TEMPLATE.exists() or entries(TEMPLATE.read_text()) != entries(template_text(names)):
        faults.append("po/souvenir.pot is not up to date: ./dev pot")
    known = languages()
    for file in sorted(PO.glob("*.po")):
        if file.stem not in known:
            faults.append(f"po/{file.name} is not in po/LINGUAS")
        figures = statistics(file)
        if not re.fullmatch(r"\d+ translated messages?\.", figures):
            faults.append(f"po/{file.name} is not complete: {figures}")
        faults += differences(file)
    for file in sorted((TOP / "src").rglob("*.ui")):
        faults += unmarked(file)
    for file in sorted((TOP / "src").rglob("*.rs")):
        if file.name != "i18n.rs":
            faults += unmarked_in_source(file)
    return faults


def entries(pot):
    """The messages, without what differs between versions of gettext: line breaks, flags, the header."""
    joined = re.sub(r'"\n"', "", pot)
    pattern = re.compile(r'^((?:msgctxt .*\n)?msgid ".+"\n(?:msgid_plural .*\n)?)', re.MULTILINE)
    return sorted(pattern.findall(joined))


def differences(file):
    """Messages of the template that the language does not have, or has though nobody uses them."""
    result = subprocess.run(
        ["msgcmp", "--use-untranslated", file, TEMPLATE], capture_output=True, text=True
    )
    return result.stderr.splitlines() if result.returncode else []


def unmarked(file):
    """Texts of a .ui file that people read and translators do not."""
    faults = []
    root = ElementTree.parse(file).getroot()
    for element in root.iter():
        text = (element.text or "").strip()
        if not HAS_LETTERS.search(text) or element.get("translatable"):
            continue
        name = element.get("name", "").replace("_", "-")
        in_list = element.tag == "item" and not len(element)
        if in_list or (element.tag in ("property", "attribute", "relation") and name in READ_BY_PEOPLE):
            faults.append(f'{file.relative_to(TOP)}: “{text}” has no translatable="yes"')
    return faults


def unmarked_in_source(file):
    """Texts that are given to gettext as a variable, and texts that are given to a widget without gettext."""
    faults = []
    for number, line in enumerate(to_c(file.read_text()).splitlines(), 1):
        code = line.split("//")[0]
        if NOT_LITERAL.search(code):
            faults.append(f"{file.relative_to(TOP)}:{number}: the text for gettext is not a literal")
        if GIVEN_TO_WIDGET.search(code):
            faults.append(f"{file.relative_to(TOP)}:{number}: a text that people read is not marked")
    return faults


if __name__ == "__main__":
    main(sys.argv[1:])
