//! Where consumers are, kept in a table beside that of the streams.

use fluss_client::types::{DataType, Datum, Row, Schema, TableDescriptor, TablePath};
use fluss_client::{ErrorCode, Positions, Table};

use crate::clock;
use crate::error::{Error, Result};
use crate::streams::Streams;

impl Streams {
    /// Where a consumer was when it saved its positions last; nothing if it never has.
    ///
    /// # Errors
    ///
    /// Those of the client; positions that cannot be read.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn saved_positions(&self, consumer: &str) -> Result<Option<Positions>> {
        let table = match self.consumers(false).await {
            Err(Error::Client(error)) if error.code() == Some(ErrorCode::TABLE_NOT_EXIST) => return Ok(None),
            table => table?,
        };
        let row = table
            .lookup()
            .lookuper()?
            .lookup(&[Datum::from(consumer)])
            .await?;
        match row.map(|row| row.datum(1).into_owned()) {
            Some(Datum::String(text)) => Ok(Some(Positions::from_json(&text)?)),
            _ => Ok(None),
        }
    }

    /// Saves where a consumer is, which is stored when this returns. Of two programs that go by the name of one consumer the
    /// last one counts. It is kept in the table `<table>_consumers`, which is created if there is none.
    ///
    /// # Errors
    ///
    /// Those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves it open which positions are stored.
    pub async fn save_positions(&self, consumer: &str, positions: &Positions) -> Result<()> {
        if consumer.is_empty() {
            return Err(Error::InvalidArgument("a consumer has a name".to_owned()));
        }
        let writer = self.consumers(true).await?.upsert_writer()?;
        let row = [
            Datum::from(consumer),
            Datum::from(positions.to_json()),
            Datum::TimestampLtz(clock::now()),
        ];
        writer.upsert(&row).await?.wait().await?;
        Ok(())
    }

    async fn consumers(&self, create: bool) -> Result<Table> {
        let streams = &self.shared.table.info().path;
        let path = TablePath::new(streams.database(), format!("{}_consumers", streams.table()));
        if create {
            let schema = Schema::builder()
                .column("consumer", DataType::string())
                .column("positions", DataType::string())
                .column("saved_at", DataType::timestamp_ltz(3)?)
                .primary_key(["consumer"])
                .build()?;
            let descriptor = TableDescriptor::builder(schema)
                .distributed_by(1, ["consumer"])
                .build()?;
            self.shared
                .connection
                .admin()
                .create_table(&path, &descriptor, true)
                .await?;
        }
        Ok(self.shared.connection.table(&path).await?)
    }
}
