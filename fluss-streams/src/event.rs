//! Events: as programs make them, and as they are recorded.

use bytes::Bytes;
use fluss_client::id::{BucketId, Offset};
use fluss_client::types::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

/// The content type of events of which nothing is said.
pub const DEFAULT_CONTENT_TYPE: &str = "application/json";

/// An event to be appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    /// What tells it from all others: an append that is tried again is known by the ids of its events.
    pub id: Uuid,
    /// What kind of event it is, such as `OrderCreated`.
    pub event_type: String,
    /// What it says.
    pub data: Bytes,
    /// What is said of it.
    pub metadata: Bytes,
    /// The format of `data`, such as `application/json`.
    pub content_type: String,
}

impl NewEvent {
    /// An event with an id of its own, no metadata, and `data` that is JSON.
    pub fn new(event_type: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self {
            id: Uuid::new_v4(),
            event_type: event_type.into(),
            data: data.into(),
            metadata: Bytes::new(),
            content_type: DEFAULT_CONTENT_TYPE.to_owned(),
        }
    }

    /// The same event under this id.
    #[must_use]
    pub const fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// The same event with metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<Bytes>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// The same event, whose data is of this content type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }
}

/// An event of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RecordedEvent {
    /// The stream.
    pub stream: Arc<str>,
    /// How many events the stream had before it.
    pub version: i64,
    /// As the event was appended.
    pub event: NewEvent,
    /// When it was appended, by the clock of the program that did it, in milliseconds.
    pub recorded_at: Timestamp,
    /// Where its append is in the table's changelog, if it was read from there.
    pub place: Option<(BucketId, Offset)>,
}
