//! The APIs of users, which only a node has. Those that take a password compute its hash, which takes tens of milliseconds.

use fluss_core::rights::{check_password, check_user_name};
use fluss_core::types::InvalidDefinition;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use crate::Failure;
use crate::security::{Hashed, Operation, Principal, Resource};

/// Where a user stands, as `LIST_USERS` says it.
const IN_FILE: i32 = 1;
const IN_CATALOG: i32 = 2;

/// `CREATE_USER`. Where nobody logs in, only the process of the node creates the first one: with it everybody has to log in.
pub fn create_user(
    context: &Context<'_>,
    request: proto::CreateUserRequest,
) -> Result<proto::CreateUserResponse, Failure> {
    let (name, node) = (&request.user_name, context.node);
    check_may_change(context, name)?;
    if !node.asks_for_login() && !context.caller.is_internal {
        let reason = "nobody logs in at this node, and with its first user everybody would have to: start it with --login \
                      (login.required: true) or with --users, or create the user in its directory while it is stopped";
        return Err(Failure::new(ErrorCode::SECURITY_DISABLED, reason));
    }
    check_user_name(name).map_err(invalid)?;
    check_password(&request.password).map_err(invalid)?;
    let in_file = node.users.get(name).is_some();
    if (in_file || context.view().user(name).is_ok()) && request.ignore_if_exists {
        return Ok(proto::CreateUserResponse {});
    }
    if in_file {
        let reason = format!("user {name:?} exists: it stands in the users file");
        return Err(Failure::new(ErrorCode::USER_ALREADY_EXIST, reason));
    }
    let hash = hashed(&request.password)?;
    node.catalog.create_user(name, hash, request.ignore_if_exists)?;
    node.users_changed.send_replace(());
    Ok(proto::CreateUserResponse {})
}

/// `ALTER_USER`: whose password it is, and who has the right to. `expect` learns of the hash before anybody sees it, if the caller
/// changes its own password.
pub fn alter_user(
    context: &Context<'_>,
    request: proto::AlterUserRequest,
    expect: impl FnOnce(&Hashed),
) -> Result<proto::AlterUserResponse, Failure> {
    let (name, node) = (&request.user_name, context.node);
    let is_own = is_caller(context, name);
    if !is_own {
        check_may_change(context, name)?;
    }
    check_password(&request.password).map_err(invalid)?;
    check_not_in_file(context, name)?;
    match context.view().user(name) {
        Ok(_) => {}
        Err(_) if request.ignore_if_not_exists => return Ok(proto::AlterUserResponse {}),
        Err(missing) => return Err(missing),
    }
    let hash = hashed(&request.password)?;
    if is_own {
        expect(&hash);
    }
    node.catalog
        .alter_user(name, hash, request.ignore_if_not_exists)?;
    node.users_changed.send_replace(());
    Ok(proto::AlterUserResponse {})
}

/// `DROP_USER`. Nobody drops themselves.
pub fn drop_user(
    context: &Context<'_>,
    request: proto::DropUserRequest,
) -> Result<proto::DropUserResponse, Failure> {
    let (name, node) = (&request.user_name, context.node);
    check_may_change(context, name)?;
    check_not_in_file(context, name)?;
    if is_caller(context, name) {
        let reason = format!("user {name:?} is who asks: another one can drop it");
        return Err(Failure::new(ErrorCode::OPERATION_NOT_ATTEMPTED, reason));
    }
    let or_last = context.caller.is_internal || !node.users.is_empty();
    node.catalog
        .drop_user(name, request.ignore_if_not_exists, or_last)?;
    node.users_changed.send_replace(());
    Ok(proto::DropUserResponse {})
}

/// `LIST_USERS`.
pub fn list_users(
    context: &Context<'_>,
    _request: proto::ListUsersRequest,
) -> Result<proto::ListUsersResponse, Failure> {
    context.check(Operation::Describe, &Resource::cluster())?;
    let view = context.view();
    let of_file = context.node.users.iter().map(|(name, _)| (name, IN_FILE));
    let of_catalog = view.users().iter().map(|(name, _)| (name, IN_CATALOG));
    let mut users: Vec<_> = of_file.chain(of_catalog).collect();
    users.sort_unstable();
    let info = |(name, source): (&str, i32)| proto::PbUserInfo {
        user_name: name.to_owned(),
        source,
    };
    Ok(proto::ListUsersResponse {
        user: users.into_iter().map(info).collect(),
    })
}

/// Whoever sets the password of a user can take its place: that of a super user is set by super users.
fn check_may_change(context: &Context<'_>, name: &str) -> Result<(), Failure> {
    context.check(Operation::Alter, &Resource::cluster())?;
    let (caller, access) = (context.caller, &context.node.access);
    let may = caller.is_internal || access.is_super_user(&caller.principal);
    if access.is_super_user(&Principal::user(name)) && !may {
        let reason = format!(
            "{} may not change {}, who may do everything",
            caller.principal,
            Principal::user(name)
        );
        return Err(Failure::new(ErrorCode::AUTHORIZATION_EXCEPTION, reason));
    }
    Ok(())
}

fn is_caller(context: &Context<'_>, name: &str) -> bool {
    !context.caller.is_internal && context.caller.principal == Principal::user(name)
}

fn check_not_in_file(context: &Context<'_>, name: &str) -> Result<(), Failure> {
    if context.node.users.get(name).is_none() {
        return Ok(());
    }
    let reason = format!(
        "user {name:?} stands in the users file, which is read when the node starts: change it there (fluss add-user)"
    );
    Err(Failure::new(ErrorCode::OPERATION_NOT_ATTEMPTED, reason))
}

fn hashed(password: &str) -> Result<Hashed, Failure> {
    Hashed::of(password).map_err(|reason| Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, reason))
}

fn invalid(error: InvalidDefinition) -> Failure {
    Failure::new(ErrorCode::INVALID_USER, error.to_string())
}
