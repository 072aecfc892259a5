//! What a state has beside rows, as five numbers.

use super::super::engine::About;
use crate::tree::Links;

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) about: About,
    pub(super) links: Links,
}

impl Ledger {
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let mut words = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| i64::from_le_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        Self {
            about: About {
                applied: next(),
                numbers: next()..next(),
            },
            links: Links {
                count: next() as u64,
                next_branch: next() as u64,
            },
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let About { applied, numbers } = &self.about;
        let words = [
            *applied,
            numbers.start,
            numbers.end,
            self.links.count as i64,
            self.links.next_branch as i64,
        ];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}
