use fluss_core::types::DatabaseDescriptor;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use super::tables::property_change;
use crate::Failure;
use crate::catalog::FIRST_DATABASE;
use crate::security::{Operation, Resource};

/// `CREATE_DATABASE`.
pub fn create_database(
    context: &Context<'_>,
    request: proto::CreateDatabaseRequest,
) -> Result<proto::CreateDatabaseResponse, Failure> {
    context.check(Operation::Create, &Resource::cluster())?;
    let descriptor = request
        .database_json
        .as_deref()
        .map(DatabaseDescriptor::from_json)
        .transpose();
    let descriptor =
        descriptor.map_err(|error| Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))?;
    context.node.catalog.create_database(
        &request.database_name,
        descriptor.unwrap_or_default(),
        request.ignore_if_exists,
        context.now_ms(),
    )?;
    Ok(proto::CreateDatabaseResponse {})
}

/// `ALTER_DATABASE`.
pub fn alter_database(
    context: &Context<'_>,
    request: proto::AlterDatabaseRequest,
) -> Result<proto::AlterDatabaseResponse, Failure> {
    context.check(Operation::Alter, &Resource::database(&request.database_name))?;
    let changes = request.config_changes.into_iter().map(property_change);
    context.node.catalog.alter_database(
        &request.database_name,
        changes.collect::<Result<_, _>>()?,
        request.comment,
        request.ignore_if_not_exists,
        context.now_ms(),
    )?;
    Ok(proto::AlterDatabaseResponse {})
}

/// `DROP_DATABASE`.
pub fn drop_database(
    context: &Context<'_>,
    request: proto::DropDatabaseRequest,
) -> Result<proto::DropDatabaseResponse, Failure> {
    context.check(Operation::Drop, &Resource::database(&request.database_name))?;
    let gone = context.node.catalog.drop_database(
        &request.database_name,
        request.ignore_if_not_exists,
        request.cascade,
    )?;
    context.node.remove.remove(&gone);
    Ok(proto::DropDatabaseResponse {})
}

/// `LIST_DATABASES`: those that the caller may see.
pub fn list_databases(
    context: &Context<'_>,
    request: proto::ListDatabasesRequest,
) -> Result<proto::ListDatabasesResponse, Failure> {
    let view = context.view();
    let seen = view
        .databases()
        .iter()
        .filter(|(name, _)| context.allows(Operation::Describe, &Resource::database(*name)));
    let mut response = proto::ListDatabasesResponse::default();
    if request.include_summary() {
        response.database_summary = seen
            .map(|(name, database)| proto::PbDatabaseSummary {
                database_name: name.clone(),
                created_time: database.created_ms,
                table_count: i32::try_from(view.tables_of(name).count()).unwrap_or(i32::MAX),
            })
            .collect();
    } else {
        response.database_name = seen.map(|(name, _)| name.clone()).collect();
    }
    Ok(response)
}

/// `DATABASE_EXISTS`: one that the caller may not see does not, but for the first database, which everybody knows.
pub fn database_exists(
    context: &Context<'_>,
    request: proto::DatabaseExistsRequest,
) -> Result<proto::DatabaseExistsResponse, Failure> {
    let name = &request.database_name;
    let is_seen = name == FIRST_DATABASE || context.allows(Operation::Describe, &Resource::database(name));
    Ok(proto::DatabaseExistsResponse {
        exists: is_seen && context.view().database(name).is_ok(),
    })
}

/// `GET_DATABASE_INFO`.
pub fn get_database_info(
    context: &Context<'_>,
    request: proto::GetDatabaseInfoRequest,
) -> Result<proto::GetDatabaseInfoResponse, Failure> {
    context.check(Operation::Describe, &Resource::database(&request.database_name))?;
    let view = context.view();
    let database = view.database(&request.database_name)?;
    Ok(proto::GetDatabaseInfoResponse {
        database_json: database.descriptor.to_json().into(),
        created_time: database.created_ms,
        modified_time: database.modified_ms,
    })
}
