//! Who asks, and whether they may (`behaviour.md` §8.6).

use std::collections::BTreeSet;

use fluss_core::rights::{Operation, Principal, Resource};
use fluss_rpc::code::ErrorCode;

use super::acl::Acls;
use super::caller::Caller;
use crate::Failure;

/// Whether rights are asked for at all, and who needs none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Access {
    /// Everybody may do everything.
    #[default]
    Open,
    /// Only what was allowed may be done.
    Controlled {
        /// These may do everything.
        super_users: BTreeSet<Principal>,
    },
}

impl Access {
    /// Whether rights are asked for.
    pub const fn is_controlled(&self) -> bool {
        matches!(self, Self::Controlled { .. })
    }

    /// Whether a user may do everything, whatever rights were given.
    pub fn is_super_user(&self, principal: &Principal) -> bool {
        match self {
            Self::Open => false,
            Self::Controlled { super_users } => super_users.contains(principal),
        }
    }

    /// Whether a caller may do something to a resource.
    pub fn allows(&self, acls: &Acls, caller: &Caller, operation: Operation, resource: &Resource) -> bool {
        match self {
            Self::Open => true,
            Self::Controlled { super_users } => {
                caller.is_internal
                    || super_users.contains(&caller.principal)
                    || acls.allow(caller, operation, resource)
            }
        }
    }

    /// Refuses what a caller may not do.
    ///
    /// # Errors
    /// `AUTHORIZATION_EXCEPTION`.
    pub fn check(
        &self,
        acls: &Acls,
        caller: &Caller,
        operation: Operation,
        resource: &Resource,
    ) -> Result<(), Failure> {
        if self.allows(acls, caller, operation, resource) {
            return Ok(());
        }
        Err(Failure::new(
            ErrorCode::AUTHORIZATION_EXCEPTION,
            format!("{} may not {operation} {resource}", caller.principal),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn super_users_and_the_process_itself_need_no_entries() {
        let super_users = Principal::parse_list("User:root; Group:admins;").unwrap();
        let access = Access::Controlled {
            super_users: super_users.into_iter().collect(),
        };
        let asks = |access: &Access, caller: &Caller| {
            access.allows(&Acls::default(), caller, Operation::Drop, &Resource::cluster())
        };
        let user = |name| Caller::new(Principal::user(name), "10.0.0.1");
        assert!(asks(&access, &user("root")) && asks(&access, &Caller::internal()));
        assert!(!asks(&access, &user("admins")) && !asks(&access, &user("ANONYMOUS")));
        assert!(asks(&Access::Open, &user("anybody")));
    }

    #[test]
    fn a_refusal_says_who_may_not_do_what() {
        let access = Access::Controlled {
            super_users: BTreeSet::new(),
        };
        let caller = Caller::new(Principal::user("alice"), "10.0.0.1");
        let refusal = access.check(
            &Acls::default(),
            &caller,
            Operation::Create,
            &Resource::database("db"),
        );
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::AUTHORIZATION_EXCEPTION);
        assert_eq!(refusal.message, "User:alice may not create in database 'db'");
    }
}
