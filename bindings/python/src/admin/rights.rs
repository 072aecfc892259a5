//! Rights, to and from the classes of `fluss.security`.

use fluss_client::rights::{Acl, AclFilter, Operation, Principal, Resource, ResourceFilter, ResourceKind};
use pyo3::prelude::*;

use super::classes::list;
use crate::error;

/// What a filter says that takes everything.
const ANY: i32 = 1;
/// The permission of every right: there is no other.
const ALLOW: i32 = 2;

/// A `fluss.security.AclBinding`.
#[derive(FromPyObject)]
pub(super) struct AclArgument {
    resource: ResourceArgument,
    access_control_entry: EntryArgument,
}

#[derive(FromPyObject)]
struct ResourceArgument {
    r#type: i32,
    name: String,
}

#[derive(FromPyObject)]
struct EntryArgument {
    principal: PrincipalArgument,
    host: String,
    operation_type: i32,
    permission_type: i32,
}

#[derive(FromPyObject)]
struct PrincipalArgument {
    name: String,
    r#type: String,
}

/// A `fluss.security.AclBindingFilter`.
#[derive(FromPyObject)]
pub(super) struct FilterArgument {
    resource_filter: ResourceFilterArgument,
    entry_filter: EntryFilterArgument,
}

#[derive(FromPyObject)]
struct ResourceFilterArgument {
    r#type: i32,
    name: Option<String>,
}

#[derive(FromPyObject)]
struct EntryFilterArgument {
    principal: Option<PrincipalArgument>,
    host: Option<String>,
    operation_type: i32,
    permission_type: i32,
}

pub(super) fn acls(acls: Vec<AclArgument>) -> PyResult<Vec<Acl>> {
    acls.into_iter().map(acl).collect()
}

fn acl(given: AclArgument) -> PyResult<Acl> {
    let (resource, entry) = (given.resource, given.access_control_entry);
    if entry.permission_type != ALLOW {
        return Err(none("permission", entry.permission_type));
    }
    Ok(Acl {
        resource: Resource {
            kind: kind(resource.r#type)?,
            name: resource.name,
        },
        principal: principal(entry.principal),
        host: entry.host,
        operation: operation(entry.operation_type)?,
    })
}

pub(super) fn filter(given: FilterArgument) -> PyResult<AclFilter> {
    let entry = given.entry_filter;
    if ![ANY, ALLOW].contains(&entry.permission_type) {
        return Err(none("permission", entry.permission_type));
    }
    Ok(AclFilter {
        resource: resource_filter(given.resource_filter)?,
        principal: entry.principal.map(principal),
        host: entry.host,
        operation: match entry.operation_type {
            ANY => None,
            number => Some(operation(number)?),
        },
    })
}

fn resource_filter(given: ResourceFilterArgument) -> PyResult<ResourceFilter> {
    match (given.r#type, given.name) {
        (ANY, None) => Ok(ResourceFilter::Any),
        // A server passes the name over: to drop what such a filter finds is to drop everything.
        (ANY, Some(name)) => Err(error::argument(format!("resource '{name}' has no type"))),
        (number, None) => Ok(ResourceFilter::Kind(kind(number)?)),
        (number, Some(name)) => {
            let kind = kind(number)?;
            Ok(ResourceFilter::Only(Resource { kind, name }))
        }
    }
}

fn principal(given: PrincipalArgument) -> Principal {
    Principal::new(given.r#type, given.name)
}

fn kind(number: i32) -> PyResult<ResourceKind> {
    ResourceKind::from_number(number).ok_or_else(|| none("resource type", number))
}

fn operation(number: i32) -> PyResult<Operation> {
    Operation::from_number(number).ok_or_else(|| none("operation", number))
}

fn none(what: &str, number: i32) -> PyErr {
    error::argument(format!("{what} {number} is not one that a right can have"))
}

pub(super) fn bindings<'py>(py: Python<'py>, acls: &[Acl]) -> PyResult<Bound<'py, PyAny>> {
    let security = py.import("fluss.security")?;
    let class = |name: &str| security.getattr(name);
    let (binding, resource, entry) = (
        class("AclBinding")?,
        class("Resource")?,
        class("AccessControlEntry")?,
    );
    let (kind, operation, principal) = (
        class("ResourceType")?,
        class("OperationType")?,
        class("FlussPrincipal")?,
    );
    let made = acls.iter().map(|acl| {
        let of = resource.call1((kind.call1((acl.resource.kind.number(),))?, &acl.resource.name))?;
        let who = principal.call1((&acl.principal.name, &acl.principal.kind))?;
        let what = operation.call1((acl.operation.number(),))?;
        binding.call1((of, entry.call1((who, &acl.host, what))?))
    });
    list(py, made)
}
