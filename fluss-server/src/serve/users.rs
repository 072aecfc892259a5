//! Requests that bring a password which is to be kept: how they come to their turn.

use std::sync::Arc;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use tokio::task::spawn_blocking;

use super::admin;
use super::session::Session;
use crate::error::Failure;

pub(super) async fn create_user(
    session: Arc<Session>,
    request: proto::CreateUserRequest,
) -> Result<proto::CreateUserResponse, Failure> {
    in_turn(session, |session| {
        admin::create_user(&session.context()?, request)
    })
    .await
}

pub(super) async fn alter_user(
    session: Arc<Session>,
    request: proto::AlterUserRequest,
) -> Result<proto::AlterUserResponse, Failure> {
    in_turn(session, |session| {
        admin::alter_user(&session.context()?, request, |hash| session.expect(hash))
    })
    .await
}

/// Does what computes a hash, on a thread of its own, in the same turns as logins.
async fn in_turn<T: Send + 'static>(
    session: Arc<Session>,
    change: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let turn = session.node.logins.turn(session.host()).await;
    let changed = spawn_blocking(move || {
        let _turn = turn;
        change(&session)
    });
    changed
        .await
        .unwrap_or_else(|error| Err(Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string())))
}
