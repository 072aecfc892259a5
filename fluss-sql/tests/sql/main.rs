//! What statements do, on a node in memory and, where Java is there to run one, on a cluster.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod cancellation;
mod following;
mod look_ups;
mod memory;
mod records;
mod statements;
mod world;
mod writes;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    world::listen();
    let mut trials = records::trials();
    for (module, tests) in [
        ("cancellation", cancellation::TESTS),
        ("following", following::TESTS),
        ("look_ups", look_ups::TESTS),
        ("memory", memory::TESTS),
        ("statements", statements::TESTS),
        ("writes", writes::TESTS),
    ] {
        for (name, test) in tests {
            let test = *test;
            trials.push(Trial::test(format!("{module}::{name}"), move || {
                test();
                Ok(())
            }));
        }
    }
    let outcome = libtest_mimic::run(&Arguments::from_args(), trials);
    world::stop();
    outcome.exit_code()
}
