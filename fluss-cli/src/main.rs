//! The `fluss` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    fluss_cli::run(std::env::args_os()).into()
}
