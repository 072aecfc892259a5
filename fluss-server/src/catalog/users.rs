//! Users that are created, altered and dropped while the node runs.

use std::sync::Arc;

use fluss_rpc::code::ErrorCode;
use fluss_store::OpenError;

use super::{Catalog, Outcome, View};
use crate::Failure;
use crate::security::{AclFilter, Hashed, Principal, Users};

/// The most users that a catalog has: each change writes them all.
const MOST_USERS: usize = 10_000;

impl Catalog {
    /// Refuses a users file that has a name of the catalog: nobody could tell which password counts.
    pub(crate) fn check_users(&self, of_file: &Users) -> Result<(), OpenError> {
        let view = self.view();
        let both = of_file.iter().find(|(name, _)| view.users.get(name).is_some());
        both.map_or(Ok(()), |(name, _)| {
            Err(OpenError::Contradiction {
                path: "catalog".into(),
                reason: format!(
                    "user {name:?} is in the users file, too: take it out of there, or drop it here (fluss user drop embedded:DIRECTORY)"
                ),
            })
        })
    }

    /// Creates a user; with `or_keep`, one that exists stays as it is.
    ///
    /// # Errors
    /// `USER_ALREADY_EXIST`; `OPERATION_NOT_ATTEMPTED` for one too many; the disk's.
    pub fn create_user(&self, name: &str, hash: Hashed, or_keep: bool) -> Result<(), Failure> {
        self.change(|view| {
            if view.users.get(name).is_some() {
                return if or_keep {
                    Ok(Outcome::Same(()))
                } else {
                    Err(Failure::new(
                        ErrorCode::USER_ALREADY_EXIST,
                        format!("user {name:?} exists"),
                    ))
                };
            }
            if view.users.len() >= MOST_USERS {
                return Err(Failure::new(
                    ErrorCode::OPERATION_NOT_ATTEMPTED,
                    format!("there are {MOST_USERS} users, and no more can be created"),
                ));
            }
            Arc::make_mut(&mut view.users).put(name, hash);
            Ok(Outcome::New(()))
        })
    }

    /// Gives a user another password; with `if_exists`, one that is missing is fine.
    ///
    /// # Errors
    /// `USER_NOT_EXIST`; the disk's.
    pub fn alter_user(&self, name: &str, hash: Hashed, if_exists: bool) -> Result<(), Failure> {
        self.change_user(name, if_exists, |view| {
            Arc::make_mut(&mut view.users).put(name, hash);
            Ok(())
        })
    }

    /// Drops a user, and with it the rights that it was given: the next of this name has none of them. With `if_exists`, one that
    /// is missing is fine. The last is only dropped with `or_last`.
    ///
    /// # Errors
    /// `USER_NOT_EXIST`; `OPERATION_NOT_ATTEMPTED` for the last; the disk's.
    pub fn drop_user(&self, name: &str, if_exists: bool, or_last: bool) -> Result<(), Failure> {
        self.change_user(name, if_exists, |view| {
            if view.users.len() == 1 && !or_last {
                return Err(Failure::new(
                    ErrorCode::OPERATION_NOT_ATTEMPTED,
                    format!("user {name:?} is the last, and nobody could log in any more"),
                ));
            }
            Arc::make_mut(&mut view.users).remove(name);
            let of_user = AclFilter {
                principal: Some(Principal::user(name)),
                ..AclFilter::default()
            };
            Arc::make_mut(&mut view.acls).remove(&of_user);
            Ok(())
        })
    }

    /// Makes the next view of one that has this user; with `if_exists`, there is none if the user is missing.
    fn change_user(
        &self,
        name: &str,
        if_exists: bool,
        change: impl FnOnce(&mut View) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.change(|view| match view.user(name) {
            Ok(_) => change(view).map(Outcome::New),
            Err(_) if if_exists => Ok(Outcome::Same(())),
            Err(missing) => Err(missing),
        })
    }
}

impl View {
    /// The users that were created while the node ran.
    pub(crate) fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// The password of a user.
    ///
    /// # Errors
    /// `USER_NOT_EXIST`.
    pub(crate) fn user(&self, name: &str) -> Result<&Hashed, Failure> {
        self.users
            .get(name)
            .ok_or_else(|| Failure::new(ErrorCode::USER_NOT_EXIST, format!("user {name:?} does not exist")))
    }
}
