//! The programs of the machine that the fixture runs: `java`, `javac`, `mvn`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fluss_rpc::sync::Mutex;
use serde_json::Value;

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

/// The `fluss` program: `$FLUSS_BIN`, or that of this workspace, which is built if need be.
pub(crate) fn fluss() -> Result<PathBuf, Error> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    if let Some(path) = std::env::var_os("FLUSS_BIN") {
        return Ok(path.into());
    }
    let mut built = BUILT.lock();
    match &*built {
        Some(path) => Ok(path.clone()),
        None => Ok(built.insert(build_fluss()?).clone()),
    }
}

fn build_fluss() -> Result<PathBuf, Error> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--package", "fluss-cli", "--bin", "fluss"])
        .args(["--message-format", "json-render-diagnostics"]);
    let printed = run(&cargo, &mut command, "building the fluss program")?;
    printed
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .ok_or_else(|| missing("fluss"))
}

/// Tells a program that is not there from one that could not be started.
pub(crate) fn not_started(program: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => missing(program),
        _ => Error::Io {
            what: format!("start {program}"),
            source: error,
        },
    }
}

fn missing(program: &str) -> Error {
    Error::MissingProgram {
        program: program.to_owned(),
    }
}

/// Runs `command` to its end and returns what it printed; `what` says in the error what it was for.
pub(crate) fn run(program: &str, command: &mut Command, what: &str) -> Result<Vec<u8>, Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_started(program, error))?;
    finished(output, what)
}

/// Like [`run`], with something to read.
pub(crate) fn run_with_input(
    program: &str,
    command: &mut Command,
    input: &str,
    what: &str,
) -> Result<Vec<u8>, Error> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(program, error))?;
    // The input ends when this is dropped.
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input.as_bytes())
            .attempt(|| format!("give {program} its input"))?;
    }
    let output = child.wait_with_output().attempt(|| what.to_owned())?;
    finished(output, what)
}

fn finished(output: Output, what: &str) -> Result<Vec<u8>, Error> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(Error::Failed {
        what: what.to_owned(),
        status: output.status,
        output: last_lines(&String::from_utf8_lossy(&printed)),
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
