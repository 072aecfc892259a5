//! The rows of a table, which can be made again: LMDB's files, and the checkpoints that they are made from.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::copy::copy;
use crate::directory::{Directory, End, STATE, checkpoint, checkpoints, directory, read};
use crate::files::flip;

const PAGE: u64 = 4_096;

/// What each of the first two pages says that is recognised when it is wrong: where, in bytes from the beginning of the
/// page. A root that is another page of the file is not, nor is a wrong number of entries: nothing else tells of them.
const TOLD_BY_HEADS: [(&str, std::ops::Range<u64>); 10] = [
    ("page number", 0..8),
    ("kind of page", 10..12),
    ("magic and version", 16..24),
    ("size of a page", 40..44),
    ("flags of the tree of free pages", 44..46),
    ("root of the tree of free pages, beyond any file", 84..88),
    ("flags of the tree of rows", 92..94),
    ("root of the tree of rows, beyond any file", 132..136),
    ("last page, beyond any file", 140..144),
    ("transaction", 144..152),
];

fn live(directory: &Path) -> PathBuf {
    directory.join(STATE).join("live")
}

fn data(directory: &TempDir) -> PathBuf {
    live(directory.path()).join("data.mdb")
}

/// All is there, as it was written.
fn check(directory: &Directory, copy: &TempDir) {
    let reads = read(copy).unwrap();
    let (known, ends) = (&directory.known, directory.known.ends());
    assert_eq!(reads.refusals().next(), None);
    assert_eq!(reads.changes.found.end(), ends.changes);
    assert_eq!(reads.rows.found, Some(known.rows_at(ends.changes)));
}

fn check_changed(directory: &Directory, change: impl FnOnce(&TempDir)) {
    let copy = copy(directory.place.path());
    change(&copy);
    check(directory, &copy);
}

fn each(test: impl Fn(&Directory)) {
    test(&directory(End::Closed));
    test(&directory(End::Killed));
}

#[test]
fn rows_that_were_removed_are_made_again() {
    each(|directory| {
        let copy = copy(directory.place.path());
        fs::remove_dir_all(live(copy.path())).unwrap();
        check(directory, &copy);
        // What was made again is good for the next time.
        check(directory, &copy);
        check_changed(directory, |copy| fs::remove_file(data(copy)).unwrap());
        check_changed(directory, |copy| {
            fs::remove_file(live(copy.path()).join("lock.mdb")).unwrap();
        });
        check_changed(directory, |copy| {
            fs::write(live(copy.path()).join("lock.mdb"), [0xff; 10_000]).unwrap();
        });
    });
}

#[test]
fn rows_whose_file_was_cut_or_overwritten_are_made_again() {
    each(|directory| {
        for length in [0, 1, 2, 3, 5, 8, 13, 21].map(|pages| pages * PAGE + pages % 2 * 100) {
            println!("{length} bytes are left");
            check_changed(directory, |copy| {
                let file = OpenOptions::new().write(true).open(data(copy)).unwrap();
                file.set_len(length).unwrap();
            });
        }
        for byte in [0, 0xff, b'x'] {
            check_changed(directory, |copy| {
                fs::write(data(copy), vec![byte; 100_000]).unwrap();
            });
        }
    });
}

#[test]
fn rows_whose_file_begins_with_something_else_are_made_again() {
    each(|directory| {
        for (what, places) in TOLD_BY_HEADS {
            for at in places.flat_map(|at| [at, at + PAGE]) {
                println!("{what} at {at}");
                check_changed(directory, |copy| {
                    let file = OpenOptions::new().read(true).write(true).open(data(copy));
                    flip(&file.unwrap(), at);
                });
            }
        }
    });
}

/// Changes a byte in the middle of the checkpoints of some offsets, and has rows made again from what is left.
fn without_rows_and(copy: &TempDir, damaged: &[i64]) {
    fs::remove_dir_all(live(copy.path())).unwrap();
    for offset in damaged {
        let path = copy.path().join(STATE).join(checkpoint(*offset));
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        flip(&file, file.metadata().unwrap().len() / 2);
    }
}

#[test]
fn one_of_two_checkpoints_is_enough() {
    each(|directory| {
        let offsets = checkpoints(directory.place.path());
        assert_eq!(offsets.len(), 2);
        for offset in offsets {
            check_changed(directory, |copy| without_rows_and(copy, &[offset]));
        }
    });
}

#[test]
fn without_checkpoints_the_rows_are_not_guessed() {
    each(|directory| {
        let offsets = checkpoints(directory.place.path());
        let copy = copy(directory.place.path());
        without_rows_and(&copy, &offsets);
        let reads = read(&copy).unwrap();
        let (rows, newest) = (reads.rows, checkpoint(offsets[1]));
        assert_eq!(rows.found, None);
        let refused = rows.refused.unwrap();
        let expected = format!("{STATE}/{newest} is damaged at byte ");
        assert!(refused.contains(&expected), "{refused}");
    });
}
