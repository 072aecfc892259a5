use fluss_core::id::SchemaId;
use fluss_core::types::{AggregateFunction, DataType, TablePath};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Context;
use super::convert::path;
use crate::Failure;
use crate::catalog::{Alteration, NewColumn, PropertyChange, check_table};
use crate::security::{Operation, Resource};

/// `op_type` of a configuration change.
const SET: i32 = 0;
const DELETE: i32 = 1;
/// `column_position_type`: at the end.
const LAST: i32 = 0;

/// `CREATE_TABLE`.
pub fn create_table(
    context: &Context<'_>,
    request: proto::CreateTableRequest,
) -> Result<proto::CreateTableResponse, Failure> {
    let path = path(&request.table_path);
    check_table(&path)?;
    context.check(Operation::Create, &Resource::database(path.database()))?;
    context.node.catalog.create_table(
        &path,
        &request.table_json,
        request.ignore_if_exists,
        context.now_ms(),
    )?;
    Ok(proto::CreateTableResponse {})
}

/// `DROP_TABLE`.
pub fn drop_table(
    context: &Context<'_>,
    request: proto::DropTableRequest,
) -> Result<proto::DropTableResponse, Failure> {
    let path = path(&request.table_path);
    context.check_table(Operation::Drop, &path)?;
    let gone = context
        .node
        .catalog
        .drop_table(&path, request.ignore_if_not_exists)?;
    context.node.remove.remove(&gone);
    Ok(proto::DropTableResponse {})
}

/// `ALTER_TABLE`.
pub fn alter_table(
    context: &Context<'_>,
    request: proto::AlterTableRequest,
) -> Result<proto::AlterTableResponse, Failure> {
    let path = path(&request.table_path);
    context.check_table(Operation::Alter, &path)?;
    let if_exists = request.ignore_if_not_exists;
    match alteration(request)? {
        Some(alteration) => {
            let gone = context
                .node
                .catalog
                .alter_table(&path, &alteration, if_exists, context.now_ms())?;
            context.node.remove.remove(&gone);
        }
        None if !if_exists => drop(context.node.catalog.table_by_path(&path)?),
        None => {}
    }
    Ok(proto::AlterTableResponse {})
}

fn alteration(request: proto::AlterTableRequest) -> Result<Option<Alteration>, Failure> {
    let unsupported = [
        (request.drop_columns.len(), "drop"),
        (request.rename_columns.len(), "rename"),
        (request.modify_columns.len(), "modify"),
    ];
    let columns = !request.add_columns.is_empty() || unsupported.iter().any(|(count, _)| *count > 0);
    let properties = !request.config_changes.is_empty();
    let buckets = request.modify_bucket_count;
    if [columns, properties, buckets.is_some()]
        .into_iter()
        .filter(|kind| *kind)
        .count()
        > 1
    {
        let reason = "properties, columns and the bucket count cannot be altered by one request";
        return Err(Failure::new(ErrorCode::INVALID_ALTER_TABLE, reason));
    }
    if let Some(change) = buckets {
        return Ok(Some(Alteration::BucketCount(change.new_bucket_count)));
    }
    if let Some((_, what)) = unsupported.iter().find(|(count, _)| *count > 0) {
        return Err(unknown(format!("to {what} columns is not supported")));
    }
    if columns {
        let added = request
            .add_columns
            .into_iter()
            .map(new_column)
            .collect::<Result<_, _>>()?;
        return Ok(Some(Alteration::Columns(added)));
    }
    let changes = request
        .config_changes
        .into_iter()
        .map(property_change)
        .collect::<Result<Vec<_>, _>>()?;
    Ok((!changes.is_empty()).then_some(Alteration::Properties(changes)))
}

