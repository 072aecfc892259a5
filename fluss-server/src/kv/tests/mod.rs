//! Tablets as a whole.

mod cost;
pub(super) mod disk;
mod model;
mod random;
mod rules;
mod world;
