//! Who may connect, and who may do what.

mod access;
mod acl;
mod caller;
mod everybody;
mod logins;
mod password;
mod users;

pub use access::Access;
pub use acl::Acls;
pub use caller::Caller;
pub(crate) use everybody::{Everybody, Known};
pub use fluss_core::rights::{Acl, AclFilter, Operation, Principal, Resource, ResourceKind};
pub(crate) use logins::Logins;
pub use password::Hashed;
pub use users::{UserFileError, Users, user_line};
