//! One append: a row of the table.
//!
//! ```text
//! stream          STRING     ┐ the key; buckets by the stream
//! commit_number   BIGINT     ┘ appends of the stream before it
//! first_version   BIGINT       events of the stream before it
//! first_commit    BIGINT       the first append that is to be read: what is before it was deleted
//! kind            TINYINT      0 events, 1 deletion, 2 tombstone
//! recorded_at     TIMESTAMP_LTZ(3)
//! events          ARRAY<ROW<id, type, data, metadata, content_type>>
//! ```
//!
//! The merge engine keeps the first row of a key: whoever gets there first has the commit.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use fluss_client::id::{BucketId, Offset};
use fluss_client::types::{DataType, Datum, Field, InvalidDefinition, Row, RowType, Schema, Timestamp};
use uuid::Uuid;

use crate::event::{NewEvent, RecordedEvent};
use crate::version::CurrentVersion;

/// The columns of the key.
pub(crate) const KEY: [&str; 2] = ["stream", "commit_number"];

/// The schema of a table of streams.
pub(crate) fn schema() -> Result<Schema, InvalidDefinition> {
    let event = RowType::new([
        Field::new("id", DataType::string()),
        Field::new("type", DataType::string()),
        Field::new("data", DataType::bytes()),
        Field::new("metadata", DataType::bytes()),
        Field::new("content_type", DataType::string()),
    ]);
    Schema::builder()
        .column("stream", DataType::string().not_null())
        .column("commit_number", DataType::big_int().not_null())
        .column("first_version", DataType::big_int().not_null())
        .column("first_commit", DataType::big_int().not_null())
        .column("kind", DataType::tiny_int().not_null())
        .column("recorded_at", DataType::timestamp_ltz(3)?.not_null())
        .column("events", DataType::array(DataType::row(event)))
        .primary_key(KEY)
        .build()
}

/// What an append is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Events,
    /// What is before it is read no more.
    Deletion,
    /// As a deletion, and nothing comes after it.
    Tombstone,
}

/// One append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Commit {
    pub(crate) stream: Arc<str>,
    pub(crate) number: i64,
    pub(crate) first_version: i64,
    pub(crate) first_read: i64,
    pub(crate) kind: Kind,
    pub(crate) recorded_at: Timestamp,
    pub(crate) events: Vec<NewEvent>,
}

/// What is to be known of the last append of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) number: i64,
    pub(crate) first_version: i64,
    pub(crate) next_version: i64,
    pub(crate) first_read: i64,
    pub(crate) kind: Kind,
}

impl Head {
    pub(crate) const fn current_version(&self) -> CurrentVersion {
        match self.kind {
            Kind::Events => CurrentVersion::Version(self.next_version - 1),
            Kind::Deletion | Kind::Tombstone => CurrentVersion::NoStream,
        }
    }
}

impl Commit {
    pub(crate) fn head(&self) -> Head {
        Head {
            number: self.number,
            first_version: self.first_version,
            next_version: self.next_version(),
            first_read: self.first_read,
            kind: self.kind,
        }
    }

    pub(crate) fn next_version(&self) -> i64 {
        let count = match self.kind {
            Kind::Events => self.events.len(),
            Kind::Deletion | Kind::Tombstone => 0,
        };
        self.first_version.saturating_add_unsigned(count as u64)
    }

    /// Whether it is the append of these events.
    pub(crate) fn is_of(&self, kind: Kind, events: &[NewEvent]) -> bool {
        let ids = events.iter().map(|event| event.id);
        self.kind == kind && self.events.iter().map(|event| event.id).eq(ids)
    }

