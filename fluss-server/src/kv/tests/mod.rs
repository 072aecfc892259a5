//! Tablets as a whole.

mod cost;
pub(super) mod disk;
mod model;
mod opening;
mod random;
mod rules;
mod world;
