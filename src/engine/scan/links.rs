//! Folders that are reached through symbolic links, which a walk does not follow.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// More links than the system itself follows (`ELOOP`, path_resolution(7)) lead nowhere.
const MOST_LINKS: usize = 40;

/// A folder, and what leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The links on the way, each at its own real place.
    pub links: Vec<PathBuf>,
    /// The folder at its real place, whether it is there or not. The path itself if its links go in a circle.
    pub folder: PathBuf,
}

/// Follows an absolute path. A backup that is to bring a folder back as it was reached needs the links too: `/home` is
/// one on systems that keep all that changes below `/var`.
pub fn reach(path: &Path) -> Reached {
    let mut links = Vec::new();
    let mut followed_count = 0;
    let mut folder = PathBuf::from("/");
    // What is still to be gone, the next part last.
    let mut ahead: Vec<OsString> = parts_reversed(path);
    while let Some(part) = ahead.pop() {
        if part == ".." {
            folder.pop();
            continue;
        }
        folder.push(part);
        let Ok(target) = std::fs::read_link(&folder) else { continue };
        followed_count += 1;
        if followed_count > MOST_LINKS {
            return Reached { links: Vec::new(), folder: path.to_owned() };
        }
        if !links.contains(&folder) {
            links.push(folder.clone());
        }
        folder.pop();
        if target.is_absolute() {
            folder = PathBuf::from("/");
        }
        ahead.extend(parts_reversed(&target));
    }
    Reached { links, folder }
}

fn parts_reversed(path: &Path) -> Vec<OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_wherever_they_stand() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        fs::create_dir_all(at("var/home/me/Music")).unwrap();
        fs::create_dir_all(at("data")).unwrap();
        symlink("var/home", at("home")).unwrap();
        symlink(at("home/me/Music"), at("data/songs")).unwrap();
        symlink("../../../data/songs", at("var/home/me/again")).unwrap();
        symlink("round", at("round")).unwrap();
        let reached = |path: &str| {
            let Reached { links, folder } = reach(&at(path));
            let below = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
            (links.iter().map(below).collect::<Vec<_>>(), below(&folder))
        };
        let links = |links: &[&str]| links.iter().map(|link| (*link).to_owned()).collect::<Vec<_>>();
        assert_eq!(reached("var/home/me"), (links(&[]), "var/home/me".to_owned()));
        assert_eq!(reached("home/me/gone/x"), (links(&["home"]), "var/home/me/gone/x".to_owned()));
        let all = links(&["home", "var/home/me/again", "data/songs"]);
        assert_eq!(reached("home/me/again/song"), (all, "var/home/me/Music/song".to_owned()));
        assert_eq!(reached("round/x"), (links(&[]), "round/x".to_owned()));
        assert_eq!(reach(Path::new("/")).folder, Path::new("/"));
    }
}
