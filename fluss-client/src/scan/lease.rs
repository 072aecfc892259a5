//! Rows on their way to the consumer.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::decoded::{Decoded, Part};
use super::inner::Inner;
#[cfg(doc)]
use super::scanner::LogScanner;

/// What a poll has found, for whoever passes it on to a consumer that may have gone away meanwhile: another thread, or a
/// task of another runtime.
///
/// The rows stay the scanner's until they are [taken](Self::take). If the lease is dropped before that they go back, and
/// the next poll returns them; [`positions`](LogScanner::positions) has not passed them. Other polls wait as long as there
/// is a lease.
#[must_use = "the rows go back to the scanner"]
pub struct Lease<T> {
    found: T,
    loan: Loan,
}

impl<T> Lease<T> {
    pub(super) const fn new(found: T, loan: Loan) -> Self {
        Self { found, loan }
    }

    /// What the poll has found.
    pub const fn get(&self) -> &T {
        &self.found
    }

    /// Makes something else of what was found. If that fails the rows go back.
    ///
    /// # Errors
    ///
    /// That of `make`.
    pub fn try_map<U, E>(self, make: impl FnOnce(T) -> Result<U, E>) -> Result<Lease<U>, E> {
        let Self { found, loan } = self;
        Ok(Lease {
            found: make(found)?,
            loan,
        })
    }

    /// Hands the rows over. The scanner has passed them from now on.
    pub fn take(self) -> T {
        let Self { found, mut loan } = self;
        loan.is_taken = true;
        found
    }
}

/// Rows that are lent. They go back unless they are taken.
pub(super) struct Loan {
    scanner: Arc<Inner>,
    rows: usize,
    is_taken: bool,
    /// Lets no other poll take rows that are behind these.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Loan {
    /// Lends rows, so many, that were taken from `decoded`.
    pub(super) fn new(
        scanner: &Arc<Inner>,
        decoded: &mut Decoded,
        parts: Vec<Part>,
        rows: usize,
        turn: OwnedMutexGuard<()>,
    ) -> Self {
        decoded.lent = parts;
        Self {
            scanner: scanner.clone(),
            rows,
            is_taken: false,
            turn: Some(turn),
        }
    }

    /// Of a poll that has found nothing.
    pub(super) fn nothing(scanner: &Arc<Inner>) -> Self {
        Self {
            scanner: scanner.clone(),
            rows: 0,
            is_taken: true,
            turn: None,
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.turn.is_none() {
            return;
        }
        let Ok(mut decoded) = self.scanner.decoded() else {
            return;
        };
        let lent = std::mem::take(&mut decoded.lent);
        if self.is_taken {
            self.scanner.shared.meters.handed_over(self.rows);
        } else {
            decoded.put_back(lent.into_iter());
        }
    }
}
