//! Users and their passwords, of which only hashes are kept: those of the users file, and those of the catalog.
//!
//! ```text
//! # a comment
//! alice:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$...
//! ```

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fluss_core::rights::{check_password, check_user_name};

use super::password::{Cost, Hashed};

/// What others than the owner may do with a file.
const OTHERS: u32 = 0o077;

/// Users by name, with the hashes of their passwords. `Debug` shows the names only.
#[derive(Clone, Default)]
pub struct Users {
    hashes: BTreeMap<String, Hashed>,
    /// One hash of each cost that any has.
    costs: BTreeMap<Cost, Hashed>,
}

/// A users file that cannot be used. It never shows a hash.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserFileError {
    /// The file cannot be read.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is not `user:argon2id-hash`.
    #[error("line {line} of the users file: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A line cannot be made for a name or a password.
    #[error("{0}")]
    Unusable(String),
}

impl Users {
    /// Reads a users file, with a warning if others than its owner can.
    pub fn load(path: &Path) -> Result<Self, UserFileError> {
        let failed = |source| UserFileError::Io {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let mode = std::fs::metadata(path).map_err(failed)?.mode();
        if mode & OTHERS != 0 {
            let mode = format!("{:o}", mode & 0o777);
            tracing::warn!(target: crate::TARGET, file = %path.display(), mode, "others can read or change the users file: chmod 600 keeps them out");
        }
        Self::parse(&text)
    }

    /// Reads the text of a users file: lines of `user:hash`. Empty lines, and those that begin with `#`, say nothing.
    pub fn parse(text: &str) -> Result<Self, UserFileError> {
        let mut users = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, hash) = user(text).map_err(|reason| UserFileError::Line { line, reason })?;
            if users.get(name).is_some() {
                let reason = format!("user '{name}' is there twice");
                return Err(UserFileError::Line { line, reason });
            }
            users.put(name, hash);
        }
        Ok(users)
    }

    /// The hash of a user's password.
    pub(crate) fn get(&self, name: &str) -> Option<&Hashed> {
        self.hashes.get(name)
    }

    /// The names and hashes, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Hashed)> {
        self.hashes.iter().map(|(name, hash)| (name.as_str(), hash))
    }

    /// One hash of each cost that any has.
    pub(super) const fn costs(&self) -> &BTreeMap<Cost, Hashed> {
        &self.costs
    }

    /// The number of users.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Puts a user in, or gives it another password.
    pub(crate) fn put(&mut self, name: &str, hash: Hashed) {
        let before = self.hashes.insert(name.to_owned(), hash.clone());
        self.costs.entry(hash.cost()).or_insert(hash);
        if before.is_some() {
            self.count_costs();
        }
    }

    /// Takes a user out. Returns whether there was one.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let is_removed = self.hashes.remove(name).is_some();
        if is_removed {
            self.count_costs();
        }
        is_removed
    }

    fn count_costs(&mut self) {
        let hashes = self.hashes.values();
        self.costs = hashes.map(|hash| (hash.cost(), hash.clone())).collect();
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.hashes.keys()).finish()
    }
}

/// The line of a users file for a user with a password, with a new salt and the costs that OWASP recommends.
///
/// # Errors
/// A name or password that no client can send, that is too long, or that the file cannot hold.
pub fn user_line(name: &str, password: &str) -> Result<String, UserFileError> {
    let unusable = UserFileError::Unusable;
    check_user_name(name).map_err(|error| unusable(error.to_string()))?;
    check_password(password).map_err(|error| unusable(error.to_string()))?;
    let hash = Hashed::of(password).map_err(unusable)?;
    Ok(format!("{name}:{}", hash.text()))
}

fn user(text: &str) -> Result<(&str, Hashed), String> {
    let (name, hash) = text.split_once(':').ok_or("'user:hash' expected")?;
    check_user_name(name).map_err(|error| error.to_string())?;
    let hash = Hashed::parse(hash).map_err(|reason| format!("the hash of user '{name}' {reason}"))?;
    Ok((name, hash))
}

