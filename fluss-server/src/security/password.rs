//! Passwords as they are kept.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params};

/// What the time depends on that it takes to compute a hash: memory, passes, lanes, and the lengths of the hash and of its
/// salt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
    hash_bytes: usize,
    salt_chars: usize,
}

/// A password as it is kept: its argon2id hash with salt and costs, in the format of PHC strings. `Debug` does not show it.
/// Two of the same password differ.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed {
    text: Arc<str>,
    cost: Cost,
}

impl Hashed {
    /// Hashes a password, with a new salt and the costs that OWASP recommends. This takes a core for tens of milliseconds, on
    /// purpose.
    ///
    /// # Errors
    ///
    /// What the computation says of it.
    pub(crate) fn of(password: &str) -> Result<Self, String> {
        // From the system, never from a seed.
        let salt = SaltString::generate(&mut OsRng);
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
        Self::parse(&hash.map_err(|error| error.to_string())?.to_string())
    }

    /// Reads a hash that was kept. What is said of one that cannot be used does not show it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let hash = PasswordHash::new(text).map_err(|error| format!("cannot be read: {error}"))?;
        if hash.algorithm != Algorithm::Argon2id.ident() {
            return Err(format!("is {}, not argon2id", hash.algorithm));
        }
        let (Some(output), Some(salt)) = (hash.hash, hash.salt) else {
            return Err("is not complete".to_owned());
        };
        let params = Params::try_from(&hash).map_err(|error| format!("cannot be used: {error}"))?;
        Ok(Self {
            cost: Cost {
                memory: params.m_cost(),
                passes: params.t_cost(),
                lanes: params.p_cost(),
                hash_bytes: output.len(),
                salt_chars: salt.len(),
            },
            text: text.into(),
        })
    }

    /// The PHC string.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(super) const fn cost(&self) -> Cost {
        self.cost
    }

    /// Computes the hash of a password with the same salt and costs, and returns whether it is the same.
    pub(super) fn fits(&self, password: &str) -> bool {
        PasswordHash::new(&self.text).is_ok_and(|hash| {
            let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
            verified.is_ok()
        })
    }
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hashed_with_a_salt_of_its_own_and_not_printed() {
        let hashed = Hashed::of("secret").unwrap();
        assert!(
            hashed.text().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hashed.text()
        );
        assert!(hashed.fits("secret") && !hashed.fits("Secret") && !hashed.fits(""));
        assert_ne!(hashed, Hashed::of("secret").unwrap());
        assert_eq!(Hashed::parse(hashed.text()), Ok(hashed.clone()));
        assert_eq!(format!("{hashed:?}"), "***");
    }
}
