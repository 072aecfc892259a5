//! Who may connect, and who may do what.

mod access;
mod acl;
mod users;

pub use access::{Access, Caller, Principal};
pub use acl::{Acl, AclFilter, Acls, Operation, Resource, ResourceKind};
pub use users::{UserFileError, Users, user_line};