    pub(crate) fn row(&self) -> Vec<Datum<'_>> {
        let kind = match self.kind {
            Kind::Events => 0,
            Kind::Deletion => 1,
            Kind::Tombstone => 2,
        };
        // A deletion has an event too, by whose id it is known when it is tried again.
        let events = self.events.iter().map(fields).collect();
        vec![
            text(&self.stream),
            Datum::BigInt(self.number),
            Datum::BigInt(self.first_version),
            Datum::BigInt(self.first_read),
            Datum::TinyInt(kind),
            Datum::TimestampLtz(self.recorded_at),
            Datum::Array(events),
        ]
    }

    /// The append that a row is.
    ///
    /// # Errors
    ///
    /// What is wrong with the row.
    pub(crate) fn of(row: &impl Row) -> Result<Self, String> {
        let number = |index: usize| match row.datum(index) {
            Datum::BigInt(number) => Ok(number),
            other => Err(format!("{} where a number belongs", other.kind_name())),
        };
        let Datum::String(stream) = row.datum(0) else {
            return Err("a row without stream".to_owned());
        };
        let kind = match row.datum(4) {
            Datum::TinyInt(0) => Kind::Events,
            Datum::TinyInt(1) => Kind::Deletion,
            Datum::TinyInt(2) => Kind::Tombstone,
            other => return Err(format!("an append of kind {other:?}")),
        };
        let Datum::TimestampLtz(recorded_at) = row.datum(5) else {
            return Err("an append without time".to_owned());
        };
        let events = match row.datum(6) {
            Datum::Array(events) => events.into_iter().map(event).collect::<Result<_, _>>()?,
            other => return Err(format!("{} where events belong", other.kind_name())),
        };
        Ok(Self {
            stream: stream.as_ref().into(),
            number: number(1)?,
            first_version: number(2)?,
            first_read: number(3)?,
            kind,
            recorded_at,
            events,
        })
    }

    /// Its events, from a version on.
    pub(crate) fn recorded(
        self,
        place: Option<(BucketId, Offset)>,
    ) -> impl DoubleEndedIterator<Item = RecordedEvent> + ExactSizeIterator {
        let events = if self.kind == Kind::Events {
            self.events
        } else {
            Vec::new()
        };
        let (stream, first, recorded_at) = (self.stream, self.first_version, self.recorded_at);
        events
            .into_iter()
            .enumerate()
            .map(move |(index, event)| RecordedEvent {
                stream: stream.clone(),
                version: first.saturating_add_unsigned(index as u64),
                event,
                recorded_at,
                place,
            })
    }
}

/// The key of an append.
pub(crate) fn key(stream: &str, number: i64) -> [Datum<'_>; 2] {
    [text(stream), Datum::BigInt(number)]
}

/// An event, as the table has it.
fn fields(event: &NewEvent) -> Datum<'_> {
    Datum::Row(vec![
        Datum::String(Cow::Owned(event.id.to_string())),
        text(&event.event_type),
        bytes(&event.data),
        bytes(&event.metadata),
        text(&event.content_type),
    ])
}

fn event(event: Datum<'_>) -> Result<NewEvent, String> {
    let Datum::Row(fields) = event else {
        return Err(format!("{} where an event belongs", event.kind_name()));
    };
    let fields: [Datum<'_>; 5] = fields
        .try_into()
        .map_err(|fields: Vec<_>| format!("an event of {} fields", fields.len()))?;
    match fields {
        [
            Datum::String(id),
            Datum::String(event_type),
            Datum::Bytes(data),
            Datum::Bytes(metadata),
            Datum::String(content_type),
        ] => Ok(NewEvent {
            id: Uuid::parse_str(&id).map_err(|error| format!("the id {id:?} of an event: {error}"))?,
            event_type: event_type.into_owned(),
            data: Bytes::from(data.into_owned()),
            metadata: Bytes::from(metadata.into_owned()),
            content_type: content_type.into_owned(),
        }),
        _ => Err("an event that lacks something".to_owned()),
    }
}

const fn text(text: &str) -> Datum<'_> {
    Datum::String(Cow::Borrowed(text))
}

fn bytes(bytes: &Bytes) -> Datum<'_> {
    Datum::Bytes(Cow::Borrowed(bytes.as_ref()))
}
