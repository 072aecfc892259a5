//! SQL over the tables of Apache Fluss: ask them, change them, follow them and travel in time.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fluss_sql::{Options, Parameters, Session};
//!
//! let connection = fluss_client::connect("embedded::memory:").await?;
//! let session = Session::new(&connection, Options::default())?;
//! let rows = session.execute("SELECT ? + 1 AS n", Parameters::from([41_i64])).await?;
//! let batches = rows.into_rows()?.fetch_all().await?;
//! assert_eq!(batches[0].num_rows(), 1);
//! # connection.shut_down().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A text becomes tokens, the tokens a statement, and the statement goes to the room that carries it:
//!
//! ```text
//! text ─▶ dispatch ─▶ grammar ─▶ plan ─▶ scan ─▶ run ─▶ Rows
//!            ├─▶ write    the rows to write are a plan too
//!            ├─▶ define   databases, tables, partitions, views
//!            ├─▶ follow   plans that do not end
//!            └─▶ show     what there is
//! ```

mod carry;
mod context;
mod cpu;
mod define;
mod dispatch;
mod error;
mod follow;
mod grammar;
mod names;
mod options;
mod plan;
mod prepared;
mod run;
mod scan;
mod session;
mod show;
mod text;
mod time;
mod transaction;
mod value;
mod write;

pub use error::{Error, ErrorKind, Position, Result};
pub use options::{OnDuplicate, Options, StartFrom, TransactionMode};
pub use prepared::{ParameterType, Prepared};
pub use run::{Outcome, Rows};
pub use session::Session;
pub use value::{Parameters, Value};
