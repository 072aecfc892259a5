//! Every file of a directory, changed in every way while the node is stopped.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use fluss_core::id::Offset;
use fluss_server::OpenError;

use crate::contents::Log;
use crate::copy::{copy, files};
use crate::directory::{Directory, End, directory, read};
use crate::frames::{Read, Reads};

/// What others do to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Removed,
    Emptied,
    Halved,
    OneByteShorter,
    Longer,
    Zeroed,
    /// A bit at so many thousandths of the length.
    Flipped(u64),
}

const DAMAGES: [Damage; 10] = [
    Damage::Removed,
    Damage::Emptied,
    Damage::Halved,
    Damage::OneByteShorter,
    Damage::Longer,
    Damage::Zeroed,
    Damage::Flipped(0),
    Damage::Flipped(300),
    Damage::Flipped(600),
    Damage::Flipped(999),
];

impl Damage {
    fn apply(self, path: &Path) {
        if matches!(self, Self::Removed) {
            return fs::remove_file(path).unwrap();
        }
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let length = file.metadata().unwrap().len();
        match self {
            Self::Removed => {}
            Self::Emptied => file.set_len(0).unwrap(),
            Self::Halved => file.set_len(length / 2).unwrap(),
            Self::OneByteShorter => file.set_len(length.saturating_sub(1)).unwrap(),
            Self::Longer => file.write_all_at(&[0xff; 100], length).unwrap(),
            Self::Zeroed => {
                file.set_len(0).unwrap();
                file.set_len(length).unwrap();
            }
            Self::Flipped(thousandths) => flip(&file, length * thousandths / 1_000),
        }
    }
}

/// Changes a bit of a byte, if there is one.
pub(crate) fn flip(file: &File, at: u64) {
    let mut byte = [0];
    if file.read_at(&mut byte, at).unwrap() == 1 {
        file.write_all_at(&[byte[0] ^ 1 << (at % 8)], at).unwrap();
    }
}

/// What a damage has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Harmless,
    Told,
}

/// One damage to one file.
struct Case<'a> {
    directory: &'a Directory,
    path: &'a Path,
    damage: Damage,
}

impl Case<'_> {
    fn run(&self) -> Outcome {
        let copy = copy(self.directory.place.path());
        self.damage.apply(&copy.path().join(self.path));
        match read(&copy) {
            Ok(reads) => self.check(&reads),
            Err(error) => {
                self.check_is_named(&described(&error));
                Outcome::Told
            }
        }
    }

    /// Whatever is read is as it was written, and whatever is not is told of with the file.
    fn check(&self, reads: &Reads) -> Outcome {
        let Directory { known, starts, .. } = self.directory;
        let ends = known.ends();
        known.check_events(&reads.events.found);
        known.check_changes(&reads.changes.found);
        self.check_is_whole(&reads.events, starts.events, ends.events);
        self.check_is_whole(&reads.changes, starts.changes, ends.changes);
        if let Some(rows) = &reads.rows.found {
            let is_read = reads.changes.refused.is_none();
            let end = if is_read {
                reads.changes.found.end()
            } else {
                ends.changes
            };
            assert_eq!(rows, &known.rows_at(end));
        }
        let refusals: Vec<_> = reads.refusals().collect();
        for message in &refusals {
            self.check_is_named(message);
        }
        if refusals.is_empty() {
            Outcome::Harmless
        } else {
            Outcome::Told
        }
    }

    /// A log that is read to its end is all there, but for what looks like a crash in the middle of an append.
    fn check_is_whole<T>(&self, read: &Read<Log<T>>, start: Offset, end: Offset) {
        if read.refused.is_some() {
            return;
        }
        let is_log = self.path.extension().is_some_and(|kind| kind == "log");
        let may_be_torn =
            is_log && self.directory.end == End::Killed && !matches!(self.damage, Damage::Removed);
        let (from, to) = (read.found.start, read.found.end());
        assert_eq!(from, start, "where it begins");
        assert!(to == end || to < end && may_be_torn, "it ends at {to}, not {end}");
    }

    /// The file is named; of one that is gone, at least the directory.
    fn check_is_named(&self, message: &str) {
        let named = match self.damage {
            Damage::Removed => self.path.parent().unwrap(),
            _ => self.path,
        };
        assert!(message.contains(named.to_str().unwrap()), "{message}");
    }
}

/// What is wrong, as the one who opens a node is told.
fn described(error: &OpenError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Nobody but the owner can look into what a node writes, whoever can look into the directory.
#[test]
fn files_are_their_owner_s() {
    let directory = directory(End::Closed);
    let root = directory.place.path();
    let mut looked_at = 0;
    for path in files(root) {
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&root.join(&path)), 0o600, "{}", path.display());
        let above = path
            .ancestors()
            .skip(1)
            .filter(|path| !path.as_os_str().is_empty());
        for above in above {
            assert_eq!(mode(&root.join(above)), 0o700, "{}", above.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 10, "{looked_at}");
}

fn damage_all(directory: &Directory) -> [usize; 2] {
    let mut outcomes = [0; 2];
    for path in files(directory.place.path()) {
        for damage in DAMAGES {
            println!("{} {damage:?}", path.display());
            let case = Case {
                directory,
                path: &path,
                damage,
            };
            outcomes[case.run() as usize] += 1;
        }
    }
    println!("{} harmless, {} told", outcomes[0], outcomes[1]);
    outcomes
}

#[test]
fn a_closed_directory_gives_nothing_else_than_was_written_whatever_is_done_to_it() {
    let [harmless, told] = damage_all(&directory(End::Closed));
    assert!(harmless > 50 && told > 50);
}

#[test]
fn the_directory_of_a_killed_node_gives_nothing_else_than_was_written_whatever_is_done_to_it() {
    let [harmless, told] = damage_all(&directory(End::Killed));
    assert!(harmless > 50 && told > 50);
}
