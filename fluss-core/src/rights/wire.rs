//! Entries and filters as messages carry them (`messages.md` §3).

use fluss_rpc::proto;

use super::{Acl, AclFilter, Operation, Principal, Resource, ResourceFilter, ResourceKind};
use crate::error::DecodeError;

/// `permission_type` of every entry: there is no other.
const ALLOW: i32 = 2;
/// What a filter says that takes everything.
const ANY: i32 = 1;

impl From<&Acl> for proto::PbAclInfo {
    fn from(acl: &Acl) -> Self {
        Self {
            resource_name: acl.resource.name.clone(),
            resource_type: acl.resource.kind.number(),
            principal_name: acl.principal.name.clone(),
            principal_type: acl.principal.kind.clone(),
            host: acl.host.clone(),
            operation_type: acl.operation.number(),
            permission_type: ALLOW,
        }
    }
}

impl TryFrom<&proto::PbAclInfo> for Acl {
    type Error = DecodeError;

    fn try_from(acl: &proto::PbAclInfo) -> Result<Self, DecodeError> {
        let kind = ResourceKind::from_number(acl.resource_type);
        let operation = Operation::from_number(acl.operation_type);
        let (Some(kind), Some(operation), ALLOW) = (kind, operation, acl.permission_type) else {
            let reason = format!(
                "none has resource type {}, operation {} and permission {}",
                acl.resource_type, acl.operation_type, acl.permission_type
            );
            return Err(DecodeError::new("access control entry", reason));
        };
        let name = acl.resource_name.clone();
        Ok(Self {
            resource: Resource { kind, name },
            principal: Principal::new(&*acl.principal_type, &*acl.principal_name),
            host: acl.host.clone(),
            operation,
        })
    }
}

impl From<&AclFilter> for proto::PbAclFilter {
    fn from(filter: &AclFilter) -> Self {
        let (resource_type, resource_name) = match &filter.resource {
            ResourceFilter::Any => (ANY, None),
            ResourceFilter::Kind(kind) => (kind.number(), None),
            ResourceFilter::Only(resource) => (resource.kind.number(), Some(resource.name.clone())),
        };
        let principal = filter.principal.as_ref();
        Self {
            resource_name,
            resource_type,
            principal_name: principal.map(|principal| principal.name.clone()),
            principal_type: principal.map(|principal| principal.kind.clone()),
            host: filter.host.clone(),
            operation_type: filter.operation.map_or(ANY, Operation::number),
            permission_type: ANY,
        }
    }
}

impl TryFrom<&proto::PbAclFilter> for AclFilter {
    type Error = DecodeError;

    /// A name without the kind of the resource does not count, nor half a principal.
    fn try_from(filter: &proto::PbAclFilter) -> Result<Self, DecodeError> {
        if ![ANY, ALLOW].contains(&filter.permission_type) {
            return Err(no_filter("permission", filter.permission_type));
        }
        let kind = any_or("resource type", filter.resource_type, ResourceKind::from_number)?;
        let principal = filter.principal_type.as_ref().zip(filter.principal_name.as_ref());
        Ok(Self {
            resource: match (kind, filter.resource_name.clone()) {
                (None, _) => ResourceFilter::Any,
                (Some(kind), None) => ResourceFilter::Kind(kind),
                (Some(kind), Some(name)) => ResourceFilter::Only(Resource { kind, name }),
            },
            principal: principal.map(|(kind, name)| Principal::new(kind, name)),
            host: filter.host.clone(),
            operation: any_or("operation", filter.operation_type, Operation::from_number)?,
        })
    }
}

/// What a filter asks for: one thing, or nothing.
fn any_or<T>(what: &str, number: i32, read: impl Fn(i32) -> Option<T>) -> Result<Option<T>, DecodeError> {
    match read(number) {
        None if number != ANY => Err(no_filter(what, number)),
        wanted => Ok(wanted),
    }
}

fn no_filter(what: &str, number: i32) -> DecodeError {
    DecodeError::new("access control filter", format!("{what} {number} is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_filters_survive_the_wire() {
        for kind in ResourceKind::ALL {
            for operation in Operation::ALL {
                let acl = Acl::new(Principal::user("alice"), *operation, Resource::all(*kind));
                assert_eq!(Acl::try_from(&proto::PbAclInfo::from(&acl)), Ok(acl.clone()));
                for resource in [
                    ResourceFilter::Any,
                    ResourceFilter::Kind(*kind),
                    ResourceFilter::Only(acl.resource.clone()),
                ] {
                    let filter = AclFilter {
                        resource,
                        principal: Some(acl.principal.clone()),
                        host: Some("10.0.0.1".to_owned()),
                        operation: Some(*operation),
                    };
                    assert_eq!(
                        AclFilter::try_from(&proto::PbAclFilter::from(&filter)),
                        Ok(filter)
                    );
                }
            }
        }
        let any = AclFilter::default();
        assert_eq!(AclFilter::try_from(&proto::PbAclFilter::from(&any)), Ok(any));
    }

    #[test]
    fn numbers_that_nobody_knows_are_told() {
        let acl = Acl::new(Principal::user("alice"), Operation::Read, Resource::cluster());
        let good = proto::PbAclInfo::from(&acl);
        for bad in [
            proto::PbAclInfo {
                resource_type: ANY,
                ..good.clone()
            },
            proto::PbAclInfo {
                operation_type: 9,
                ..good.clone()
            },
            proto::PbAclInfo {
                permission_type: ANY,
                ..good
            },
        ] {
            let error = Acl::try_from(&bad).unwrap_err().to_string();
            assert!(
                error.starts_with("malformed access control entry: none has"),
                "{error}"
            );
        }
        let filter = proto::PbAclFilter {
            operation_type: 9,
            ..proto::PbAclFilter::from(&AclFilter::default())
        };
        let error = AclFilter::try_from(&filter).unwrap_err().to_string();
        assert_eq!(error, "malformed access control filter: operation 9 is none");
    }
}
