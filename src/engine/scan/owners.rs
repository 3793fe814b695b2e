//! Names and numbers of owners. Looking one up can ask a server, so each is asked for once.

use std::collections::HashMap;

use nix::unistd::{Gid, Group, Uid, User};

/// Names for numbers, for writing.
#[derive(Debug, Default)]
pub struct OwnerNames {
    users: HashMap<u32, Option<Box<str>>>,
    groups: HashMap<u32, Option<Box<str>>>,
}

impl OwnerNames {
    /// The name of a user; none if the number has none.
    pub fn user(&mut self, uid: u32) -> Option<Box<str>> {
        let look_up = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name.into());
        self.users.entry(uid).or_insert_with(look_up).clone()
    }

    /// The name of a group; none if the number has none.
    pub fn group(&mut self, gid: u32) -> Option<Box<str>> {
        let look_up = || Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name.into());
        self.groups.entry(gid).or_insert_with(look_up).clone()
    }
}

/// Numbers for names, for restoring on a machine where they may differ.
#[derive(Debug, Default)]
pub struct OwnerNumbers {
    users: HashMap<Box<str>, Option<u32>>,
    groups: HashMap<Box<str>, Option<u32>>,
}

impl OwnerNumbers {
    /// The number that the user's name has here, or the stored number.
    pub fn user(&mut self, name: Option<&str>, stored: u32) -> u32 {
        let Some(name) = name else { return stored };
        let look_up = || User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
        self.users.entry(name.into()).or_insert_with(look_up).unwrap_or(stored)
    }

    /// The number that the group's name has here, or the stored number.
    pub fn group(&mut self, name: Option<&str>, stored: u32) -> u32 {
        let Some(name) = name else { return stored };
        let look_up = || Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
        self.groups.entry(name.into()).or_insert_with(look_up).unwrap_or(stored)
    }
}
