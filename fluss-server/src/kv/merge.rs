//! What becomes of a row when another is written (`behaviour.md` §3.3, §3.4).

use fluss_core::types::Datum;

use super::aggregate::order;
use super::error::Error;
use super::mode::Mode;
use super::rules::Engine;

/// A row, in the columns of the latest schema.
pub(super) type Values<'v> = Vec<Datum<'v>>;

impl Mode<'_> {
    /// The row that is stored for a key that has none, as far as it differs from what was written.
    pub(super) fn first<'v>(&self, row: Values<'v>, number: Option<Datum<'static>>) -> Values<'v> {
        let mut first: Values<'v> = row
            .into_iter()
            .enumerate()
            .map(|(column, datum)| if self.writes(column) { datum } else { Datum::Null })
            .collect();
        if let (Some(counter), Some(number)) = (self.rules.counter, number)
            && let Some(place) = first.get_mut(counter.column)
        {
            *place = number;
        }
        first
    }

    /// Whether a row is left as if nothing had been written.
    pub(super) fn keeps(&self, old: &[Datum<'_>], new: &[Datum<'_>]) -> bool {
        match &self.rules.engine {
            _ if self.replaces() => self.writes_only_key(),
            Engine::FirstRow => true,
            Engine::Versioned(column) => is_older(new.get(*column), old.get(*column)),
            Engine::LastRow | Engine::Aggregation(_) => false,
        }
    }

    /// Whether the row that was written is stored as it is.
    pub(super) fn takes_whole(&self) -> bool {
        self.written.is_none() && (self.overwrite || !matches!(self.rules.engine, Engine::Aggregation(_)))
    }

    /// The row that takes the place of another.
    pub(super) fn merge<'v>(&self, old: Values<'v>, new: Values<'v>) -> Result<Values<'v>, Error> {
        let functions = match &self.rules.engine {
            Engine::Aggregation(functions) if !self.overwrite => functions.as_slice(),
            _ => &[],
        };
        let columns = old.into_iter().zip(new).enumerate();
        let merged = columns.map(|(column, (old, new))| match functions.get(column) {
            _ if !self.writes(column) => Ok(old),
            Some(Some(function)) => function.merge(old, new),
            _ => Ok(new),
        });
        merged.collect()
    }

    /// What is left of a row when it is deleted; nothing if the row goes.
    pub(super) fn remains<'v>(&self, old: &[Datum<'v>]) -> Option<Values<'v>> {
        let is_key = |column: usize| self.rules.key.contains(&column);
        let stays = |column: usize| is_key(column) || !self.writes(column);
        let values = old.iter().enumerate();
        if !values
            .clone()
            .any(|(column, datum)| !is_key(column) && stays(column) && !datum.is_null())
        {
            return None;
        }
        let left = values.map(|(column, datum)| if stays(column) { datum.clone() } else { Datum::Null });
        Some(left.collect())
    }
}

/// Whether a version is smaller than the other. No version is the smallest, for INT and BIGINT the same as the least of
/// the type, as servers take it.
fn is_older(new: Option<&Datum<'_>>, old: Option<&Datum<'_>>) -> bool {
    let (Some(new), Some(old)) = (new, old) else {
        return false;
    };
    match (new, old) {
        (Datum::Null, Datum::Null | Datum::Int(i32::MIN) | Datum::BigInt(i64::MIN)) => false,
        (Datum::Null, _) => true,
        (_, Datum::Null) => false,
        _ => order(new, old).is_lt(),
    }
}
