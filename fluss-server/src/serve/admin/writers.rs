use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use super::convert::path;
use crate::Failure;
use crate::security::{Operation, Resource};

/// `INIT_WRITER`: a new identity, for who may write at least one of the tables (`behaviour.md` §2.2).
pub fn init_writer(
    context: &Context<'_>,
    request: proto::InitWriterRequest,
) -> Result<proto::InitWriterResponse, Failure> {
    let may_write = |table| context.allows(Operation::Write, &Resource::table(&path(table)));
    if context.node.access.is_controlled() && !request.table_path.iter().any(may_write) {
        return Err(Failure::new(
            ErrorCode::AUTHORIZATION_EXCEPTION,
            format!("{} may write none of the tables named", context.caller.principal),
        ));
    }
    Ok(proto::InitWriterResponse {
        writer_id: context.node.catalog.next_writer_id()?.get(),
    })
}
