//! What the help says.

use crate::i18n::gettext;

/// A page of the help.
pub struct Topic {
    /// What it is about.
    pub title: String,
    /// The same in a few more words.
    pub subtitle: String,
    /// The name of its picture.
    pub icon: &'static str,
    /// What it says.
    pub paragraphs: Vec<Paragraph>,
}

/// A part of a page.
pub enum Paragraph {
    /// What the next ones are about.
    Heading(String),
    /// Something to read.
    Text(String),
    /// Something to type into a terminal.
    Command(&'static str),
}

use Paragraph::{Command, Heading, Text};

/// All pages, in the order in which somebody needs them.
pub fn topics() -> Vec<Topic> {
    vec![first_backup(), places(), keys(), restoring(), new_computer(), proof(), space(), without_souvenir()]
}

fn first_backup() -> Topic {
    Topic {
        title: gettext("Your First Backup"),
        subtitle: gettext("What to back up, and when"),
        icon: "document-save-symbolic",
        paragraphs: vec![
            Text(gettext(
                "Choose “Set Up a Backup…”. Nothing is written before the last page, and Back always works.",
            )),
            Heading(gettext("What")),
            Text(gettext(
                "Your home folder is a good choice. Caches, the trash and whatever else can be made again are left out \
                 unless you say otherwise, and each of these has a switch with a word about it.",
            )),
            Text(gettext(
                "The page names what makes the backup big. A pattern such as *.iso leaves out all files with such a \
                 name, in every folder.",
            )),
            Heading(gettext("When")),
            Text(gettext(
                "A backup that begins by itself waits while the computer is on battery, while the network is metered \
                 and while a game runs. If the computer was off or a drive was away, it is made as soon as possible. \
                 You are told when something is wrong, and not bothered while all is well.",
            )),
            Text(gettext(
                "The first backup is a full one and takes longest. Later ones only store what has changed. You can \
                 pause and stop at any time: the next backup goes on with what is finished. You can also close the \
                 window: the backup goes on and tells you when it is done.",
            )),
        ],
    }
}

fn places() -> Topic {
    Topic {
        title: gettext("Where to Keep It"),
        subtitle: gettext("Drives, servers and rented storage"),
        icon: "drive-harddisk-symbolic",
        paragraphs: vec![
            Text(gettext(
                "Keep a backup where fire, theft or a broken disk does not take it together with your files: on a drive \
                 that lies elsewhere, or on a server. Two plans with two places are better than one.",
            )),
            Text(gettext("“Test” says whether the place can be used, and what is there already.")),
            Heading(gettext("Drive")),
            Text(gettext(
                "A drive that you connect is known again wherever it is connected. If it is away when a backup is due, \
                 you are told once, and the backup begins when you connect it. It can be pulled out at any time without \
                 harm to older backups.",
            )),
            Heading(gettext("SSH Server")),
            Text(gettext(
                "Any computer that you can sign in to with SSH. Compare its fingerprint once. A password works; with \
                 “Set Up Sign-In Without a Password” backups can begin by themselves.",
            )),
            Heading(gettext("Rented Storage and Network Folders")),
            Text(gettext(
                "S3 is for storage that is rented by the gigabyte, WebDAV for services such as Nextcloud, and Network \
                 for shared folders of other computers, as the Files application shows them.",
            )),
        ],
    }
}

fn keys() -> Topic {
    Topic {
        title: gettext("Keys and Passphrases"),
        subtitle: gettext("How nobody else can read it, and you always can"),
        icon: "dialog-password-symbolic",
        paragraphs: vec![
            Text(gettext(
                "A key is recommended: whoever has the backup needs both the key and its passphrase to read it. The key \
                 is an OpenPGP key, as gpg has them, and you can use one that you have already.",
            )),
            Text(gettext(
                "Without the key, or without its passphrase, nobody can open the backup, you neither. Nobody can help \
                 you then.",
            )),
            Heading(gettext("Keep the Key Safe")),
            Text(gettext(
                "Keep a copy of the key outside this computer, and print the recovery kit. It holds the key as codes to \
                 photograph and as lines to type, still locked with the passphrase, and says how to restore without \
                 Souvenir. Both are made when you set up a backup, and later under Keys in the menu.",
            )),
            Heading(gettext("Signing")),
            Text(gettext(
                "A signed backup shows whether somebody else has changed it. Signing takes the passphrase of the key \
                 that signs for each backup, so one that begins by itself needs the passphrase to be remembered.",
            )),
            Heading(gettext("Smart Cards")),
            Text(gettext(
                "A key on a card works as well. Its PIN is asked for by the system. What is on a card cannot be copied, \
                 so keep a second key or a copy from before.",
            )),
        ],
    }
}

fn restoring() -> Topic {
    Topic {
        title: gettext("Restoring Files"),
        subtitle: gettext("Folders, single files and older versions"),
        icon: "document-revert-symbolic",
        paragraphs: vec![
            Text(gettext(
                "“Browse and Restore” shows your folders as they were. The arrows above them, or the calendar, lead to \
                 older and newer snapshots. Files that were deleted since are shown too, and say so.",
            )),
            Text(gettext(
                "Search looks for a name in all snapshots, deleted files included. For the file that is selected you see \
                 every version that was ever backed up; texts can be compared.",
            )),
            Text(gettext(
                "Select what you want, choose “Restore…”, and say where to: its original place or another folder. Before \
                 anything is written you see how long it takes and what happens to files that are there already. \
                 Unless you say otherwise they stay as they are.",
            )),
            Text(gettext("You can also drag files from the list into the Files application.")),
        ],
    }
}

fn new_computer() -> Topic {
    Topic {
        title: gettext("On a New Computer"),
        subtitle: gettext("After a theft, a broken disk or a purchase"),
        icon: "computer-symbolic",
        paragraphs: vec![
            Text(gettext(
                "Choose “Restore From a Backup…”, and say where the backup is. On drives that are connected it is found \
                 automatically. If it is protected by a key, choose “Import a Key…” first: with the copy of the key, with \
                 photographs of the recovery kit, or by typing the lines that are printed on it.",
            )),
            Text(gettext(
                "You are told which computer the backup was made on. Then browse and restore as usual. Nothing at that \
                 place is changed.",
            )),
            Text(gettext(
                "To go on backing up to the same place, set up a backup with it as its destination. If the computer has \
                 another name now, you are asked whether it is the same one.",
            )),
            Text(gettext(
                "Backups that duplicity or Déjà Dup (before it used restic) has made can be opened in the same way.",
            )),
        ],
    }
}

fn proof() -> Topic {
    Topic {
        title: gettext("How Sure Can You Be?"),
        subtitle: gettext("Checks, damage and alarms"),
        icon: "security-high-symbolic",
        paragraphs: vec![
            Text(gettext(
                "A backup is only worth what can be restored of it. “Verify…” reads what is stored and compares it with \
                 what was written. “Test a Restore…” brings back a sample of your files and compares it with them. Both \
                 leave a dated report. Plans with a schedule do this by themselves from time to time.",
            )),
            Heading(gettext("If Something Is Damaged")),
            Text(gettext(
                "You are told what is damaged, what it holds and which snapshots that concerns. A restore brings back \
                 everything else and what can still be read of the damaged files, and names each file that is lost. \
                 Make a full backup soon: it needs nothing of the damaged one.",
            )),
            Heading(gettext("If Much More Changed Than Ever Before")),
            Text(gettext(
                "That may have been you, or a program that encrypts your files to blackmail you. Until you have said \
                 which, no older snapshot is deleted.",
            )),
        ],
    }
}

fn space() -> Topic {
    Topic {
        title: gettext("Snapshots and Space"),
        subtitle: gettext("Full and incremental, and how long they are kept"),
        icon: "document-open-recent-symbolic",
        paragraphs: vec![
            Text(gettext(
                "Every backup makes a snapshot: all files as they were then. A full one stands on its own. An incremental \
                 one stores only what has changed and builds on those before it, together they are a chain.",
            )),
            Text(gettext(
                "Now and then a full one begins a new chain, since a long chain takes longer to restore and damage in it \
                 reaches further. It needs as much time and space as the first one did.",
            )),
            Text(gettext(
                "Everything is kept until the place is full, unless you choose otherwise under Keep in the settings of \
                 the plan. A snapshot that others build on stays as long as they do, so space becomes free only after a \
                 new full one.",
            )),
        ],
    }
}

fn without_souvenir() -> Topic {
    Topic {
        title: gettext("Without Souvenir"),
        subtitle: gettext("Other programs that open your backups"),
        icon: "utilities-terminal-symbolic",
        paragraphs: vec![
            Text(gettext(
                "Your backups do not depend on this program. They have the format of duplicity, which every distribution \
                 has:",
            )),
            Command("duplicity restore --use-agent file:///media/drive/backup ~/Restored"),
            Text(gettext("Without encryption, --no-encryption takes the place of --use-agent.")),
            Text(gettext(
                "They can even be opened with gpg and tar alone. The recovery kit has the commands for your own backup.",
            )),
            Heading(gettext("The Command Line")),
            Text(gettext(
                "Everything that the window does, and more, can be done in a terminal, also on computers without a \
                 desktop:",
            )),
            Command("souvenir-cli --help"),
        ],
    }
}
