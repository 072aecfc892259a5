//! Nothing but dependencies. A build of the Python package that asks for this crate has its dependencies with the
//! features that `cargo test --workspace` builds them with, and so need not build them a second time. What is missing
//! here costs time, and nothing else.
