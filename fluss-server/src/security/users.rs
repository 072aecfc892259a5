//! The users file: who may connect, with which password.
//!
//! ```text
//! # a comment
//! alice:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$...
//! ```

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHashString, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::sasl::PlainToken;

use super::access::Principal;
use crate::Failure;

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
    /// Reads a users file.
    pub fn load(path: &Path) -> Result<Self, UserFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| UserFileError::Io {
            path: path.to_owned(),
            source,
        })?;
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
