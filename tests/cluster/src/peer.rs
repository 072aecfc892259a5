//! Programs on other clients (`tests/peers/README.md`), for tests in which one client writes and another reads.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::error::{Attempt, Error};
use crate::jars::{Jars, JavaClient};
use crate::programs::{java_tool, not_started};

const JAVA_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../peers/java/Peer.java");

/// A running peer. It ends with this value, and when this process ends, for then its input ends.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Compiles and starts the peer on the published Java client.
    ///
    /// # Errors
    /// When the jars, `javac` or `java` cannot be had.
    pub fn java() -> Result<Self, Error> {
        let class_path = Jars::fetch()?.compile(Path::new(JAVA_SOURCE), JavaClient::Own)?;
        let mut command = Command::new(java_tool("java"));
        command.args([
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
        ]);
        command.args([
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            // It complains of every partition that it is about to create.
            "-Dorg.slf4j.simpleLogger.log.org.apache.fluss.client.write.Sender=off",
            "-cp",
            &class_path,
            "Peer",
            "serve",
        ]);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_started("java", error))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(requests), Some(output)) => Ok(Self {
                child,
                requests,
                answers: BufReader::new(output),
            }),
            _ => Err(Error::Peer {
                message: "started without input or output".to_owned(),
            }),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Peer`] with the peer's own words when it could not do what it was asked.
    pub fn ask(&mut self, request: &Value) -> Result<Value, Error> {
        writeln!(self.requests, "{request}").attempt(|| "send a request to a peer".to_owned())?;
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .attempt(|| "read the answer of a peer".to_owned())?;
        let answer: Value = serde_json::from_str(&line).map_err(|error| Error::Peer {
            message: format!("no answer to {request}: {error}"),
        })?;
        match answer.get("error").and_then(Value::as_str) {
            Some(message) => Err(Error::Peer {
                message: message.to_owned(),
            }),
            None => Ok(answer),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
