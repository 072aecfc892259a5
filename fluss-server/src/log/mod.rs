//! The log of a bucket.
