"""The tree that the comparison backs up: 1 GB in 24,000 files, the same on every machine.

A third of the bytes cannot be compressed (pictures, films), the rest are text and tables. Nothing repeats,
so a program that finds equal pieces gains nothing it would not gain on most people's files.
"""

import array
import hashlib
import itertools
import os
import pathlib
import random
import shutil

SEED = 20240117
FILES = 24_000
BYTES = 1_000_000_000
EPOCH = 1_700_000_000


def make(folder):
    """Makes the tree unless it is there already; gives (files, bytes)."""
    folder = pathlib.Path(folder)
    stamp = folder.with_suffix(".made")
    # Another version of this file makes another tree.
    version = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text().split()[0] != version:
        shutil.rmtree(folder, ignore_errors=True)
        stamp.unlink(missing_ok=True)
        files, size = _write(folder)
        stamp.write_text(f"{version} {files} {size}")
    _version, files, size = stamp.read_text().split()
    return int(files), int(size)


class Change:
    """Two percent of the files, changed for a while: some rewritten, some longer, one large one in its middle."""

    def __init__(self, folder):
        rng = random.Random(SEED + 1)
        files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
        small = [path for path in files if path.stat().st_size < 1_000_000]
        large = max((path for path in files if path.suffix == ".csv"), key=lambda path: path.stat().st_size)
        self.files = rng.sample(small, len(files) // 50) + [large]
        self.small_file = self.files[0].relative_to(folder)
        self.rng = rng
        self.originals = []

    def __enter__(self):
        return self

    def make(self):
        for number, path in enumerate(self.files):
            stat = path.stat()
            contents = path.read_bytes()
            # Of the large one only the piece that changes is kept.
            place = len(contents) // 2
            if number + 1 == len(self.files):
                self.originals.append((path, place, contents[place : place + 1000], len(contents), stat))
                with open(path, "r+b") as file:
                    file.seek(place)
                    file.write(self.rng.randbytes(1000))
            else:
                self.originals.append((path, 0, contents, len(contents), stat))
                if number % 2:
                    path.write_bytes(contents + b"one more line\n")
                else:
                    path.write_bytes(self.rng.randbytes(len(contents)))

    def __exit__(self, *_):
        """Everything is as before."""
        for path, place, piece, length, stat in self.originals:
            with open(path, "r+b") as file:
                file.seek(place)
                file.write(piece)
                file.truncate(length)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _write(top):
    rng = random.Random(SEED)
    sizes = _sizes(rng)
    folders = _folders(rng, top)
    text = Text(rng)
    total = 0
    for number, (kind, size) in enumerate(sizes):
        path = rng.choice(folders) / f"{rng.choice(WORDS)}-{number}.{EXTENSIONS[kind]}"
        with open(path, "wb") as file:
            for block in _blocks(kind, size, rng, text):
                file.write(block)
        path.chmod(rng.choice((0o644, 0o644, 0o600, 0o755)))
        os.utime(path, (EPOCH, EPOCH - rng.randrange(100_000_000)))
        total += size
    for folder in reversed(folders):
        os.utime(folder, (EPOCH, EPOCH))
    return len(sizes), total


def _sizes(rng):
    """A few large files, some of a megabyte, and very many small ones, as in a home folder."""
    sizes = [("random", 100_000_000), ("table", 155_000_000)]
    sizes += [("random", rng.randrange(4_000_000, 12_000_000)) for _ in range(14)]
    sizes += [(rng.choice(("random", "text", "table")), rng.randrange(400_000, 1_600_000)) for _ in range(250)]
    small = FILES - len(sizes)
    weights = [rng.lognormvariate(0, 1.6) for _ in range(small)]
    scale = (BYTES - sum(size for _kind, size in sizes)) / sum(weights)
    kinds = rng.choices(("random", "text", "table"), (15, 60, 25), k=small)
    sizes += [(kind, int(weight * scale)) for kind, weight in zip(kinds, weights)]
    rng.shuffle(sizes)
    return sizes


def _folders(rng, top):
    folders = [top]
    for number in range(1_500):
        parent = rng.choice(folders[-400:])
        if len(parent.parts) - len(top.parts) > 9:
            parent = top
        folders.append(parent / f"{rng.choice(WORDS)} {number}")
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


EXTENSIONS = {"random": "jpg", "text": "txt", "table": "csv"}
SYLLABLES = "ka lo min ter va si ro den pu ga ne ti al or us be".split()
WORDS = ["".join(pair) for pair in itertools.product(SYLLABLES, repeat=2)]
BLOCK = 1 << 20


class Text:
    """Words as often as in a language: the second half as often as the first, and so on."""

    def __init__(self, rng):
        words = ["".join(rng.choices(SYLLABLES, k=rng.choice((1, 2, 2, 3, 4)))) for _ in range(9_000)]
        frequent = rng.choices(words, [1 / (rank + 2) for rank in range(len(words))], k=1 << 16)
        self.table = [word.encode() for word in frequent]

    def write(self, rng, size):
        indexes = array.array("H", rng.randbytes(size // 4 * 2 + 2))
        return b" ".join(map(self.table.__getitem__, indexes))[:size].ljust(size, b".")


def _blocks(kind, size, rng, text):
    while size > 0:
        length = min(size, BLOCK)
        if kind == "random":
            yield rng.randbytes(length)
        elif kind == "text":
            yield text.write(rng, length)
        else:
            yield _table(rng, length)
        size -= length


def _table(rng, size):
    """Rows of figures."""
    numbers = array.array("I", rng.randbytes(size // 16 * 4 + 4))
    rows = (b"%d;%d.%02d\n" % (n >> 16, n & 0x3FFF, n % 100) for n in numbers)
    return b"".join(rows)[:size].ljust(size, b"0")
