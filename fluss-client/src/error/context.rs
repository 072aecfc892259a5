//! What was attempted.

use std::fmt;

use fluss_rpc::net::ServerAddress;

use fluss_core::id::{BucketId, Offset, SchemaId, TableBucket};
use fluss_core::types::{PhysicalTablePath, TablePath};

/// What was attempted, and on what.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Context {
    /// The operation, as a verb: `append`, `create table`.
    pub operation: &'static str,
    /// The database, where the operation is on one as a whole.
    pub database: Option<String>,
    /// The table, with its partition.
    pub table: Option<PhysicalTablePath>,
    /// The version of the table's schema, where it matters.
    pub schema: Option<SchemaId>,
    /// The bucket.
    pub bucket: Option<BucketId>,
    /// The batch of the log, where it is about one.
    pub batch: Option<BatchPlace>,
    /// The server.
    pub server: Option<ServerAddress>,
    /// What a server answered last to what was tried until its deadline: the same as an error of that answer says.
    pub last_answer: Option<String>,
    /// How many rows of the same call were sent before it failed, because all of them are more than the writer's memory.
    /// A call of fewer rows is written whole or not at all.
    pub rows_taken: u64,
}

/// Where a batch of a log is. [`ScanBuilder::skip`](crate::ScanBuilder::skip) takes it, to read on behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BatchPlace {
    /// The bucket.
    pub bucket: TableBucket,
    /// The offset of its first record.
    pub first: Offset,
    /// The offset of its last record.
    pub last: Offset,
}

impl Context {
    /// An operation on nothing in particular.
    pub const fn new(operation: &'static str) -> Self {
        Self {
            operation,
            database: None,
            table: None,
            schema: None,
            bucket: None,
            batch: None,
            server: None,
            last_answer: None,
            rows_taken: 0,
        }
    }

    /// The same on a database.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.database = Some(name.to_owned());
        self
    }

    /// The same on a table.
    #[must_use]
    pub fn table(mut self, table: &TablePath) -> Self {
        self.table = Some(table.clone().into());
        self
    }

    /// The same on a table or partition.
    #[must_use]
    pub fn physical(mut self, table: &PhysicalTablePath) -> Self {
        self.table = Some(table.clone());
        self
    }

    /// The same with what was written under a version of the table's schema.
    #[must_use]
    pub const fn schema(mut self, schema: SchemaId) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The same on a bucket.
    #[must_use]
    pub const fn bucket(mut self, bucket: BucketId) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// The same on a batch of records.
    #[must_use]
    pub const fn batch(mut self, batch: BatchPlace) -> Self {
        self.batch = Some(batch);
        self
    }

    /// The same on a server.
    #[must_use]
    pub fn server(mut self, server: &ServerAddress) -> Self {
        self.server = Some(server.clone());
        self
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(database) = &self.database {
            write!(f, " {database}")?;
        }
        if let Some(table) = &self.table {
            write!(f, " {table}")?;
        }
        if let Some(schema) = self.schema {
            write!(f, " schema {schema}")?;
        }
        if let Some(bucket) = self.bucket {
            write!(f, " bucket {bucket}")?;
        }
        if let Some(batch) = self.batch {
            write!(f, " offsets {} to {}", batch.first, batch.last)?;
        }
        if let Some(server) = &self.server {
            write!(f, " at {server}")?;
        }
        if self.rows_taken > 0 {
            write!(f, " after {} rows were taken", self.rows_taken)?;
        }
        Ok(())
    }
}
