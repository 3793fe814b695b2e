"""The words of the window in another language, taken back to what they were before they were translated: so what drives the
window in English drives it in every language."""

import ast
import gettext
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
# What libraries say themselves.
LIBRARIES = ("gtk40", "libadwaita")
GAP = re.compile(r"\{(\w+)\}")
MNEMONIC = re.compile(r"_(?!\w*\})")


class Words:
    """The translations of a language, backwards. Several texts may have the same translation."""

    def __init__(self, language):
        self.whole = {}
        self.with_gaps = []
        self.known = {}
        for original, translated in messages(TOP / "po" / f"{language}.po"):
            original, translated = MNEMONIC.sub("", original), MNEMONIC.sub("", translated)
            if GAP.search(translated):
                literals = [part for index, part in enumerate(GAP.split(translated)) if index % 2 == 0]
                self.with_gaps.append((literals, pattern(translated), original))
            else:
                self.whole.setdefault(translated, []).append(original)
        # The most that is said literally is the best that is known.
        self.with_gaps.sort(key=lambda entry: len("".join(entry[0])), reverse=True)
        for library in LIBRARIES:
            catalog = gettext.translation(library, "/usr/share/locale", [language], fallback=True)
            for original, translated in getattr(catalog, "_catalog", {}).items():
                if isinstance(original, str):
                    original = MNEMONIC.sub("", original.rpartition("\4")[2])
                    self.whole.setdefault(MNEMONIC.sub("", translated), []).append(original)

    def back(self, text):
        """What it may have been, the likeliest first; itself if it is of no translation."""
        if text not in self.known:
            self.known[text] = [*dict.fromkeys(self._back(text))]
        return self.known[text]

    def _back(self, text):
        for between in ("\n", " · "):
            if between in text and text not in self.whole:
                return [between.join(self.back(part)[0] for part in text.split(between))]
        found = list(self.whole.get(text, []))
        for literals, shape, original in self.with_gaps:
            # Most need no look at where their gaps are.
            if all(part in text for part in literals) and (match := shape.fullmatch(text)):
                gaps = match.groupdict()
                found.append(GAP.sub(lambda gap: self.back(gaps[gap[1]])[0] if gap[1] in gaps else gap[0], original))
        return found or [text]


def pattern(translated):
    """What a translated text looks like, whatever stands in its gaps."""
    seen, parts = set(), []
    for index, part in enumerate(GAP.split(translated)):
        if index % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            parts.append(f"(?P<{part}>.+?)")
            seen.add(part)
    return re.compile("".join(parts), re.DOTALL)


def messages(path):
    """Pairs of an original and its translation; of plurals each form with the one that it is for."""
    for block in path.read_text().split("\n\n"):
        fields, current = {}, None
        for line in block.splitlines():
            if match := re.match(r'(msg\w+(?:\[\d\])?) (".*")', line):
                current = match[1]
                fields[current] = ast.literal_eval(match[2])
            elif line.startswith('"') and current:
                fields[current] += ast.literal_eval(line)
        if not fields.get("msgid"):
            continue
        if "msgstr" in fields:
            yield fields["msgid"], fields["msgstr"]
        else:
            yield fields["msgid"], fields["msgstr[0]"]
            yield fields["msgid_plural"], fields["msgstr[1]"]
