//! What people often leave out, as named groups of rules.
//!
//! A preset never guesses: a folder is left out for its name only where nothing else is ever called so.
//! Names such as `target` or `build`, which might hold anything, need something in or beside the folder
//! that says what made it.

use super::selection::{Marker, Matcher};
use crate::engine::error::{Error, Result};

/// A named group of rules.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// What it is called on the command line and in plans.
    pub id: &'static str,
    /// Its name for people, in English.
    pub name: &'static str,
    /// What it leaves out and why that is no loss, in English.
    pub explanation: &'static str,
    rules: &'static [Rule],
}

#[derive(Debug, PartialEq, Eq)]
enum Rule {
    /// What this shell pattern matches.
    Everything(&'static str),
    /// Of what it matches the folders that hold an entry of that name.
    Holding(&'static str, &'static str),
    /// Of what it matches the folders that have an entry of that name beside them.
    Beside(&'static str, &'static str),
    /// Folders that are tagged as caches.
    Tagged,
    /// Of what it matches the folders that are tagged as caches.
    TaggedAt(&'static str),
}

use Rule::{Beside, Everything, Holding, Tagged, TaggedAt};

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        id: "caches",
        name: "Caches",
        explanation: "What programs keep only to be faster, and make again: .cache, thumbnails, \
                      and folders with a CACHEDIR.TAG",
        rules: &[
            Everything("**/.cache/"),
            Everything("**/.thumbnails/"),
            Everything("**/.ccache/"),
            Everything("**/.npm/_cacache/"),
            Everything("**/.gradle/caches/"),
            Tagged,
        ],
    },
    Preset {
        id: "app-caches",
        name: "Browser and Flatpak caches",
        explanation: "Copies of web pages and pictures that browsers keep, and the caches of Flatpak and Snap \
                      applications; bookmarks, passwords and settings stay in",
        rules: &[
            Everything("**/.var/app/*/cache/"),
            Everything("**/snap/*/*/.cache/"),
            Everything("**/.mozilla/**/cache2/"),
            Everything("**/.mozilla/**/startupCache/"),
            Everything("**/Cache/Cache_Data/"),
            Everything("**/.config/**/Code Cache/"),
            Everything("**/.config/**/GPUCache/"),
            Everything("**/.config/**/ShaderCache/"),
            Everything("**/.config/**/GrShaderCache/"),
            Everything("**/.config/**/DawnGraphiteCache/"),
            Everything("**/.config/**/DawnWebGPUCache/"),
            Everything("**/Service Worker/CacheStorage/"),
            Everything("**/Service Worker/ScriptCache/"),
        ],
    },
    Preset {
        id: "trash",
        name: "Trash",
        explanation: "Files that have been thrown away, here and on other drives",
        rules: &[
            Everything("**/.local/share/Trash/"),
            Everything("**/.var/app/*/data/Trash/"),
            Everything("**/.Trash-[0-9]*/"),
            Everything("**/.Trash/"),
        ],
    },
    Preset {
        id: "build-folders",
        name: "Build folders",
        explanation: "What can be built or downloaded again from a project's own files: node_modules, Cargo's target, \
                      __pycache__ and the like. Folders whose name alone does not tell are left out only where the \
                      project file that they belong to lies beside them",
        rules: &[
            Beside("**/node_modules/", "package.json"),
            Beside("**/.next/", "package.json"),
            Beside("**/.nuxt/", "package.json"),
            Beside("**/.svelte-kit/", "package.json"),
            Everything("**/.parcel-cache/"),
            TaggedAt("**/target/"),
            Beside("**/target/", "pom.xml"),
            Beside("**/build/", "build.gradle"),
            Beside("**/build/", "build.gradle.kts"),
            Beside("**/.gradle/", "gradlew"),
            Holding("**/cmake-build-*/", "CMakeCache.txt"),
            Holding("**/build*/", "meson-private"),
            Holding("**/_build/", "meson-private"),
            Beside("**/_build/", "dune-project"),
            Beside("**/_build/", "mix.exs"),
            Beside("**/.dart_tool/", "pubspec.yaml"),
            Beside("**/.build/", "Package.swift"),
            Beside("**/.zig-cache/", "build.zig"),
            Beside("**/.stack-work/", "stack.yaml"),
            Everything("**/dist-newstyle/"),
            Everything("**/__pycache__/"),
            Everything("**/.tox/"),
            Holding("**/.venv/", "pyvenv.cfg"),
            Holding("**/venv/", "pyvenv.cfg"),
        ],
    },
    Preset {
        id: "virtual-machines",
        name: "Virtual machines",
        explanation: "Disk images of virtual machines, which are large and change as a whole; unlike the others \
                      they cannot be made again",
        rules: &[
            Everything("ignorecase:**.qcow2"),
            Everything("ignorecase:**.qcow"),
            Everything("ignorecase:**.qed"),
            Everything("ignorecase:**.vdi"),
            Everything("ignorecase:**.vmdk"),
            Everything("ignorecase:**.vhd"),
            Everything("ignorecase:**.vhdx"),
            Everything("**/gnome-boxes/images/"),
            Everything("**/libvirt/images/"),
        ],
    },
];

impl Preset {
    /// The preset of that name.
    pub fn find(id: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.id == id)
    }

    /// What its rules look at.
    pub(super) fn matchers(&self) -> impl Iterator<Item = Result<Matcher>> {
        self.rules.iter().map(|rule| {
            let (pattern, marker) = match rule {
                Tagged => return Ok(Matcher::TaggedAsCache),
                Everything(pattern) => (pattern, None),
                Holding(pattern, name) => (pattern, Some(Marker::Holds(name))),
                Beside(pattern, name) => (pattern, Some(Marker::Beside(name))),
                TaggedAt(pattern) => (pattern, Some(Marker::CacheTag)),
            };
            Matcher::glob(pattern, false, marker)
                .map_err(|reason| Error::Pattern { pattern: (*pattern).to_owned(), reason })
        })
    }
}
