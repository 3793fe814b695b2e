#!/usr/bin/env python3
"""What the Flatpak is built from beside this repository: every package of Cargo.lock, with its checksum.

    cargo_sources.py check         whether the list can be complete, and whether each permission has its reason
    cargo_sources.py write FILE    the list, as sources of flatpak-builder
    cargo_sources.py seed FOLDER   puts what cargo has fetched where flatpak-builder would download it: FOLDER is
                                   its state folder

`write` and `seed` need what `cargo fetch --locked` brings. Where packages are downloaded from stands in the
configuration that comes with cargo's index.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tomllib

TOP = pathlib.Path(__file__).resolve().parents[1]
HERE = TOP / "flatpak"
MANIFEST = HERE / "io.github.souvenir_backup.Souvenir.yml"
# Where the sources lie while flatpak-builder builds the module of that name.
BUILD = "/run/build/souvenir"
CARGO_CONFIG = f"""[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "{BUILD}/cargo/vendor"
"""


def packages():
    """The packages of the lock file that are not our own: name, version, checksum. Fails where one cannot be had
    from a registry, or could be anything."""
    lock = tomllib.loads((TOP / "Cargo.lock").read_text())
    ours = tomllib.loads((TOP / "Cargo.toml").read_text())["package"]["name"]
    found = []
    for package in lock["package"]:
        name, source = f"{package['name']} {package['version']}", package.get("source")
        if source is None and package["name"] == ours:
            continue
        if source is None or not source.startswith("registry+"):
            sys.exit(f"Cargo.lock: {name} is from {source or 'a folder'}, and not from a registry")
        if not re.fullmatch("[0-9a-f]{64}", package.get("checksum", "")):
            sys.exit(f"Cargo.lock: {name} has no checksum")
        found.append((package["name"], package["version"], package["checksum"]))
    if not found:
        sys.exit("Cargo.lock: there are no packages")
    return found


def fetched(name, version):
    """The file that cargo fetched for a package, and where it got it from."""
    registry = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo") / "registry"
    for file in sorted(registry.glob(f"cache/*/{name}-{version}.crate")):
        config = registry / "index" / file.parent.name / "config.json"
        if config.exists():
            return file, address(json.loads(config.read_text())["dl"], name, version)
    sys.exit(f"{name} {version} has not been fetched yet: cargo fetch --locked")


def address(template, name, version):
    """See "Index Configuration" in the book of Cargo. Templates with prefixes or checksums are in use nowhere that
    we know of."""
    if "{" not in template:
        template += "/{crate}/{version}/download"
    filled = template.replace("{crate}", name).replace("{version}", version)
    if "{" in filled:
        sys.exit(f"the index of cargo has an address that is not understood: {template}")
    return filled


def write(target):
    sources = []
    for name, version, checksum in packages():
        folder = f"cargo/vendor/{name}-{version}"
        sources += [
            {
                "type": "archive",
                "archive-type": "tar-gzip",
                "url": fetched(name, version)[1],
                "dest-filename": f"{name}-{version}.crate",
                "sha256": checksum,
                "dest": folder,
            },
            {
                "type": "inline",
                "contents": json.dumps({"package": checksum, "files": {}}),
                "dest": folder,
                "dest-filename": ".cargo-checksum.json",
            },
        ]
    sources.append({"type": "inline", "contents": CARGO_CONFIG, "dest": "cargo", "dest-filename": "config.toml"})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(sources, indent=1) + "\n")


def seed(state):
    """Packages are copied; their checksums are looked at by flatpak-builder."""
    wanted = {}
    for name, version, checksum in packages():
        wanted[checksum] = fetched(name, version)[0]
    for checksum, file in wanted.items():
        target = state / "downloads" / checksum / file.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial")
            shutil.copyfile(file, partial)
            partial.rename(target)


def check():
    found = packages()
    manifest = MANIFEST.read_text()
    if f"CARGO_HOME: {BUILD}/cargo" not in manifest or f"- name: {pathlib.Path(BUILD).name}\n" not in manifest:
        sys.exit(f"{MANIFEST.name}: cargo would not find its packages, they are in {BUILD}/cargo")
    permissions = re.findall(r"^  - (--\S+)$", manifest, re.MULTILINE)
    reasons = re.findall(r"^\| `(--\S+)` \| .{20}", (HERE / "README.md").read_text(), re.MULTILINE)
    if not permissions or sorted(permissions) != sorted(reasons):
        different = ", ".join(sorted(set(permissions) ^ set(reasons)))
        sys.exit(f"flatpak/README.md and the manifest do not name the same permissions: {different}")
    print(f"{len(found)} packages, {len(permissions)} permissions")


def main(arguments):
    match arguments:
        case ["check"]:
            check()
        case ["write", target]:
            write(pathlib.Path(target))
        case ["seed", state]:
            seed(pathlib.Path(state))
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
