//! Event streams.

mod reader;

use std::collections::{BTreeMap, HashMap};

use fluss_client as client;
use fluss_client::id::BucketId;
use fluss_streams::{
    Appended, CurrentVersion, NewEvent, ReadStream, StartFrom, StreamState, Streams, StreamsOptions, Uuid,
    Wanted,
};
use futures::StreamExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub(crate) use self::reader::EventReader;
use self::reader::{AT_A_TIME, Feed};
use crate::error;
use crate::own::Own;
use crate::path::PathArgument;
use crate::pending::{Limit, Pending};
use crate::positions::Positions;

/// What state a stream is to be in.
#[derive(FromPyObject)]
pub(crate) enum Expected {
    Version(i64),
    State(String),
}

impl Expected {
    fn state(self) -> PyResult<StreamState> {
        match self {
            Self::Version(version) => Ok(StreamState::Version(version)),
            Self::State(state) => match state.as_str() {
                "NO_STREAM" => Ok(StreamState::NoStream),
                "EXISTS" => Ok(StreamState::Exists),
                "ANY" => Ok(StreamState::Any),
                _ => Err(error::argument(format!("no state of a stream: {state}"))),
            },
        }
    }
}

/// Where events of all streams are read from.
#[derive(FromPyObject)]
pub(crate) enum FromArgument<'py> {
    Positions(PyRef<'py, Positions>),
    Offsets(HashMap<i32, i64>),
    Offset(i64),
    Edge(String),
}

impl FromArgument<'_> {
    fn start(self, streams: &Streams) -> PyResult<StartFrom> {
        let buckets = streams.table().info().bucket_count;
        match self {
            Self::Positions(positions) => Ok(StartFrom::Positions(positions.0.clone())),
            Self::Offsets(offsets) => {
                let offsets = offsets
                    .into_iter()
                    .map(|(bucket, offset)| (BucketId(bucket), offset));
                Ok(StartFrom::Offsets(offsets.collect()))
            }
            Self::Offset(offset) if buckets == 1 => {
                Ok(StartFrom::Offsets(BTreeMap::from([(BucketId(0), offset)])))
            }
            Self::Offset(_) => Err(error::argument(format!(
                "a number is no position in a table of {buckets} buckets: give a dict of them, or Positions"
            ))),
            Self::Edge(edge) => match edge.as_str() {
                "start" => Ok(StartFrom::Start),
                "end" => Ok(StartFrom::End),
                _ => Err(error::argument(format!(
                    "from_position is 'start' or 'end', not '{edge}'"
                ))),
            },
        }
    }
}

/// Id, type, data, metadata, content type.
type EventParts = (String, String, Vec<u8>, Vec<u8>, String);

/// The streams of a table.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct EventStreams(Own<Streams>);

impl EventStreams {
    /// Opens the streams of a table.
    pub(crate) fn open(
        connection: client::Connection,
        path: PathArgument,
        create: bool,
        buckets: i32,
    ) -> PyResult<Pending> {
        let path = path.of(&connection.admin())?;
        let mut options = StreamsOptions::default();
        (options.create, options.buckets) = (create, buckets);
        let opening = async move { Streams::open(&connection, &path, options).await };
        Ok(Pending::object(opening, |streams| Self(Own::new(streams))))
    }

    /// Begins an append that has so long.
    fn begin<F>(
        &self,
        limit: Option<Limit>,
        append: impl FnOnce(Streams) -> F + Send + 'static,
    ) -> PyResult<Pending>
    where
        F: Future<Output = fluss_streams::Result<Appended>> + Send,
    {
        let streams = self.0.get()?.clone();
        let limit = limit.map(Limit::duration).transpose()?;
        let appending = async move {
            match limit {
                Some(limit) => client::within(limit, append(streams.with_timeout(limit))).await,
                None => append(streams).await,
            }
        };
        Ok(Pending::object(appending, |appended: Appended| {
            let position = appended.position.map(|(bucket, offset)| (bucket.get(), offset));
            (appended.version, position)
        }))
    }
}

