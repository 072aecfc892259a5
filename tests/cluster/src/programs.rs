//! The programs of the machine that the fixture runs: `java`, `javac`, `mvn`.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Attempt, Error};

/// How much of a log goes into an error.
const TAIL_LINES: usize = 40;

/// A tool of the Java installation, from `JAVA_HOME` if that is set, else from the path.
pub(crate) fn java_tool(name: &'static str) -> String {
    std::env::var("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin").join(name))
        .ok()
        .filter(|path| path.is_file())
        .map_or_else(|| name.to_owned(), |path| path.display().to_string())
}

/// Whether a Java installation is there, without which there is no cluster and no [`Peer`](crate::Peer).
pub fn has_java() -> bool {
    ["java", "javac"].into_iter().all(|name| {
        let mut command = Command::new(java_tool(name));
        run(name, command.arg("-version"), "asking for a version").is_ok()
    })
}

/// Tells a program that is not there from one that could not be started.
pub(crate) fn not_started(program: &'static str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::MissingProgram { program },
        _ => Error::Io {
            what: format!("start {program}"),
            source: error,
        },
    }
}

/// Runs `command` to its end; `what` says in the error what it was for.
pub(crate) fn run(program: &'static str, command: &mut Command, what: &str) -> Result<(), Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_started(program, error))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    let output_tail = last_lines(&String::from_utf8_lossy(&printed));
    Err(Error::Failed {
        what: what.to_owned(),
        status: output.status,
        output: output_tail,
    })
}

/// The last lines of a log, or why it cannot be read.
pub(crate) fn tail(log: &Path) -> String {
    std::fs::read(log)
        .attempt(|| format!("read {}", log.display()))
        .map_or_else(
            |error| error.to_string(),
            |bytes| last_lines(&String::from_utf8_lossy(&bytes)),
        )
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}
