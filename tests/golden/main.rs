//! Bytes from other implementations of the protocol: read to the values that they stand for, and written again to the
//! same bytes. `vectors/README.md` says where they come from.

mod vectors;

mod allocations;
mod batches;
mod cases;
mod documents;
mod frames;
mod hashes;
mod hostile_rows;
mod hudi_keys;
mod identities;
mod keys;
mod kv_batches;
mod log_batches;
mod messages;
mod metadata_json;
mod partitions;
mod predicates;
mod projections;
mod rows;
mod stored_batches;
mod typed_batches;
mod values;
