//! The `fluss` program, as those who type its commands find it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod tls;
mod users;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Far more than the program needs.
const SOON: Duration = Duration::from_secs(30);

/// The program, until this is dropped.
struct Server {
    process: Child,
    target: String,
}

impl Server {
    fn start<A: AsRef<OsStr>>(directory: &Path, arguments: &[A]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_fluss"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory.join("data"))
            .args(arguments)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = process.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let target = line.trim().strip_prefix("serving at ").expect(&line).to_owned();
        Self { process, target }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
