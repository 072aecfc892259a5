//! What a table of streams is to do.

use std::collections::BTreeMap;

use fluss_streams::{CurrentVersion, Error, NewEvent, StreamState, Uuid};

/// The streams by their names.
#[derive(Default)]
pub(super) struct Model(BTreeMap<String, Modelled>);

#[derive(Default)]
struct Modelled {
    /// The ids of all events, those included that are deleted.
    ids: Vec<Uuid>,
    /// The first that is not deleted.
    first: usize,
    is_ended: bool,
}

/// Why something is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    WrongVersion(CurrentVersion),
    NotFound,
    Deleted,
}

/// A version, or a number of events.
pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}

impl Refusal {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::WrongCurrentVersion { actual, .. } => Self::WrongVersion(*actual),
            Error::NotFound { .. } => Self::NotFound,
            Error::Deleted { .. } => Self::Deleted,
            other => panic!("{other}"),
        }
    }
}

impl Model {
    fn stream(&mut self, name: &str) -> &mut Modelled {
        self.0.entry(name.to_owned()).or_default()
    }

    pub(super) fn append(
        &mut self,
        name: &str,
        events: &[NewEvent],
        expected: StreamState,
    ) -> Result<i64, Refusal> {
        let stream = self.stream(name);
        stream.check(expected)?;
        stream.ids.extend(events.iter().map(|event| event.id));
        Ok(number(stream.ids.len()) - 1)
    }

    pub(super) fn delete(&mut self, name: &str, expected: StreamState) -> Result<i64, Refusal> {
        let stream = self.stream(name);
        stream.check(expected)?;
        if stream.version() == CurrentVersion::NoStream {
            return Err(Refusal::NotFound);
        }
        stream.first = stream.ids.len();
        Ok(number(stream.ids.len()) - 1)
    }

    pub(super) fn end(&mut self, name: &str, expected: StreamState) -> Result<i64, Refusal> {
        let stream = self.stream(name);
        stream.check(expected)?;
        stream.first = stream.ids.len();
        stream.is_ended = true;
        Ok(number(stream.ids.len()) - 1)
    }

    pub(super) fn version(&mut self, name: &str) -> CurrentVersion {
        self.stream(name).version()
    }

    /// The events that can be read, with their versions.
    pub(super) fn read(&mut self, name: &str) -> Result<Vec<(i64, Uuid)>, Refusal> {
        let stream = self.stream(name);
        if stream.is_ended {
            return Err(Refusal::Deleted);
        }
        if stream.version() == CurrentVersion::NoStream {
            return Err(Refusal::NotFound);
        }
        let events = stream.ids.iter().enumerate().skip(stream.first);
        Ok(events.map(|(version, id)| (number(version), *id)).collect())
    }
}

impl Modelled {
    fn version(&self) -> CurrentVersion {
        if self.ids.len() == self.first {
            CurrentVersion::NoStream
        } else {
            CurrentVersion::Version(number(self.ids.len()) - 1)
        }
    }

    fn check(&self, expected: StreamState) -> Result<(), Refusal> {
        if self.is_ended {
            return Err(Refusal::Deleted);
        }
        let current = self.version();
        let suits = match expected {
            StreamState::Any => true,
            StreamState::Exists => current != CurrentVersion::NoStream,
            StreamState::NoStream => current == CurrentVersion::NoStream,
            // Something was put there, if only a deletion.
            StreamState::Version(version) => !self.ids.is_empty() && version == number(self.ids.len()) - 1,
        };
        if suits {
            return Ok(());
        }
        Err(Refusal::WrongVersion(current))
    }
}