#[cfg(test)]
pub(super) mod tests {
    use argon2::password_hash::{PasswordHasher, SaltString};
    use argon2::{Algorithm, Argon2, Params};
    use fluss_rpc::sasl::PlainToken;

    use super::*;

    /// A line at the lowest cost there is.
    pub(in crate::security) fn cheap(name: &str, password: &str) -> String {
        let params = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params);
        let salt = SaltString::from_b64("c2FsdHNhbHQ").unwrap();
        format!(
            "{name}:{}",
            argon2.hash_password(password.as_bytes(), &salt).unwrap()
        )
    }

    pub(in crate::security) fn token(username: &str, password: &str) -> PlainToken {
        PlainToken {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn a_file_has_a_line_for_each_user() {
        let file = format!(
            "# who may connect\n\n{}\r\n  {}  \n",
            cheap("jürgen", "ö"),
            cheap("alice", "a:b#c")
        );
        let users = Users::parse(&file).unwrap();
        let names: Vec<_> = users.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["alice", "jürgen"]);
        assert!(Users::parse("").unwrap().is_empty());
    }

    #[test]
    fn the_costs_are_those_of_the_users_that_there_are() {
        let mut users = Users::parse(&cheap("alice", "secret")).unwrap();
        let cheap = users.get("alice").unwrap().cost();
        users.put("bob", Hashed::of("secret").unwrap());
        assert_eq!(users.costs().len(), 2);
        users.put("alice", Hashed::of("secret").unwrap());
        assert!(users.costs().len() == 1 && !users.costs().contains_key(&cheap));
        assert!(users.remove("alice") && users.remove("bob"));
        assert!(users.costs().is_empty());
    }

    #[test]
    fn a_line_made_for_a_user_is_one_of_a_file() {
        let line = user_line("alice", "secret").unwrap();
        assert!(
            line.starts_with("alice:$argon2id$v=19$m=19456,t=2,p=1$"),
            "{line}"
        );
        assert_ne!(
            line,
            user_line("alice", "secret").unwrap(),
            "every line has a salt of its own"
        );
        assert!(Users::parse(&line).unwrap().get("alice").is_some());
        for (name, password) in [
            ("", "a"),
            ("a:b", "a"),
            (" a", "a"),
            ("#a", "a"),
            ("a\nb", "a"),
            ("a", ""),
            ("a", "\0"),
        ] {
            assert!(user_line(name, password).is_err(), "{name:?} {password:?}");
        }
    }

    #[test]
    fn faults_name_their_line() {
        let good = cheap("alice", "secret");
        let other = good.replace("argon2id", "argon2i");
        for (line, reason) in [
            ("alice", "'user:hash' expected"),
            (":x", "user \"\": it is empty"),
            (
                "alice:secret",
                "the hash of user 'alice' cannot be read: password hash string missing field",
            ),
            (&other, "the hash of user 'alice' is argon2i, not argon2id"),
            (
                "alice:$argon2id$v=19$m=8,t=1,p=1",
                "the hash of user 'alice' is not complete",
            ),
            (
                "alice:$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0",
                "the hash of user 'alice' cannot be used: ",
            ),
        ] {
            let error = Users::parse(&format!("# comment\n\n{line}"))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("line 3 of the users file: {reason}")),
                "{error}"
            );
        }
        let twice = Users::parse(&format!("{good}\n{good}")).unwrap_err();
        assert_eq!(
            twice.to_string(),
            "line 2 of the users file: user 'alice' is there twice"
        );
        assert!(Users::load(Path::new("/does/not/exist")).is_err());
    }

    #[test]
    fn hashes_are_not_printed() {
        let users = Users::parse(&cheap("alice", "secret")).unwrap();
        assert_eq!(format!("{users:?}"), r#"{"alice"}"#);
    }
}
