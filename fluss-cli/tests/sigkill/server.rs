//! The program, on a directory and a port that stay the same.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fluss_client::ServerAddress;
use tempfile::TempDir;

pub(crate) struct Server {
    directory: TempDir,
    port: u16,
    process: Child,
}

impl Server {
    pub(crate) fn start(sync: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Small segments, so that kills come between them too.
        let config = format!("sync: {sync}\nlog.segment.file-size: 65536\n");
        std::fs::write(directory.path().join("config"), config).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self {
            process: serve(directory.path(), port),
            directory,
            port,
        }
    }

    pub(crate) fn address(&self) -> ServerAddress {
        ServerAddress::new("127.0.0.1", self.port)
    }

    /// With SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.process = serve(self.directory.path(), self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the program, and waits until it serves.
fn serve(directory: &Path, port: u16) -> Child {
    let mut process = Command::new(env!("CARGO_BIN_EXE_fluss"))
        .arg("serve")
        .arg("--data-dir")
        .arg(directory.join("data"))
        .arg("--config")
        .arg(directory.join("config"))
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = process.stdout.as_mut().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    assert!(line.starts_with("serving at"), "{line:?}");
    process
}
