"""Rewrites Rust source so that xgettext, which reads C, finds every string at its line.

xgettext of gettext 0.23 does not know Rust, and its C reader stumbles over lifetimes, raw strings and
nested comments: it may then lose everything up to the next quotation mark. Here the source is taken apart
by Rust's own rules and put together again with nothing in it that C would read differently.
"""

import re

TOKEN = re.compile(
    r"""
      (?P<line_comment>//[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<raw>\b(?:b|c|br|cr|r)?(?<=r)(?P<hashes>\#*)")
    | (?P<string>(?:\b[bc])?")
    | (?P<char>(?:\bb)?'(?:[^'\\\n]|\\u\{[0-9a-fA-F_]+\}|\\x[0-9a-fA-F]{2}|\\.)')
    | (?P<lifetime>'[A-Za-z_][A-Za-z0-9_]*)
    | (?P<attribute>\#)
    | (?P<macro>\b[A-Za-z_][A-Za-z0-9_]*!(?=\s*[(\[{]))
    """,
    re.VERBOSE,
)
STRING_END = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
BLOCK_EDGE = re.compile(r"/\*|\*/")
ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F_]+)\}|x([0-9a-fA-F]{2})|\n\s*|(.))", re.DOTALL)
SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


def to_c(source):
    """The source with C's strings, the same number of lines and the same comments."""
    out = []
    position = 0
    while match := TOKEN.search(source, position):
        out.append(source[position : match.start()])
        position = match.end()
        kind = match.lastgroup if match.lastgroup != "hashes" else "raw"
        if kind == "line_comment":
            # A backslash at its end would continue the comment in C.
            out.append(match.group().rstrip("\\"))
        elif kind == "block_comment":
            position = end_of_block(source, match.end())
            inside = source[match.end() : position].removesuffix("*/")
            out.append("/*" + BLOCK_EDGE.sub("  ", inside) + "*/")
        elif kind == "raw":
            closing = '"' + match.group("hashes")
            end = source.find(closing, position)
            end = len(source) if end < 0 else end
            out.append(c_string(source[position:end], source[position:end].count("\n")))
            position = end + len(closing)
        elif kind == "string":
            end = STRING_END.match(source, position)
            end = end.end() if end else len(source)
            literal = source[position : end - 1]
            out.append(c_string(ESCAPE.sub(unescaped, literal), literal.count("\n")))
            position = end
        elif kind == "char":
            out.append("0")
        elif kind == "macro":
            # format!("…") is no function that xgettext could know.
            out.append(match.group()[:-1])
        # A lifetime is left out, and so is the sign of an attribute, which C's preprocessor would take.
    out.append(source[position:])
    return "".join(out)


def end_of_block(source, position):
    depth = 1
    while depth and (edge := BLOCK_EDGE.search(source, position)):
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position if depth == 0 else len(source)


def unescaped(match):
    code = match.group(1) or match.group(2)
    if code:
        return chr(int(code.replace("_", ""), 16))
    if match.group(3):
        return SIMPLE_ESCAPES.get(match.group(3), match.group(3))
    return ""  # a line that is continued: the break and the indentation are no text


def c_string(text, line_breaks):
    """A literal of C on one line, then as many line breaks as the literal of Rust had."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    escaped = escaped.replace("\r", "\\r").replace("\0", "\\000")
    return '"' + escaped + '"' + "\n" * line_breaks
