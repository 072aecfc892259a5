//! Who may connect, and who may do what.

mod access;
mod acl;
mod caller;
mod logins;
mod users;

pub use access::Access;
pub use acl::Acls;
pub use caller::Caller;
pub use fluss_core::rights::{Acl, AclFilter, Operation, Principal, Resource, ResourceKind};
pub(crate) use logins::Logins;
pub use users::{UserFileError, Users, user_line};
