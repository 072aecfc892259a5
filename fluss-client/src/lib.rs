//! The client for Apache Fluss.
