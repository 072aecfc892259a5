//! Messages with a password in them, printed without it.

use std::fmt;

use super::{AlterUserRequest, AuthenticateRequest, CreateUserRequest};

/// What stands for a password.
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
