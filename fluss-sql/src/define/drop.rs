//! `DROP` and `TRUNCATE`.

use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::types::{TableInfo, TablePath};

use super::cursor::Cursor;
use super::view;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::names;
use crate::run::Outcome;
use crate::write;

/// Carries out what begins with `DROP`.
pub(super) async fn execute(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.expect_words(&["DROP"])?;
    match cursor.word().as_str() {
        "TABLE" => table(context, cursor).await,
        "VIEW" => view::drop(context, cursor),
        "DATABASE" | "SCHEMA" => database(context, cursor).await,
        "" => Err(cursor.expected("TABLE, VIEW or DATABASE")),
        what => Err(cursor.unsupported(format!("DROP {what}"))),
    }
}

/// `TABLE [IF EXISTS] name[, …]`.
async fn table(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.expect_words(&["TABLE"])?;
    let if_exists = cursor.if_exists();
    let mut names = vec![cursor.name()?];
    while cursor.take(&Token::Comma) {
        names.push(cursor.name()?);
    }
    if ["CASCADE", "RESTRICT", "PURGE"].contains(&cursor.word().as_str()) {
        return Err(cursor.unsupported(format!("DROP TABLE … {}", cursor.word())));
    }
    cursor.end()?;
    let admin = context.admin();
    for name in names {
        let path = path(context, &name, "DROP TABLE")?;
        let dropped = context
            .client(async { admin.drop_table(&path, if_exists).await })
            .await;
        dropped.map_err(|error| Error::from(error).at(names::place(&name)))?;
    }
    Ok(Outcome::Done)
}

/// The path of a table, which is no view of the session.
fn path(context: &Context, name: &ObjectName, what: &str) -> Result<TablePath> {
    if let [only] = names::parts(name)?.as_slice()
        && context.shared.state.lock().views.contains_key(&only.value)
    {
        let text = format!("{what} of '{name}', which is a view,");
        return Err(Error::unsupported(text).at(names::place(name)));
    }
    names::table_path(name, &context.database())
}

/// `DATABASE|SCHEMA [IF EXISTS] name [CASCADE|RESTRICT]`.
async fn database(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.ident()?;
    let if_exists = cursor.if_exists();
    let name = cursor.ident()?;
    let cascade = cursor.take_words(&["CASCADE"]);
    if !cascade {
        cursor.take_words(&["RESTRICT"]);
    }
    cursor.end()?;
    let admin = context.admin();
    let dropped = context.client(async { admin.drop_database(&name.value, if_exists, cascade).await });
    dropped.await?;
    Ok(Outcome::Done)
}

/// Carries out `TRUNCATE [TABLE] name`.
///
/// The protocol has no such thing. The rows of a table with a primary key are deleted, which its changelog tells. Of a log table
/// without partitions nothing can be deleted: it is dropped and created anew, with another identity; its partitions are, if it
/// has any.
pub(super) async fn truncate(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.expect_words(&["TRUNCATE"])?;
    cursor.take_words(&["TABLE"]);
    if cursor.take_words(&["IF", "EXISTS"]) {
        return Err(cursor.unsupported("TRUNCATE TABLE IF EXISTS"));
    }
    let name = cursor.name()?;
    let word = cursor.word();
    if !word.is_empty() {
        let at = cursor.place();
        return Err(Error::unsupported(format!("TRUNCATE TABLE … {}", rest(cursor))).at(at));
    }
    cursor.end()?;
    let path = path(context, &name, "TRUNCATE")?;
    let admin = context.admin();
    let info = context.client(async { admin.table_info(&path).await }).await;
    let info = info.map_err(|error| Error::from(error).at(names::place(&name)))?;
    if info.has_primary_key() {
        return Box::pin(write::delete_all(context, &path))
            .await
            .map(Outcome::Changed);
    }
    empty(context, &info).await?;
    Ok(Outcome::Done)
}

/// The words that are left, for the refusal of them.
fn rest(cursor: &mut Cursor) -> String {
    let words = std::iter::from_fn(|| cursor.ident().ok());
    words.map(|word| word.value).collect::<Vec<_>>().join(" ")
}

/// Makes a log table anew, or its partitions.
async fn empty(context: &Context, info: &TableInfo) -> Result<()> {
    let (admin, path) = (context.admin(), &info.path);
    if info.is_partitioned() {
        let partitions = context
            .client(async { admin.list_partitions(path, None).await })
            .await?;
        for partition in partitions {
            let made = context.client(async {
                admin.drop_partition(path, &partition.spec, true).await?;
                admin.create_partition(path, &partition.spec, true).await
            });
            made.await?;
        }
        return Ok(());
    }
    context
        .client(async { admin.drop_table(path, false).await })
        .await?;
    let made = context
        .client(async { admin.create_table(path, &info.descriptor, false).await })
        .await;
    made.map_err(|error| {
        let mut error = Error::from(error);
        error.message = format!(
            "{path} was dropped to be created anew, and was not: {}",
            error.message
        );
        error.kind = ErrorKind::Other;
        error
    })
}
