//! Databases, tables, partitions and views: made, changed and dropped.
//!
//! ```text
//! tokens ─▶ cursor ─┬─▶ database
//!                   ├─▶ create: columns (types, defaults), keys, properties ─▶ descriptor
//!                   ├─▶ alter
//!                   ├─▶ drop, truncate
//!                   └─▶ view: of the session alone
//! ```
//!
//! What is defined is defined at once, whether or not a transaction is open, and stays when it is rolled back. Rows of
//! `CREATE TABLE AS`, and those that `TRUNCATE` deletes, are the transaction's.

mod alter;
mod columns;
mod create;
mod cursor;
mod database;
mod drop;
mod types;
mod view;

use fluss_client::types::InvalidDefinition;

use self::cursor::Cursor;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Outcome;
use crate::text::Text;

/// Carries out `CREATE`, `ALTER`, `DROP` and `TRUNCATE`.
pub(crate) async fn execute(context: &Context, text: &Text) -> Result<Outcome> {
    if let Some(placeholder) = text.placeholders.first() {
        let what = format!("the parameter {placeholder} in {}", text.word(0));
        return Err(Error::unsupported(what).at(text.start()));
    }
    let mut cursor = Cursor::new(text);
    match cursor.word().as_str() {
        "CREATE" => create(context, &mut cursor, text).await,
        "ALTER" => alter::execute(context, &mut cursor).await,
        "DROP" => drop::execute(context, &mut cursor).await,
        "TRUNCATE" => drop::truncate(context, &mut cursor).await,
        _ => Err(cursor.expected("a definition")),
    }
}

/// Carries out what begins with `CREATE`.
async fn create(context: &Context, cursor: &mut Cursor, text: &Text) -> Result<Outcome> {
    cursor.expect_words(&["CREATE"])?;
    let replaces = cursor.take_words(&["OR", "REPLACE"]);
    let is_temporary = cursor.take_words(&["TEMPORARY"]) || cursor.take_words(&["TEMP"]);
    match cursor.word().as_str() {
        "VIEW" => view::create(context, cursor, replaces).await,
        "TABLE" if replaces => Err(cursor.unsupported("CREATE OR REPLACE TABLE")),
        "TABLE" if is_temporary => Err(cursor.unsupported("CREATE TEMPORARY TABLE")),
        "TABLE" => create::execute(context, cursor).await,
        "DATABASE" | "SCHEMA" if !replaces && !is_temporary => database::create(context, cursor).await,
        "" => Err(cursor.expected("TABLE, VIEW or DATABASE")),
        what => {
            let next = text.word(if replaces { 4 } else { 2 } + usize::from(is_temporary));
            let next = if ["INDEX", "VIEW", "TABLE", "FUNCTION"].contains(&next.as_str()) {
                format!(" {next}")
            } else {
                String::new()
            };
            Err(cursor.unsupported(format!("CREATE {what}{next}")))
        }
    }
}

/// That a definition is none that a table can have.
fn invalid(error: &InvalidDefinition) -> Error {
    Error::new(ErrorKind::Other, error.to_string())
}
