//! Runs a real Apache Fluss cluster for programs that are not Rust tests; `commands.rs` says what it listens to.

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use fluss_cluster::{Cluster, Error, Front, Jars, JavaClient};
use serde_json::{Value, json};

mod commands;
mod options;

use commands::{Command, description};
use options::{Options, Run, TlsFiles};

fn main() -> ExitCode {
    let done = match Options::parse() {
        Options::Fetch => Jars::fetch().map(|_| ()),
        Options::CompilePeer { source, next } => Jars::fetch()
            .and_then(|jars| {
                let client = if next { JavaClient::V1_0 } else { JavaClient::Own };
                jars.compile(&source, client)
            })
            .map(|path| say(&json!(path))),
        Options::Run(run) => serve(run),
        Options::Front { to, tls } => stand_before(to, tls),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&failure(&error));
            ExitCode::FAILURE
        }
    }
}

/// Starts the cluster, describes it, and obeys until `quit` or the end of the input.
fn serve(run: Run) -> Result<(), Error> {
    let cluster = Cluster::start(run.into())?;
    say(&description(&cluster));
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match Command::parse(&line) {
            Ok(Command::Quit) => break,
            Ok(command) => say(&answer(&command.obey(&cluster))),
            Err(unknown) => say(&json!({"ok": false, "error": unknown})),
        }
    }
    Ok(())
}

/// Starts a front, describes it, and waits for the end of the input.
fn stand_before(to: SocketAddr, tls: TlsFiles) -> Result<(), Error> {
    let tls = tls.tls().ok_or(Error::NoCertificate)?;
    let front = Front::start(&tls, to)?;
    say(&json!({"ok": true, "address": front.address().to_string()}));
    io::stdin().lock().lines().map_while(Result::ok).for_each(drop);
    Ok(())
}

fn answer(outcome: &Result<Value, Error>) -> Value {
    match outcome {
        Ok(value) => json!({"ok": true, "result": value}),
        Err(error) => failure(error),
    }
}

/// The error and its causes as one line.
fn failure(error: &Error) -> Value {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    json!({"ok": false, "error": text})
}

/// One line of JSON. If nobody reads any more, the input ends too, and with it the cluster.
fn say(value: &Value) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{value}").and_then(|()| output.flush());
}
