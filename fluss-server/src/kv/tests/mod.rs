//! Tablets as a whole.

pub(super) mod disk;
mod rules;
mod world;