#[pymethods]
impl EventStreams {
    /// Appends events. It gives the version of the last one, and a bucket with an offset behind the append.
    #[pyo3(signature = (stream, events, expected, limit=None))]
    fn append(
        &self,
        stream: String,
        events: Vec<EventParts>,
        expected: Expected,
        limit: Option<Limit>,
    ) -> PyResult<Pending> {
        let expected = expected.state()?;
        let event = |(id, event_type, data, metadata, content_type): EventParts| {
            let id = Uuid::parse_str(&id)
                .map_err(|error| PyValueError::new_err(format!("the id of an event: {error}")))?;
            let event = NewEvent::new(event_type, data)
                .with_id(id)
                .with_metadata(metadata);
            Ok::<_, PyErr>(event.with_content_type(content_type))
        };
        let events = events.into_iter().map(event).collect::<PyResult<Vec<_>>>()?;
        self.begin(limit, move |streams| async move {
            streams.append(&stream, events, expected).await
        })
    }

    #[pyo3(signature = (stream, expected, limit=None))]
    fn delete(&self, stream: String, expected: Expected, limit: Option<Limit>) -> PyResult<Pending> {
        let expected = expected.state()?;
        self.begin(limit, move |streams| async move {
            streams.delete(&stream, expected).await
        })
    }

    #[pyo3(signature = (stream, expected, limit=None))]
    fn tombstone(&self, stream: String, expected: Expected, limit: Option<Limit>) -> PyResult<Pending> {
        let expected = expected.state()?;
        self.begin(limit, move |streams| async move {
            streams.tombstone(&stream, expected).await
        })
    }

    /// The version of the last event, or None.
    fn current_version(&self, stream: String) -> PyResult<Pending> {
        let streams = self.0.get()?.clone();
        let looking = async move { streams.current_version(&stream).await };
        Ok(Pending::object(looking, CurrentVersion::version))
    }

    /// The ends of the changelog's buckets.
    fn ends(&self) -> PyResult<Pending> {
        let streams = self.0.get()?.clone();
        let looking = async move { streams.ends().await };
        Ok(Pending::object(looking, |ends: BTreeMap<BucketId, i64>| {
            let ends = ends.into_iter().map(|(bucket, end)| (bucket.get(), end));
            ends.collect::<HashMap<_, _>>()
        }))
    }

    #[pyo3(signature = (stream, from_version=None, backwards=false, limit=None))]
    fn read_stream(
        &self,
        stream: &str,
        from_version: Option<i64>,
        backwards: bool,
        limit: Option<usize>,
    ) -> PyResult<EventReader> {
        let mut read = ReadStream::default();
        (read.from_version, read.backwards, read.limit) = (from_version, backwards, limit);
        let events = self.0.get()?.read_stream(stream, read).boxed();
        Ok(EventReader::new(Feed::Stream(
            events.ready_chunks(AT_A_TIME).boxed(),
        )))
    }

    /// The events of all streams: those that there are now, or also those that come.
    #[pyo3(signature = (start, stream_prefixes, event_types, ends))]
    fn follow_all(
        &self,
        start: FromArgument<'_>,
        stream_prefixes: Vec<String>,
        event_types: Vec<String>,
        ends: bool,
    ) -> PyResult<Pending> {
        let streams = self.0.get()?.clone();
        let start = start.start(&streams)?;
        let mut wanted = Wanted::default();
        (wanted.stream_prefixes, wanted.event_types) = (stream_prefixes, event_types);
        let beginning = async move {
            if ends {
                streams.read_all(start, wanted).await
            } else {
                streams.subscribe_to_all(start, wanted).await
            }
        };
        Ok(Pending::object(beginning, EventReader::following))
    }

    fn follow_stream(&self, stream: String, from_version: i64) -> PyResult<Pending> {
        let streams = self.0.get()?.clone();
        let beginning = async move { streams.subscribe_to_stream(&stream, from_version).await };
        Ok(Pending::object(beginning, EventReader::following))
    }

    fn saved_positions(&self, consumer: String) -> PyResult<Pending> {
        let streams = self.0.get()?.clone();
        let looking = async move { streams.saved_positions(&consumer).await };
        Ok(Pending::object(looking, |positions| positions.map(Positions)))
    }

    fn save_positions(&self, consumer: String, positions: &Positions) -> PyResult<Pending> {
        let (streams, positions) = (self.0.get()?.clone(), positions.0.clone());
        Ok(Pending::nothing(async move {
            streams.save_positions(&consumer, &positions).await
        }))
    }

    #[getter]
    fn table_path(&self) -> PyResult<String> {
        Ok(self.0.get()?.table().info().path.to_string())
    }
}
