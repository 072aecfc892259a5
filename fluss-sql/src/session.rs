//! A user's session: one statement after another.

use std::fmt;
use std::sync::Arc;

use fluss_client::Connection;
use fluss_rpc::sync::Mutex;
use tokio::runtime::Handle;

use crate::carry::carry_out;
use crate::context::{Context, Shared, State};
use crate::dispatch::Statement;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Options, StartFrom};
use crate::plan::engine;
use crate::prepared::Prepared;
use crate::run::{Outcome, Rows};
use crate::text::{Text, split_text};
use crate::value::Parameters;
use crate::{cpu, write};

/// The default database of servers.
const DEFAULT_DATABASE: &str = "fluss";

/// One user's session: a current database, views, and a transaction while one is open. Clones share it.
///
/// Statements are planned and computed on threads of their own. Tables are looked up for each statement: it sees what others
/// have made, changed and dropped.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    /// A session on a connection, which stays open as long as the session is there.
    ///
    /// # Errors
    ///
    /// A call that is not within the tokio runtime that the connection lives on; options that cannot be.
    pub fn new(connection: &Connection, options: Options) -> Result<Self> {
        let client = Handle::try_current().map_err(|_| {
            Error::new(
                ErrorKind::Other,
                "a session is made within the runtime of its connection",
            )
        })?;
        let of_connection = || connection.options().database.clone();
        let database = options.database.clone().or_else(of_connection);
        let state = State {
            database: database.unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
            ..State::default()
        };
        let shared = Shared {
            connection: connection.clone(),
            engine: engine(&options)?,
            options,
            client,
            state: Mutex::new(state),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Carries out one statement. It has written all that it writes when this returns; a query has begun.
    ///
    /// # Errors
    ///
    /// A text that is not one statement; what is refused, or fails.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops the statement. Of one that writes, part may have been written.
    pub async fn execute(&self, text: &str, parameters: impl Into<Parameters>) -> Result<Outcome> {
        let (text, context) = (text.to_owned(), Context::new(&self.shared, parameters.into()));
        cpu::run(async move {
            let text = Text::statement(&text, context.options().max_text_bytes)?;
            if let Err(error) = context.check_parameters(&text.placeholders) {
                // A statement that is not carried at all is told first.
                Statement::parse(&text)?;
                return Err(error);
            }
            carry_out(&context, &text).await
        })
        .await
    }

    /// Begins a query, which, if it has `EMIT CHANGES`, follows its table from another start than
    /// [`Options::offset_reset`], such as the position of another query.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fluss_sql::{Options, Parameters, Session, StartFrom};
    /// # use futures::TryStreamExt;
    /// # let connection = fluss_client::connect("embedded::memory:").await?;
    /// # let session = Session::new(&connection, Options::default())?;
    /// session.execute("CREATE TABLE events (id BIGINT, what STRING)", Parameters::default()).await?;
    /// session.execute("INSERT INTO events VALUES (1, 'begin'), (2, 'end')", Parameters::default()).await?;
    /// let query = "SELECT what FROM events WHERE id > ? EMIT CHANGES";
    /// let mut rows = session.follow(query, [1_i64], "earliest".parse()?).await?;
    /// assert_eq!(rows.try_next().await?.map(|batch| batch.num_rows()), Some(1));
    /// let position = StartFrom::Position(rows.position()?);
    /// let further = session.follow(query, [1_i64], position).await?;
    /// # drop(further);
    /// # connection.shut_down().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute); a statement that is no query; a position in another table.
    ///
    /// # Cancellation
    ///
    /// As [`execute`](Self::execute).
    pub async fn follow(
        &self,
        text: &str,
        parameters: impl Into<Parameters>,
        start: StartFrom,
    ) -> Result<Rows> {
        let (text, context) = (text.to_owned(), Context::new(&self.shared, parameters.into()));
        let context = context.starting(start);
        let outcome = cpu::run(async move {
            let text = Text::statement(&text, context.options().max_text_bytes)?;
            context.check_parameters(&text.placeholders)?;
            if !text.is_query() {
                let reason = "only queries are followed";
                return Err(Error::new(ErrorKind::Unsupported, reason).at(text.start()));
            }
            carry_out(&context, &text).await
        });
        outcome.await?.into_rows()
    }

    /// Carries out statements, one after another, until one fails. None of them has parameters.
    ///
    /// The rows of a query are there to be read; none is waited for before the next statement.
    ///
    /// # Errors
    ///
    /// A text that cannot be taken apart, before anything is done; otherwise as [`execute`](Self::execute).
    ///
    /// # Cancellation
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_all(&self, text: &str) -> Result<Vec<Outcome>> {
        let (text, context) = (text.to_owned(), Context::new(&self.shared, Parameters::default()));
        cpu::run(async move {
            let mut outcomes = Vec::new();
            for text in Text::statements(&text, context.options().max_text_bytes)? {
                context.check_parameters(&text.placeholders)?;
                outcomes.push(carry_out(&context, &text).await?);
            }
            Ok(outcomes)
        })
        .await
    }

    /// Parses and checks a statement that is to be carried out many times.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), but for values.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn prepare(&self, text: &str) -> Result<Prepared> {
        let (text, session) = (text.to_owned(), self.clone());
        cpu::run(async move {
            let context = Context::new(&session.shared, Parameters::default());
            let text = Text::statement(&text, context.options().max_text_bytes)?;
            Prepared::new(session.shared.clone(), text).await
        })
        .await
    }

    /// The statements of a text, each without the semicolon behind it.
    ///
    /// # Errors
    ///
    /// A text or a comment that does not end.
    pub fn split(text: &str) -> Result<Vec<String>> {
        split_text(text)
    }

    /// Opens a transaction: what is written from now on is gathered.
    ///
    /// # Errors
    ///
    /// One that is open already.
    pub async fn begin(&self) -> Result<()> {
        let context = Context::new(&self.shared, Parameters::default());
        cpu::run(async move { write::begin(&context).await }).await
    }

    /// Sends what the transaction has gathered.
    ///
    /// # Errors
    ///
    /// No transaction that is open; rows that cannot be written together; what servers refuse.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave rows sent.
    pub async fn commit(&self) -> Result<()> {
        let context = Context::new(&self.shared, Parameters::default());
        cpu::run(async move { write::commit(&context).await }).await
    }

    /// Forgets what the transaction has gathered.
    ///
    /// # Errors
    ///
    /// No transaction that is open.
    pub async fn rollback(&self) -> Result<()> {
        let context = Context::new(&self.shared, Parameters::default());
        cpu::run(async move { write::rollback(&context).await }).await
    }

    /// The database that names without one are in.
    pub fn database(&self) -> String {
        self.shared.state.lock().database.clone()
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// The options that the session was made with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("database", &self.database())
            .finish_non_exhaustive()
    }
}
