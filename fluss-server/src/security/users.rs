//! The users file: who may connect, with which password.
//!
//! ```text
//! # a comment
//! alice:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$...
//! ```

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHashString, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::sasl::PlainToken;

use super::Principal;
use crate::Failure;

/// What others than the owner may do with a file.
const OTHERS: u32 = 0o077;

/// The users of a node. `Debug` shows their names only.
#[derive(Clone)]
pub struct Users {
    hashes: HashMap<String, PasswordHashString>,
    /// A hash of the same cost as the others, so that an unknown user takes as long as a wrong password.
    decoy: Option<PasswordHashString>,
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
        let mut hashes = HashMap::new();
        let mut decoy = None;
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, hash) = user(text).map_err(|reason| UserFileError::Line { line, reason })?;
            decoy.get_or_insert_with(|| hash.clone());
            if hashes.insert(name.to_owned(), hash).is_some() {
                let reason = format!("user '{name}' is there twice");
                return Err(UserFileError::Line { line, reason });
            }
        }
        Ok(Self { hashes, decoy })
    }

    /// Checks who somebody claims to be. This takes a core for tens of milliseconds, on purpose: it does not belong on
    /// a thread that others wait for.
    ///
    /// # Errors
    /// `AUTHENTICATE_EXCEPTION`, with one text for unknown users and wrong passwords.
    pub fn verify(&self, token: &PlainToken) -> Result<Principal, Failure> {
        let hash = self.hashes.get(&token.username);
        let fits = hash.or(self.decoy.as_ref()).is_some_and(|hash| {
            let verified =
                Argon2::default().verify_password(token.password.as_bytes(), &hash.password_hash());
            verified.is_ok()
        });
        if fits && hash.is_some() {
            return Ok(Principal::user(&token.username));
        }
        Err(Failure::new(
            ErrorCode::AUTHENTICATE_EXCEPTION,
            "the user name or the password is wrong",
        ))
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
/// A name or password that no client can send, or a name that the file cannot hold.
pub fn user_line(name: &str, password: &str) -> Result<String, UserFileError> {
    check_name(name).map_err(UserFileError::Unusable)?;
    if password.is_empty() || password.contains('\0') {
        return Err(UserFileError::Unusable(
            "the password is empty, or has a NUL in it".to_owned(),
        ));
    }
    // From the system, never from a seed.
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(|error| UserFileError::Unusable(error.to_string()))?;
    Ok(format!("{name}:{hash}"))
}

fn user(text: &str) -> Result<(&str, PasswordHashString), String> {
    let (name, hash) = text.split_once(':').ok_or("'user:hash' expected")?;
    check_name(name)?;
    let hash = PasswordHash::new(hash).map_err(|error| format!("the hash of user '{name}': {error}"))?;
    if hash.algorithm != Algorithm::Argon2id.ident() {
        return Err(format!(
            "the hash of user '{name}' is {}, not argon2id",
            hash.algorithm
        ));
    }
    if hash.hash.is_none() || hash.salt.is_none() {
        return Err(format!("the hash of user '{name}' is not complete"));
    }
    argon2::Params::try_from(&hash).map_err(|error| format!("the hash of user '{name}': {error}"))?;
    Ok((name, hash.serialize()))
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.trim() != name || name.starts_with('#') {
        return Err(format!("'{name}' is no name of a user"));
    }
    match name.chars().find(|c| c.is_control() || *c == ':') {
        Some(bad) => Err(format!("a user's name cannot have {bad:?} in it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    /// A line at the lowest cost there is.
    fn cheap(name: &str, password: &str) -> String {
        let params = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params);
        let salt = SaltString::from_b64("c2FsdHNhbHQ").unwrap();
        format!(
            "{name}:{}",
            argon2.hash_password(password.as_bytes(), &salt).unwrap()
        )
    }

    fn token(username: &str, password: &str) -> PlainToken {
        PlainToken {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn a_user_has_one_password() {
        let file = format!(
            "# who may connect\n\n{}\r\n  {}  \n",
            cheap("alice", "a:b#c"),
            cheap("jürgen", "ö")
        );
        let users = Users::parse(&file).unwrap();
        assert_eq!(
            users.verify(&token("alice", "a:b#c")).unwrap(),
            Principal::user("alice")
        );
        assert_eq!(
            users.verify(&token("jürgen", "ö")).unwrap(),
            Principal::user("jürgen")
        );
        let refusals = [("alice", "ö"), ("alice", ""), ("bob", "a:b#c"), ("", "")]
            .map(|(name, password)| users.verify(&token(name, password)).unwrap_err());
        assert!(
            refusals.iter().all(|refusal| *refusal == refusals[0]),
            "{refusals:?}"
        );
        assert_eq!(refusals[0].code, ErrorCode::AUTHENTICATE_EXCEPTION);
        assert!(Users::parse("").unwrap().verify(&token("alice", "a")).is_err());
    }

    #[test]
    fn an_unknown_user_costs_what_a_known_one_does() {
        let users = Users::parse(&cheap("alice", "secret")).unwrap();
        let decoy = users.decoy.clone().unwrap();
        assert_eq!(
            decoy.password_hash().params,
            users.hashes["alice"].password_hash().params
        );
        assert!(
            users.verify(&token("bob", "secret")).is_err(),
            "a decoy that fits lets nobody in"
        );
    }

    #[test]
    fn a_line_made_for_a_user_lets_that_user_in() {
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
        let users = Users::parse(&line).unwrap();
        assert!(users.verify(&token("alice", "secret")).is_ok());
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
            (":x", "'' is no name of a user"),
            (
                "alice:secret",
                "the hash of user 'alice': password hash string missing field",
            ),
            (&other, "the hash of user 'alice' is argon2i, not argon2id"),
            (
                "alice:$argon2id$v=19$m=8,t=1,p=1",
                "the hash of user 'alice' is not complete",
            ),
            (
                "alice:$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0",
                "the hash of user 'alice': ",
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
