//! `fluss sql`: statements, one after another, and the rows of queries.

mod output;
mod statements;

use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::Args;
use fluss_sql::{Options, Outcome, Parameters, Rows, Session};
use futures::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::output::{Format, Sink};
use self::statements::Statement;
use crate::connect::Login;
use crate::signals::received;
use crate::{Refused, described};

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// Where to connect: fluss://HOST:PORT, or embedded:DIRECTORY. Without it, where `FLUSS_TARGET` says
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Carries out the statements of this text
    #[arg(short, long, value_name = "TEXT", conflicts_with = "file")]
    command: Option<String>,
    /// Carries out the statements of this file. Without -c and -f they are read from the standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How rows are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
    /// The database of names without one
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    #[command(flatten)]
    login: Login,
}

impl Sql {
    pub(crate) fn run(self) -> Result<(), Refused> {
        let text = self.text()?;
        let statements = statements::of(&text)?;
        let connection = self.login.builder(self.target.as_deref())?;
        let options = Options::default().with_database(self.database);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refused(error.to_string()))?;
        let done = runtime.block_on(async {
            let connection = connection.connect().await;
            let connection = connection.map_err(|error| Refused(described(&error)))?;
            let session = Session::new(&connection, options).map_err(|error| Refused(error.to_string()))?;
            let done = carry_out(&session, &statements, Sink::new(self.output, io::stdout().lock())).await;
            // What was done stands, whatever becomes of the connection.
            let _ = connection.shut_down().await;
            done
        });
        runtime.shutdown_background();
        done
    }

    fn text(&self) -> Result<String, Refused> {
        if let Some(text) = &self.command {
            return Ok(text.clone());
        }
        if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path);
            return text.map_err(|error| Refused(format!("{}: {error}", path.display())));
        }
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        read.map_err(|error| Refused(format!("the standard input: {error}")))?;
        Ok(text)
    }
}

/// Why no more statements are carried out.
enum Stop {
    Failed(Refused),
    /// Nobody reads any more what is printed.
    Unread,
}

impl Stop {
    fn interrupted() -> Self {
        Self::Failed(Refused("interrupted".to_owned()))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(Refused(error.to_string())),
        }
    }
}

async fn carry_out<W: Write>(
    session: &Session,
    statements: &[Statement],
    mut sink: Sink<W>,
) -> Result<(), Refused> {
    // From one listener: an interrupt that comes while nobody waits for it is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    for statement in statements {
        match one(session, statement, &mut sink, &mut interrupt).await {
            Ok(()) => {}
            Err(Stop::Unread) => return Ok(()),
            Err(Stop::Failed(refused)) => return Err(refused),
        }
    }
    Ok(())
}

async fn one<W: Write>(
    session: &Session,
    statement: &Statement,
    sink: &mut Sink<W>,
    interrupt: &mut Option<Signal>,
) -> Result<(), Stop> {
    let failed = |error| Stop::Failed(Refused(statement.placed(error).to_string()));
    let outcome = tokio::select! {
        outcome = session.execute(&statement.text, Parameters::default()) => outcome.map_err(failed)?,
        () = received(interrupt) => return Err(Stop::interrupted()),
    };
    match outcome {
        Outcome::Rows(rows) => print(rows, sink, interrupt, failed).await,
        Outcome::Changed(rows) => Ok(sink.changed(rows)?),
        _ => Ok(()),
    }
}

/// Prints rows as they come. A query that does not end by itself is ended by an interrupt.
async fn print<W: Write>(
    mut rows: Rows,
    sink: &mut Sink<W>,
    interrupt: &mut Option<Signal>,
    failed: impl Fn(fluss_sql::Error) -> Stop,
) -> Result<(), Stop> {
    let follows = rows.position().is_ok();
    let mut printed = sink.begin(rows.schema(), follows)?;
    loop {
        let next = tokio::select! {
            next = rows.next() => next,
            () = received(interrupt) => {
                if !follows {
                    return Err(Stop::interrupted());
                }
                None
            }
        };
        match next {
            Some(batch) => printed.batch(&batch.map_err(&failed)?)?,
            None => return Ok(printed.end()?),
        }
    }
}
