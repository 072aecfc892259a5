//! Rows as bytes, keys, and the buckets and partitions that they choose.
