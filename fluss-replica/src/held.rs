//! A copy that is open.

use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use fluss_client::DecodeError;
use fluss_client::types::{PartitionName, TablePath};
use fluss_core::row::partition_name;
use fluss_store::OpenError;
use fluss_store::copy::CopyFile;

use crate::changes::Changes;
use crate::contents::Contents;
use crate::error::{Error, Result};
use crate::shape::Shape;

/// How many keys are looked for before they are removed.
const AT_A_TIME: usize = 1 << 20;

/// A copy that is open, and how its rows are read.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) generation: u64,
    pub(crate) file: Arc<CopyFile>,
    pub(crate) shape: Arc<Shape>,
}

impl Copy {
    /// Opens a copy that was finished.
    pub(crate) fn open(directory: &Path, generation: u64, table: &TablePath) -> Result<Self> {
        let file = CopyFile::open(directory).map_err(|error| unopened(error, table))?;
        let contents = read_contents(&file)?;
        let shape = contents.shape(table.clone());
        let shape = shape.map_err(|error| Error::damaged(directory, error))?;
        Ok(Self {
            generation,
            file,
            shape: Arc::new(shape),
        })
    }

    pub(crate) fn contents(&self) -> Result<Contents> {
        read_contents(&self.file)
    }

    /// Makes changes, and puts what then stands beside the rows.
    pub(crate) fn apply(&self, changes: &mut Changes, contents: &Contents) -> Result<()> {
        let written: io::Result<()> = self.file.write(|batch| {
            changes.make(batch)?;
            Ok(contents.to_bytes())
        });
        written.map_err(|error| self.fault(error))
    }

    /// Removes the rows of partitions that there are no more. Reads see some go before others.
    pub(crate) fn purge(&self, keys: &[String], gone: &[PartitionName], contents: &Contents) -> Result<()> {
        let shape = &self.shape;
        let places = keys.iter().filter_map(|key| shape.row_type.index_of(key));
        let places: Vec<usize> = places.collect();
        loop {
            let mut changes = Changes::default();
            let mut look = |key: &[u8], value: &[u8]| {
                let row = shape.row(value, |value| value).map_err(|error| invalid(&error))?;
                let name = partition_name(&shape.row_type, &places, &row);
                if name.is_ok_and(|name| gone.contains(&name)) {
                    changes.remove_key(key);
                }
                Ok(if changes.len() < AT_A_TIME {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            };
            let view = self.file.view().map_err(|error| self.fault(error))?;
            view.scan(&[], &mut look).map_err(|error| self.fault(error))?;
            drop(view);
            let is_last = changes.len() < AT_A_TIME;
            self.apply(&mut changes, contents)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// What a failure to read or write the file means.
    pub(crate) fn fault(&self, error: io::Error) -> Error {
        fault(self.file.directory(), error)
    }

    /// What bytes mean that are none of its rows.
    pub(crate) fn undecodable(&self, error: &DecodeError) -> Error {
        Error::damaged(self.file.directory(), error)
    }
}

fn read_contents(file: &CopyFile) -> Result<Contents> {
    let view = file.view().map_err(|error| fault(file.directory(), error))?;
    let about = view.about().map_err(|error| fault(file.directory(), error))?;
    Contents::read(about).map_err(|reason| Error::damaged(file.directory(), reason))
}

/// What a failure to read or write a file means.
pub(crate) fn fault(directory: &Path, error: io::Error) -> Error {
    if error.kind() == ErrorKind::InvalidData {
        Error::damaged(directory, error)
    } else {
        Error::storage(directory)(error)
    }
}

/// Bytes that are no rows, as a file says it of its own.
pub(crate) fn invalid(error: &DecodeError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}

/// What it means that a file cannot be opened.
pub(crate) fn unopened(error: OpenError, table: &TablePath) -> Error {
    match error {
        OpenError::Inherited { .. } => Error::Inherited { table: table.clone() },
        OpenError::Io { path, source } if source.kind() != ErrorKind::InvalidData => {
            Error::storage(path)(source)
        }
        OpenError::Io { path, source } => Error::damaged(path, source),
        OpenError::Damaged { path, at, source } => Error::damaged(path, format!("at byte {at}: {source}")),
        other => Error::damaged("", other),
    }
}
