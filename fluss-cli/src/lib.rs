//! The `fluss` program, as a library, so that other packages can carry it.
//!
//! ```text
//! fluss serve --data-dir ./data --listen 127.0.0.1:9123 --users users
//! fluss add-user users alice < password
//! fluss user create fluss://127.0.0.1:9123 bob --login alice --password-file alice.password < password
//! fluss sql fluss://127.0.0.1:9123 -c 'SELECT count(*) FROM orders'
//! ```

mod add_user;
mod config;
mod connect;
mod password;
mod serve;
mod signals;
#[cfg(feature = "sql")]
mod sql;
mod user;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

/// Apache Fluss tables on one machine.
#[derive(Debug, Parser)]
#[command(name = "fluss", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the tables of a directory to other processes, and to any client of Apache Fluss
    Serve(serve::Serve),
    /// Adds a user to a users file, or changes a password: it is read from the standard input
    AddUser(add_user::AddUser),
    /// Creates, alters, drops and lists users of a node while it runs
    User(user::User),
    /// Carries out SQL statements, and prints the rows of queries
    #[cfg(feature = "sql")]
    Sql(sql::Sql),
}

/// The code to exit with when something went wrong.
const FAILED: u8 = 1;

/// What goes wrong, in words for whoever typed the command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Runs the program with these arguments, the first of which is its name, and returns the code to exit with.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let program = match Program::try_parse_from(arguments) {
        Ok(program) => program,
        Err(help) => {
            // Where not even this can be printed, the code has to do.
            let _ = help.print();
            return u8::try_from(help.exit_code()).unwrap_or(FAILED);
        }
    };
    let done = match program.command {
        Command::Serve(serve) => serve.run(),
        Command::AddUser(add_user) => add_user.run(),
        Command::User(user) => user.run(),
        #[cfg(feature = "sql")]
        Command::Sql(sql) => sql.run(),
    };
    match done {
        Ok(()) => 0,
        Err(refused) => {
            say(&format!("fluss: {refused}"));
            FAILED
        }
    }
}

/// An error and what is behind it.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[expect(clippy::print_stderr, reason = "a program talks to whoever runs it")]
fn say(line: &str) {
    eprintln!("{line}");
}
