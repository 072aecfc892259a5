//! Random cases, counted as vectors are.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Runs `check` on as many random values as proptest is configured to, says how many there were, and complains with
/// the smallest value that fails.
pub(crate) fn cases<S: Strategy>(
    what: &str,
    strategy: &S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let (expected, passed) = (config.cases, Cell::new(0));
    let outcome = TestRunner::new(config).run(strategy, |value| {
        check(value)?;
        passed.set(passed.get() + 1);
        Ok(())
    });
    println!("{what}: {} cases", passed.get());
    assert!(outcome.is_ok(), "{what}: {outcome:?}");
    assert_eq!(passed.get(), expected, "{what}");
}
