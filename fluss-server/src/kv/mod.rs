//! The state of a bucket of a primary-key table: an index over its changelog.
