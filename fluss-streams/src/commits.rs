//! The appends of a stream, looked up by their numbers.
//!
//! They have no gap, so that the last one is found by galloping: of a few numbers far and farther apart, all asked for at
//! once, the last that there is begins the next, narrower, search.

use fluss_client::types::{OwnedRow, TablePath};
use fluss_client::{Lookuper, Table};

use crate::commit::{Commit, Head, key};
use crate::error::{Error, Result};

/// How many numbers one call of a search asks for.
const PROBES: i64 = 10;

/// Looks appends up.
#[derive(Debug)]
pub(crate) struct Commits {
    lookuper: Lookuper,
    path: TablePath,
}

impl Commits {
    pub(crate) fn new(table: &Table) -> Result<Self> {
        Ok(Self {
            lookuper: table.lookup().lookuper()?,
            path: table.info().path.clone(),
        })
    }

    /// An append, if there is one of this number.
    pub(crate) async fn get(&self, stream: &str, number: i64) -> Result<Option<Commit>> {
        let row = self.lookuper.lookup(&key(stream, number)).await?;
        row.map(|row| self.commit(&row)).transpose()
    }

    /// Appends of these numbers, in their order, each if it is there.
    pub(crate) async fn get_many(
        &self,
        stream: &str,
        numbers: impl IntoIterator<Item = i64>,
    ) -> Result<Vec<Option<Commit>>> {
        let keys: Vec<_> = numbers.into_iter().map(|number| key(stream, number)).collect();
        let rows = self.lookuper.lookup_many(&keys).await?;
        let commit = |row: Option<OwnedRow>| row.map(|row| self.commit(&row)).transpose();
        rows.into_iter().map(commit).collect()
    }

    /// The last append of a stream, of which this one is `known` to be there, if any is. Nothing if that is the last one.
    pub(crate) async fn last(&self, stream: &str, known: Option<i64>) -> Result<Option<Commit>> {
        let mut last: Option<Commit> = None;
        let from = known.unwrap_or(-1);
        let mut reach = Reach::new(from);
        while let Some(numbers) = reach.next() {
            let found = self.get_many(stream, numbers.iter().copied()).await?;
            let there = found.iter().rposition(Option::is_some);
            reach.learn(&numbers, there);
            if let Some(commit) = there.and_then(|place| found.into_iter().nth(place)).flatten() {
                last = Some(commit);
            }
        }
        Ok(last)
    }

    /// The number of the append that has an event of this version, in a stream that has it.
    pub(crate) async fn of_version(&self, stream: &str, head: &Head, version: i64) -> Result<i64> {
        if version >= head.first_version {
            return Ok(head.number);
        }
        // It is there, and the one behind is too late.
        let (mut low, mut high) = (head.first_read, head.number);
        while low + 1 < high {
            let numbers = between(low, high);
            let found = self.get_many(stream, numbers.iter().copied()).await?;
            for (number, commit) in numbers.into_iter().zip(found) {
                let commit = commit.ok_or_else(|| self.wrong(stream, number, "it is missing"))?;
                if commit.first_version <= version {
                    low = low.max(number);
                } else {
                    high = high.min(number);
                }
            }
        }
        Ok(low)
    }

    pub(crate) fn wrong(&self, stream: &str, number: i64, reason: &str) -> Error {
        Error::WrongTable {
            table: self.path.clone(),
            reason: format!("append {number} of stream {stream:?}: {reason}"),
        }
    }

    fn commit(&self, row: &OwnedRow) -> Result<Commit> {
        Commit::of(row).map_err(|reason| Error::WrongTable {
            table: self.path.clone(),
            reason,
        })
    }
}

/// Up to [`PROBES`] numbers that divide what is between two others evenly.
fn between(low: i64, high: i64) -> Vec<i64> {
    let within = high - low - 1;
    let count = within.min(PROBES);
    (1..=count)
        .map(|place| low + place * (within + 1) / (count + 1))
        .collect()
}

/// A search for the last number of an unbroken run that is there.
struct Reach {
    /// The last that is known to be there.
    low: i64,
    /// The first that is known to be missing.
    high: Option<i64>,
    step: i64,
}

impl Reach {
    const fn new(low: i64) -> Self {
        Self {
            low,
            high: None,
            step: 1,
        }
    }

    /// What to ask for next; nothing once it is known.
    fn next(&mut self) -> Option<Vec<i64>> {
        match self.high {
            Some(high) if high <= self.low + 1 => None,
            Some(high) => Some(between(self.low, high)),
            None => {
                let steps = std::iter::successors(Some(self.step), |step| step.checked_mul(2));
                let numbers = steps
                    .map(|step| self.low.saturating_add(step))
                    .take(PROBES as usize);
                let numbers: Vec<i64> = numbers.collect();
                self.step = self.step.saturating_mul(1 << PROBES);
                Some(numbers)
            }
        }
    }

    /// Takes note of the place of the last number that is there.
    fn learn(&mut self, numbers: &[i64], there: Option<usize>) {
        let behind = there.map_or(0, |place| place + 1);
        if let Some(low) = there.and_then(|place| numbers.get(place)) {
            self.low = *low;
        }
        if let Some(high) = numbers.get(behind) {
            self.high = Some(*high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a run of so many numbers from 0 on, and returns the last one, and how often it asked.
    fn search(length: i64, known: i64) -> (i64, usize) {
        let mut reach = Reach::new(known);
        let mut calls = 0;
        while let Some(numbers) = reach.next() {
            calls += 1;
            let there = numbers.iter().rposition(|number| *number < length);
            reach.learn(&numbers, there);
        }
        (reach.low, calls)
    }

    #[test]
    fn the_last_number_is_found_wherever_the_search_begins() {
        for length in (0..300).chain([1_000, 4_095, 4_096, 1_000_000, 123_456_789]) {
            for known in [-1, 0, length / 2, length - 2, length - 1] {
                if (-1..length).contains(&known) {
                    let (last, calls) = search(length, known);
                    assert_eq!(last, length - 1, "of {length}, from {known}");
                    assert!(calls <= 12, "{calls} calls for {length} from {known}");
                }
            }
        }
        assert_eq!(search(0, -1), (-1, 1));
        assert_eq!(search(1_000, 999), (999, 1));
    }

    #[test]
    fn what_is_between_is_divided() {
        assert_eq!(between(3, 5), [4]);
        assert_eq!(between(0, 4), [1, 2, 3]);
        let many = between(10, 1_000);
        assert_eq!(many.len(), 10);
        assert!(many.is_sorted() && many.iter().all(|number| (11..1_000).contains(number)));
    }
}