pub(super) fn property_change(change: proto::PbAlterConfig) -> Result<PropertyChange, Failure> {
    match (change.op_type, change.config_value) {
        (SET, Some(value)) => Ok(PropertyChange::Set(change.config_key, value)),
        (SET, None) => Err(unknown(format!("there is no value for '{}'", change.config_key))),
        (DELETE, _) => Ok(PropertyChange::Reset(change.config_key)),
        (other, _) => Err(unknown(format!(
            "operation {other} on '{}' is not supported",
            change.config_key
        ))),
    }
}

fn new_column(column: proto::PbAddColumn) -> Result<NewColumn, Failure> {
    let name = column.column_name;
    if column.column_position_type != LAST {
        return Err(unknown(format!(
            "column '{name}' can only be added as the last one"
        )));
    }
    let parameters = column.agg_function_params.into_iter();
    let parameters = parameters
        .map(|parameter| (parameter.key, parameter.value))
        .collect();
    let aggregate = column.agg_function_type.map(|name| AggregateFunction {
        name: name.to_lowercase(),
        parameters,
    });
    let data_type = DataType::from_json(&column.data_type_json)
        .map_err(|error| Failure::new(ErrorCode::INVALID_TABLE, error.to_string()))?;
    Ok(NewColumn {
        name,
        data_type,
        comment: column.comment,
        aggregate,
    })
}

fn unknown(reason: String) -> Failure {
    Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, reason)
}

/// `GET_TABLE_INFO`.
pub fn get_table_info(
    context: &Context<'_>,
    request: proto::GetTableInfoRequest,
) -> Result<proto::GetTableInfoResponse, Failure> {
    let table = context.described(&path(&request.table_path))?;
    Ok(proto::GetTableInfoResponse {
        table_id: table.id().get(),
        schema_id: table.info().schema_id.get().into(),
        table_json: table.json().clone(),
        created_time: table.info().created_time,
        modified_time: table.info().modified_time,
        remote_data_dir: None,
        bucket_count_epoch: Some(table.info().bucket_count_epoch),
    })
}

/// `LIST_TABLES`: those that the caller may see.
pub fn list_tables(
    context: &Context<'_>,
    request: proto::ListTablesRequest,
) -> Result<proto::ListTablesResponse, Failure> {
    let view = context.view();
    view.database(&request.database_name)?;
    let seen = |path: &TablePath| context.allows(Operation::Describe, &Resource::table(path));
    let paths = view
        .tables_of(&request.database_name)
        .filter(|(path, _)| seen(path));
    Ok(proto::ListTablesResponse {
        table_name: paths.map(|(path, _)| path.table().to_owned()).collect(),
    })
}

/// `TABLE_EXISTS`: one that the caller may not see does not.
pub fn table_exists(
    context: &Context<'_>,
    request: proto::TableExistsRequest,
) -> Result<proto::TableExistsResponse, Failure> {
    Ok(proto::TableExistsResponse {
        exists: context.described(&path(&request.table_path)).is_ok(),
    })
}

/// `GET_TABLE_SCHEMA`. A table that is missing has no schema either (`behaviour.md` §1.6).
pub fn get_table_schema(
    context: &Context<'_>,
    request: proto::GetTableSchemaRequest,
) -> Result<proto::GetTableSchemaResponse, Failure> {
    let path = path(&request.table_path);
    let table = context.described(&path).map_err(|failure| match failure.code {
        ErrorCode::TABLE_NOT_EXIST => Failure::new(ErrorCode::SCHEMA_NOT_EXIST, failure.message),
        _ => failure,
    })?;
    let id = request
        .schema_id
        .unwrap_or_else(|| table.info().schema_id.get().into());
    let schema = i16::try_from(id).ok().and_then(|id| table.schema(SchemaId(id)));
    let schema = schema.ok_or_else(|| {
        Failure::new(
            ErrorCode::SCHEMA_NOT_EXIST,
            format!("table '{path}' has no schema {id}"),
        )
    })?;
    Ok(proto::GetTableSchemaResponse {
        schema_id: id,
        schema_json: schema.to_json().into(),
    })
}
