//! Messages with a password or a key in them, printed without it.

use std::fmt;

use super::{AlterUserRequest, AuthenticateRequest, CreateUserRequest, GetFileSystemSecurityTokenResponse};

/// What stands for a secret.
const HIDDEN: &str = "***";

impl fmt::Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateRequest")
            .field("protocol", &self.protocol)
            .field("token", &HIDDEN)
            .finish()
    }
}

impl fmt::Debug for CreateUserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUserRequest")
            .field("user_name", &self.user_name)
            .field("password", &HIDDEN)
            .field("ignore_if_exists", &self.ignore_if_exists)
            .finish()
    }
}

impl fmt::Debug for AlterUserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlterUserRequest")
            .field("user_name", &self.user_name)
            .field("password", &HIDDEN)
            .field("ignore_if_not_exists", &self.ignore_if_not_exists)
            .finish()
    }
}

/// Without what it adds, too, which is whatever the file system needs.
impl fmt::Debug for GetFileSystemSecurityTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetFileSystemSecurityTokenResponse")
            .field("schema", &self.schema)
            .field("token", &HIDDEN)
            .field("expiration_time", &self.expiration_time)
            .finish_non_exhaustive()
    }
}
