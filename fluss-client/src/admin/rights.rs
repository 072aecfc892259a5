//! Rights (`behaviour.md` §8.6).

use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, ErrorKind, Result};
use fluss_core::rights::{Acl, AclFilter};

impl Admin {
    /// Gives rights. Those that are given already stay; the resources need not exist.
    ///
    /// # Errors
    ///
    /// [`SECURITY_DISABLED`](crate::ErrorCode::SECURITY_DISABLED) where nobody is asked for rights;
    /// [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) if the caller may give no rights to one
    /// of the resources, and nothing is given then. The first right that the server could not keep: others may have
    /// been given.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn create_acls(&self, acls: &[Acl]) -> Result<()> {
        let context = Context::new("create access rules");
        let request = proto::CreateAclsRequest {
            acl: acls.iter().map(proto::PbAclInfo::from).collect(),
        };
        let response = self.cluster.ask(&context, &request).await?;
        for created in response.acl_res {
            check(&context, created.error_code, created.error_message)?;
        }
        Ok(())
    }

    /// The rights that a filter finds, of those about resources that the caller may see.
    ///
    /// # Errors
    ///
    /// [`SECURITY_DISABLED`](crate::ErrorCode::SECURITY_DISABLED) where nobody is asked for rights.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn list_acls(&self, filter: &AclFilter) -> Result<Vec<Acl>> {
        let context = Context::new("list access rules");
        let request = proto::ListAclsRequest {
            acl_filter: filter.into(),
        };
        let response = self.cluster.ask(&context, &request).await?;
        let acls = response.acl.iter().map(Acl::try_from);
        acls.collect::<Result<_, _>>()
            .map_err(|error| context.error(error))
    }

    /// Takes away the rights that filters find, and gives those that each found. The default filter finds all.
    ///
    /// # Errors
    ///
    /// [`SECURITY_DISABLED`](crate::ErrorCode::SECURITY_DISABLED) where nobody is asked for rights;
    /// [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) if the caller may give no rights to one
    /// of the resources that are found. The first right that could not be taken away: others may be gone.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn drop_acls(&self, filters: &[AclFilter]) -> Result<Vec<Vec<Acl>>> {
        let context = Context::new("drop access rules");
        let request = proto::DropAclsRequest {
            acl_filter: filters.iter().map(proto::PbAclFilter::from).collect(),
        };
        let response = self.cluster.ask(&context, &request).await?;
        let dropped = response.filter_results.into_iter();
        dropped.map(|result| dropped_by(&context, result)).collect()
    }
}

fn dropped_by(context: &Context, result: proto::PbDropAclsFilterResult) -> Result<Vec<Acl>> {
    check(context, result.error_code, result.error_message)?;
    let dropped = result.matching_acls.into_iter().map(|dropped| {
        check(context, dropped.error_code, dropped.error_message)?;
        Acl::try_from(&dropped.acl).map_err(|error| context.clone().error(error))
    });
    dropped.collect()
}

fn check(context: &Context, code: Option<i32>, message: Option<String>) -> Result<()> {
    match ErrorKind::refusal(code, message) {
        Some(refusal) => Err(context.clone().error(refusal)),
        None => Ok(()),
    }
}
