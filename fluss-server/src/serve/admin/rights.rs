//! The APIs of rights (`behaviour.md` §8.6).

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use crate::Failure;
use crate::security::{Acl, AclFilter, Operation, Principal, Resource, ResourceKind};

/// `permission_type` of every entry: there is no other.
const ALLOW: i32 = 2;
/// What a filter says that takes everything.
const ANY: i32 = 1;

/// `CREATE_ACLS`: all or none of them.
pub fn create_acls(
    context: &Context<'_>,
    request: proto::CreateAclsRequest,
) -> Result<proto::CreateAclsResponse, Failure> {
    check_enabled(context)?;
    let acls = request.acl.iter().map(acl).collect::<Result<Vec<_>, _>>()?;
    for acl in &acls {
        check_may_give(context, &acl.resource)?;
    }
    context.node.catalog.add_acls(acls)?;
    let created = |acl| proto::PbCreateAclRespInfo {
        acl,
        error_code: Some(ErrorCode::NONE.number()),
        error_message: None,
    };
    Ok(proto::CreateAclsResponse {
        acl_res: request.acl.into_iter().map(created).collect(),
    })
}

/// `LIST_ACLS`: entries about resources that the caller may see.
pub fn list_acls(
    context: &Context<'_>,
    request: proto::ListAclsRequest,
) -> Result<proto::ListAclsResponse, Failure> {
    check_enabled(context)?;
    let filter = filter(&request.acl_filter)?;
    let view = context.view();
    let found = view.acls().iter().filter(|acl| filter.matches(acl));
    let seen = found.filter(|acl| context.allows(Operation::Describe, &acl.resource));
    Ok(proto::ListAclsResponse {
        acl: seen.map(pb_acl).collect(),
    })
}

/// `DROP_ACLS`: all of what the filters find, or none of it.
pub fn drop_acls(
    context: &Context<'_>,
    request: proto::DropAclsRequest,
) -> Result<proto::DropAclsResponse, Failure> {
    check_enabled(context)?;
    let filters = request
        .acl_filter
        .iter()
        .map(filter)
        .collect::<Result<Vec<_>, _>>()?;
    let view = context.view();
    for acl in view
        .acls()
        .iter()
        .filter(|acl| filters.iter().any(|filter| filter.matches(acl)))
    {
        check_may_give(context, &acl.resource)?;
    }
    let removed = context.node.catalog.remove_acls(&filters)?;
    Ok(proto::DropAclsResponse {
        filter_results: removed.iter().map(|acls| result(acls)).collect(),
    })
}

fn result(acls: &[Acl]) -> proto::PbDropAclsFilterResult {
    let matching = |acl| proto::PbDropAclsMatchingAcl {
        acl: pb_acl(acl),
        error_code: None,
        error_message: None,
    };
    proto::PbDropAclsFilterResult {
        matching_acls: acls.iter().map(matching).collect(),
        error_code: None,
        error_message: None,
    }
}

fn check_enabled(context: &Context<'_>) -> Result<(), Failure> {
    if context.node.access.is_controlled() {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::SECURITY_DISABLED,
        "the node asks nobody for rights",
    ))
}

/// Rights to a resource are given by those who may alter it; those to a table by those who may alter its database.
fn check_may_give(context: &Context<'_>, resource: &Resource) -> Result<(), Failure> {
    let table = resource.kind == ResourceKind::Table;
    let parent = if table { resource.parent() } else { None };
    context.check(Operation::Alter, parent.as_ref().unwrap_or(resource))
}

fn acl(acl: &proto::PbAclInfo) -> Result<Acl, Failure> {
    let kind = ResourceKind::from_number(acl.resource_type);
    let operation = Operation::from_number(acl.operation_type);
    let (Some(kind), Some(operation), ALLOW) = (kind, operation, acl.permission_type) else {
        return Err(Failure::new(
            ErrorCode::UNKNOWN_SERVER_ERROR,
            format!(
                "no right has resource type {}, operation {} and permission {}",
                acl.resource_type, acl.operation_type, acl.permission_type
            ),
        ));
    };
    Ok(Acl {
        resource: Resource {
            kind,
            name: acl.resource_name.clone(),
        },
        principal: Principal::new(&*acl.principal_type, &*acl.principal_name),
        host: acl.host.clone(),
        operation,
    })
}

fn pb_acl(acl: &Acl) -> proto::PbAclInfo {
    proto::PbAclInfo {
        resource_name: acl.resource.name.clone(),
        resource_type: acl.resource.kind.number(),
        principal_name: acl.principal.name.clone(),
        principal_type: acl.principal.kind.clone(),
        host: acl.host.clone(),
        operation_type: acl.operation.number(),
        permission_type: ALLOW,
    }
}

fn filter(filter: &proto::PbAclFilter) -> Result<AclFilter, Failure> {
    if ![ANY, ALLOW].contains(&filter.permission_type) {
        return Err(no_filter("permission", filter.permission_type));
    }
    let principal = filter.principal_type.as_ref().zip(filter.principal_name.as_ref());
    Ok(AclFilter {
        kind: any_or("resource type", filter.resource_type, ResourceKind::from_number)?,
        name: filter.resource_name.clone(),
        principal: principal.map(|(kind, name)| Principal::new(kind, name)),
        host: filter.host.clone(),
        operation: any_or("operation", filter.operation_type, Operation::from_number)?,
    })
}

/// What a filter asks for: one thing, or nothing.
fn any_or<T>(what: &str, number: i32, read: impl Fn(i32) -> Option<T>) -> Result<Option<T>, Failure> {
    match read(number) {
        None if number != ANY => Err(no_filter(what, number)),
        wanted => Ok(wanted),
    }
}

fn no_filter(what: &str, number: i32) -> Failure {
    let reason = format!("{what} {number} is none of a filter's");
    Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, reason)
}
