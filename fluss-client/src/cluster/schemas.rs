//! The schemas that rows were written under.

use std::sync::Arc;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;

use super::Cluster;
use crate::error::{Context, ErrorKind, Result};
use crate::wire;
use fluss_core::id::SchemaId;
use fluss_core::types::{InvalidDefinition, Schema, TableInfo, TablePath};

impl Cluster {
    /// The version of a table's schema that something was written under.
    ///
    /// # Errors
    ///
    /// [`SCHEMA_NOT_EXIST`](crate::ErrorCode::SCHEMA_NOT_EXIST) if there is none;
    /// [`TABLE_NOT_EXIST`](crate::ErrorCode::TABLE_NOT_EXIST) if the table is not the one of its path any more.
    pub(crate) async fn schema(&self, info: &TableInfo, id: SchemaId) -> Result<Arc<Schema>> {
        if let Some(known) = self.shared.schemas.get(info.id, id) {
            return Ok(known);
        }
        let (_, schema) = self.fetch_schema(&info.path, Some(id)).await?;
        // A table's number is never used again: if it is the same now, so it was when the schema was read.
        if self.table_info(&info.path).await?.id != info.id {
            let message = format!("there is another table of this name than number {}", info.id);
            let gone = ErrorKind::server(ErrorCode::TABLE_NOT_EXIST, Some(message));
            return Err(context(&info.path, Some(id)).error(gone));
        }
        let schema = Arc::new(schema);
        self.shared.schemas.put(info.id, id, schema.clone());
        Ok(schema)
    }

    /// Asks for a version of the schema of the table that has this path now; for the latest if none is named.
    pub(crate) async fn fetch_schema(
        &self,
        path: &TablePath,
        id: Option<SchemaId>,
    ) -> Result<(SchemaId, Schema)> {
        let context = context(path, id);
        let request = proto::GetTableSchemaRequest {
            table_path: wire::table_path(path),
            schema_id: id.map(|id| id.get().into()),
        };
        // To a writer this refusal may mean that the server is behind. Who is asked here is not.
        let is_final = |code| code == ErrorCode::SCHEMA_NOT_EXIST;
        let response = self.ask_unless(&context, &request, is_final).await?;
        let read = || -> Result<_, InvalidDefinition> {
            let id = i16::try_from(response.schema_id).map_err(|_| {
                InvalidDefinition::new(format!("schema id {} is too large", response.schema_id))
            })?;
            Ok((SchemaId(id), Schema::from_json(&response.schema_json)?))
        };
        read().map_err(|error| context.error(error))
    }
}

fn context(path: &TablePath, id: Option<SchemaId>) -> Context {
    let mut context = Context::new("get schema of").table(path);
    context.schema = id;
    context
}
