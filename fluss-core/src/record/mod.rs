//! Record batches: what logs, fetches and writes are made of.

pub mod log;
