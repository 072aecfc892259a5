//! Scans, before they begin.

use super::decode::Decoder;
use super::scanner::LogScanner;
use crate::config::ScannerOptions;
use crate::error::{Context, ErrorKind, Result};
use crate::table::Table;
use fluss_core::filter::Predicate;
use fluss_core::id::{Offset, TableBucket};

/// Puts a scanner together. Had from [`Table::scan`].
#[derive(Clone, Debug)]
pub struct ScanBuilder {
    table: Table,
    columns: Option<Vec<String>>,
    predicate: Option<Predicate>,
    skipped: Vec<(TableBucket, Offset)>,
}

impl Table {
    /// Begins a scan.
    pub fn scan(&self) -> ScanBuilder {
        ScanBuilder::new(self.clone())
    }
}

impl ScanBuilder {
    pub(crate) const fn new(table: Table) -> Self {
        Self {
            table,
            columns: None,
            predicate: None,
            skipped: Vec::new(),
        }
    }

    /// Reads only these columns, in this order. Of a table in the ARROW format only they are fetched, but for what is in
    /// remote storage: there whole files are read, of which only they are decoded.
    #[must_use]
    pub fn project<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Reads only the rows that hold a condition; named twice, those that hold both. Of a primary-key table these are
    /// records of its changelog: an update may have only one side that holds it.
    ///
    /// The columns that it looks at need not be among those that are projected. Partitions that cannot have such rows are
    /// not read by [`subscribe_all`](LogScanner::subscribe_all).
    #[must_use]
    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.predicate = Some(match self.predicate.take() {
            Some(first) => first & predicate,
            None => predicate,
        });
        self
    }

    /// Passes over the batch of a bucket whose first record has this offset, with all its records, and says so with a warning.
    ///
    /// For a batch that cannot be read, whose error says where it is: [`Context::batch`]. Nothing else is ever left out.
    #[must_use]
    pub fn skip(mut self, bucket: TableBucket, offset: Offset) -> Self {
        self.skipped.push((bucket, offset));
        self
    }

    /// The batches that are passed over.
    pub(crate) fn skipped(&self) -> &[(TableBucket, Offset)] {
        &self.skipped
    }

    /// A scanner of the log: of the rows of a log table, of the changes of a primary-key table.
    ///
    /// # Errors
    ///
    /// A column that the table does not have, or one that is named twice; a filter that does not fit the
    /// table, see [`Filter::new`](fluss_core::filter::Filter::new).
    pub fn log_scanner(self) -> Result<LogScanner> {
        self.scanner(self.columns()?.as_deref(), self.predicate())
    }

    /// A scanner of the columns at these positions, of the rows that hold a condition.
    pub(crate) fn scanner(
        &self,
        columns: Option<&[usize]>,
        predicate: Option<&Predicate>,
    ) -> Result<LogScanner> {
        self.scanner_with(columns, predicate, self.table.cluster().options().scanner.clone())
    }

    /// The same, which fetches as these options say.
    pub(crate) fn scanner_with(
        &self,
        columns: Option<&[usize]>,
        predicate: Option<&Predicate>,
        options: ScannerOptions,
    ) -> Result<LogScanner> {
        let (info, cluster) = (self.table.shared_info(), self.table.cluster().clone());
        let decoder = Decoder::new(&info, columns, predicate, &options);
        let decoder = decoder.map_err(|error| Context::new("scan").table(&info.path).error(error))?;
        Ok(LogScanner::new(
            cluster,
            info,
            decoder.skipping(&self.skipped),
            options,
        ))
    }

    pub(crate) const fn predicate(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// The positions of the columns to read; nothing for all.
    pub(crate) fn columns(&self) -> Result<Option<Vec<usize>>> {
        let info = self.table.info();
        let context = || Context::new("scan").table(&info.path);
        let columns = self.columns.as_ref();
        let columns = columns.map(|names| info.schema().indexes_of(names)).transpose();
        let columns = columns.map_err(|error| context().error(error))?;
        if let Some(columns) = &columns {
            let twice = columns
                .iter()
                .enumerate()
                .any(|(place, column)| columns.iter().take(place).any(|c| c == column));
            if twice {
                let reason = "a projection takes each column only once";
                return Err(context().error(ErrorKind::InvalidArgument(reason.to_owned())));
            }
        }
        Ok(columns)
    }
}
