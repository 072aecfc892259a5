//! `fluss add-user`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use clap::Args;
use fluss_server::security::user_line;

use crate::{Refused, password};

/// The most that may be done with a users file, by its owner alone.
const MODE: u32 = 0o600;

#[derive(Debug, Args)]
pub(crate) struct AddUser {
    /// The users file; it is created if need be
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name of the user
    #[arg(value_name = "NAME")]
    name: String,
}

impl AddUser {
    pub(crate) fn run(&self) -> Result<(), Refused> {
        let password = password::from_stdin()?;
        let line = user_line(&self.name, &password).map_err(|error| Refused(error.to_string()))?;
        self.put(&line)
            .map_err(|error| Refused(format!("{}: {error}", self.file.display())))
    }

    /// Puts the user's line in place of the one that was there. The file is replaced as a whole, so that nobody reads half
    /// of it. Only its owner can read it, who stays the same.
    fn put(&self, line: &str) -> io::Result<()> {
        // A link stays one.
        let file = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let (text, before) = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), None),
            text => (text?, Some(fs::metadata(&file)?)),
        };
        let prefix = format!("{}:", self.name);
        let others = text.lines().filter(|line| !line.starts_with(&prefix));
        let lines: Vec<_> = others.chain([line]).collect();
        let new = beside(&file);
        let written = write_private(&new, &(lines.join("\n") + "\n"), before.as_ref());
        let replaced = written.and_then(|()| fs::rename(&new, &file));
        if replaced.is_err() {
            // Whether it goes or stays, nothing refers to it.
            let _ = fs::remove_file(&new);
        }
        replaced
    }
}

/// A name for the file until it is whole.
fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.new"))
}

/// Writes a file that only its owner can read, and write unless the one that it replaces could not be written.
fn write_private(path: &Path, text: &str, before: Option<&fs::Metadata>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(MODE).open(path)?;
    if let Some(before) = before {
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(before.mode() & MODE))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn only_the_owner_can_read_a_users_file() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("users.txt");
        let add = |name: &str| {
            let name = name.to_owned();
            AddUser {
                file: file.clone(),
                name,
            }
            .put("a:hash")
            .unwrap();
        };
        add("a");
        assert_eq!(mode(&file), 0o600);
        for (before, after) in [(0o600, 0o600), (0o400, 0o400), (0o644, 0o600), (0o660, 0o600)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(before)).unwrap();
            add("a");
            assert_eq!(mode(&file), after, "{before:o}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "a:hash\n");
        let names: Vec<_> = fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["users.txt"], "nothing else is left");
    }

    #[test]
    fn a_link_to_a_users_file_stays_one() {
        let place = tempfile::tempdir().unwrap();
        let (file, link) = (place.path().join("users"), place.path().join("link"));
        fs::write(&file, "b:other\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let name = "a".to_owned();
        AddUser {
            file: link.clone(),
            name,
        }
        .put("a:hash")
        .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "b:other\na:hash\n");
    }
}
