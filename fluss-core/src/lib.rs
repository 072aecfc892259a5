//! The data model of Apache Fluss and the client built on it.
