//! The APIs of rights (`behaviour.md` §8.6).

use fluss_core::DecodeError;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use crate::Failure;
use crate::security::{Acl, AclFilter, Operation, Resource, ResourceKind};

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
        acl: seen.map(proto::PbAclInfo::from).collect(),
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
        // Only those who may see a resource get to know what the rights are about.
        let sees = context.allows(Operation::Describe, &acl.resource);
        check_may_give(context, &acl.resource)
            .map_err(|refusal| if sees { refusal } else { hidden(context) })?;
    }
    let removed = context.node.catalog.remove_acls(&filters)?;
    Ok(proto::DropAclsResponse {
        filter_results: removed.iter().map(|acls| result(acls)).collect(),
    })
}

fn result(acls: &[Acl]) -> proto::PbDropAclsFilterResult {
    let matching = |acl| proto::PbDropAclsMatchingAcl {
        acl: proto::PbAclInfo::from(acl),
        error_code: None,
        error_message: None,
    };
    proto::PbDropAclsFilterResult {
        matching_acls: acls.iter().map(matching).collect(),
        error_code: None,
        error_message: None,
    }
}

fn hidden(context: &Context<'_>) -> Failure {
    let reason = format!(
        "{} may not take all of the rights that the filters find",
        context.caller.principal
    );
    Failure::new(ErrorCode::AUTHORIZATION_EXCEPTION, reason)
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

/// Rights to a resource are given and taken by those who may do everything to it; those to a table by those who may do
/// everything to its database (`v1_0.md` §17).
fn check_may_give(context: &Context<'_>, resource: &Resource) -> Result<(), Failure> {
    let table = resource.kind == ResourceKind::Table;
    let parent = if table { resource.parent() } else { None };
    context.check(Operation::All, parent.as_ref().unwrap_or(resource))
}

fn acl(acl: &proto::PbAclInfo) -> Result<Acl, Failure> {
    Acl::try_from(acl).map_err(unknown)
}

fn filter(filter: &proto::PbAclFilter) -> Result<AclFilter, Failure> {
    AclFilter::try_from(filter).map_err(unknown)
}

fn unknown(error: DecodeError) -> Failure {
    Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string())
}
