//! Users of an embedded node, which are created, altered and dropped while it runs.

use std::fmt;

use fluss_core::DecodeError;
use fluss_core::rights::{check_password, check_user_name};
use fluss_core::types::InvalidDefinition;
use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, ErrorKind, Result};

/// A user of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UserInfo {
    /// The name.
    pub name: String,
    /// Where the user stands.
    pub source: UserSource,
}

/// Where a user of a node stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum UserSource {
    /// In the users file, which the node reads when it starts. Such a user is changed there (`fluss add-user`).
    File,
    /// In the catalog of the node. Such a user is created, altered and dropped while the node runs.
    Catalog,
}

impl UserSource {
    fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::File),
            2 => Some(Self::Catalog),
            _ => None,
        }
    }
}

impl fmt::Display for UserSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Catalog => "catalog",
        })
    }
}

impl Admin {
    /// Creates a user of an embedded node, who can log in at once. With `ignore_if_exists` one that exists stays as it is, with
    /// its password.
    ///
    /// # Errors
    ///
    /// A name or a password that is empty, too long (255 and 1,024 bytes), or not one that can be sent;
    /// [`USER_ALREADY_EXIST`](crate::ErrorCode::USER_ALREADY_EXIST);
    /// [`SECURITY_DISABLED`](crate::ErrorCode::SECURITY_DISABLED) where nobody logs in;
    /// [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) without the right to alter the cluster;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on a cluster. A password is not sent to another machine in clear, unless
    /// [`allow_insecure_password`](crate::ClientOptions::allow_insecure_password).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn create_user(&self, name: &str, password: &str, ignore_if_exists: bool) -> Result<()> {
        let context = Context::new("create user");
        check(&context, check_user_name(name))?;
        check(&context, check_password(password))?;
        let request = proto::CreateUserRequest {
            user_name: name.to_owned(),
            password: password.to_owned(),
            ignore_if_exists,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Gives a user of an embedded node another password. Connections on which the user has logged in with the old one are closed,
    /// but for the one that asks, if it is the user's own: everybody may change their own password.
    ///
    /// # Errors
    ///
    /// As of [`create_user`](Self::create_user), and [`USER_NOT_EXIST`](crate::ErrorCode::USER_NOT_EXIST) if there is no such user,
    /// unless `ignore_if_not_exists`;
    /// [`OPERATION_NOT_ATTEMPTED`](crate::ErrorCode::OPERATION_NOT_ATTEMPTED) for one of the users file.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn alter_user(&self, name: &str, password: &str, ignore_if_not_exists: bool) -> Result<()> {
        let context = Context::new("alter user");
        check(&context, check_password(password))?;
        let request = proto::AlterUserRequest {
            user_name: name.to_owned(),
            password: password.to_owned(),
            ignore_if_not_exists,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// Drops a user of an embedded node, with the rights that it was given. Connections on which the user has logged in are
    /// closed.
    ///
    /// # Errors
    ///
    /// [`USER_NOT_EXIST`](crate::ErrorCode::USER_NOT_EXIST) if there is no such user, unless `ignore_if_not_exists`;
    /// [`OPERATION_NOT_ATTEMPTED`](crate::ErrorCode::OPERATION_NOT_ATTEMPTED) for one of the users file, and for who asks;
    /// [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) without the right to alter the cluster;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on a cluster.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn drop_user(&self, name: &str, ignore_if_not_exists: bool) -> Result<()> {
        let context = Context::new("drop user");
        let request = proto::DropUserRequest {
            user_name: name.to_owned(),
            ignore_if_not_exists,
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }

    /// The users of an embedded node, sorted by name.
    ///
    /// # Errors
    ///
    /// [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) without the right to describe the cluster;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on a cluster.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_users(&self) -> Result<Vec<UserInfo>> {
        let context = Context::new("list users");
        let request = proto::ListUsersRequest {};
        let response = self.cluster.ask_again(&context, &request).await?;
        let user = |user: proto::PbUserInfo| match UserSource::from_number(user.source) {
            Some(source) => Ok(UserInfo {
                name: user.user_name,
                source,
            }),
            None => Err(context.clone().error(DecodeError::new(
                "user",
                format!("source {} of {:?}", user.source, user.user_name),
            ))),
        };
        let mut users = response.user.into_iter().map(user).collect::<Result<Vec<_>>>()?;
        users.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(users)
    }
}

/// What is checked of a name or a password before it is sent.
fn check(context: &Context, checked: std::result::Result<(), InvalidDefinition>) -> Result<()> {
    checked.map_err(|error| {
        let kind = ErrorKind::InvalidArgument(error.to_string());
        context.clone().error(kind)
    })
}
