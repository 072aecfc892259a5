//! The `fluss` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    fluss_cli::main(std::env::args_os())
}
