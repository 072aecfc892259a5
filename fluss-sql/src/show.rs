//! `SHOW`, `DESCRIBE`, `USE`: what there is.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::types::{Column, TableInfo, TablePath};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;
use crate::plan;
use crate::run::{Outcome, Rows};
use crate::text::Text;

/// What a table says of the default of a column: the custom property of this name, with the column's behind it.
const DEFAULT: &str = "sql.default.";

/// Carries out `SHOW` and `DESCRIBE`.
pub(crate) async fn execute(context: &Context, text: &Text) -> Result<Outcome> {
    let first = text.word(0);
    if first != "SHOW" {
        let skipped = if text.word(1) == "TABLE" && text.tokens().len() > 2 {
            2
        } else {
            1
        };
        return columns(context, &text.without_first(skipped)).await;
    }
    match (text.word(1).as_str(), text.word(2).as_str()) {
        ("DATABASES" | "SCHEMAS", _) => databases(context, &text.without_first(2)).await,
        ("TABLES", _) => tables(context, &text.without_first(2)).await,
        ("VIEWS", _) => views(context, &text.without_first(2)),
        ("COLUMNS" | "FIELDS", "IN" | "FROM") => columns(context, &text.without_first(3)).await,
        ("CREATE", "TABLE") => create_table(context, &text.without_first(3)).await,
        ("PARTITIONS", "IN" | "FROM") => partitions(context, &text.without_first(3)).await,
        ("PARTITIONS", _) => partitions(context, &text.without_first(2)).await,
        ("CURRENT", "DATABASE") => {
            end(&text.without_first(3))?;
            Ok(listed("name", [context.database()])?)
        }
        (what, _) => Err(Error::unsupported(format!("SHOW {what}")).at(text.start())),
    }
}

/// Makes names without a database those of another one.
pub(crate) async fn use_database(context: &Context, name: String) -> Result<Outcome> {
    check_database(context, &name).await?;
    context.shared.state.lock().database = name;
    Ok(Outcome::Done)
}

async fn check_database(context: &Context, name: &str) -> Result<()> {
    let admin = context.admin();
    if context
        .client(async { admin.database_exists(name).await })
        .await?
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::NotFound,
        format!("there is no database '{name}'"),
    ))
}

async fn databases(context: &Context, rest: &Text) -> Result<Outcome> {
    let pattern = like(rest)?;
    let admin = context.admin();
    let names = context.client(async { admin.list_databases().await }).await?;
    listed(
        "name",
        names.into_iter().filter(|name| matches(name, pattern.as_deref())),
    )
}

/// `[IN | FROM database] [LIKE 'pattern']`
async fn tables(context: &Context, rest: &Text) -> Result<Outcome> {
    let mut rest = rest.clone();
    let mut database = context.database();
    if ["IN", "FROM"].contains(&rest.word(0).as_str()) {
        database = rest.without_first(1).parser().parse_identifier()?.value;
        rest = rest.without_first(2);
    }
    let pattern = like(&rest)?;
    check_database(context, &database).await?;
    let admin = context.admin();
    let mut names = context
        .client(async { admin.list_tables(&database).await })
        .await?;
    names.sort_unstable();
    listed(
        "name",
        names.into_iter().filter(|name| matches(name, pattern.as_deref())),
    )
}

fn views(context: &Context, rest: &Text) -> Result<Outcome> {
    let pattern = like(rest)?;
    let names: Vec<String> = context.shared.state.lock().views.keys().cloned().collect();
    listed(
        "name",
        names.into_iter().filter(|name| matches(name, pattern.as_deref())),
    )
}

async fn table(context: &Context, text: &Text) -> Result<(TablePath, TableInfo)> {
    let name = text.parse(|parser| Ok(parser.parse_object_name(false)?))?;
    let path = names::table_path(&name, &context.database())?;
    let found = plan::table(context, &path).await;
    let table = found.map_err(|error| error.at(names::place(&name)))?;
    Ok((path, table.info().clone()))
}

/// The columns of a table, or of a view.
async fn columns(context: &Context, text: &Text) -> Result<Outcome> {
    let name = text.tokens().first().map(|token| token.token.clone());
    if let (1, Some(Token::Word(word))) = (text.tokens().len(), name) {
        let view = context.shared.state.lock().views.get(&word.value).cloned();
        if let Some(view) = view {
            let within = context.within(&view.database);
            let (schema, _) = plan::describe(&within, view.query.clone()).await?;
            let fields = schema.fields();
            let none = || std::iter::repeat_n(None::<String>, fields.len()).collect::<StringArray>();
            return rows([
                (
                    "name",
                    text_column(fields.iter().map(|field| field.name().clone())),
                ),
                (
                    "type",
                    text_column(fields.iter().map(|field| field.data_type().to_string())),
                ),
                (
                    "nullable",
                    bool_column(fields.iter().map(|field| field.is_nullable())),
                ),
                ("key", Arc::new(none())),
                ("default", Arc::new(none())),
                ("comment", Arc::new(none())),
            ]);
        }
    }
    let (_, info) = table(context, text).await?;
    let columns = info.schema().columns();
    let default = |column: &Column| default_of(&info, &column.name).cloned();
    rows([
        (
            "name",
            text_column(columns.iter().map(|column| column.name.clone())),
        ),
        ("type", text_column(columns.iter().map(type_of))),
        (
            "nullable",
            bool_column(columns.iter().map(|column| column.data_type.is_nullable())),
        ),
        (
            "key",
            optional(columns.iter().map(|column| key_of(&info, &column.name))),
        ),
        ("default", optional(columns.iter().map(default))),
        (
            "comment",
            optional(columns.iter().map(|column| column.comment.clone())),
        ),
    ])
}

/// The type of a column, without whether it takes nulls.
fn type_of(column: &Column) -> String {
    column.data_type.clone().with_nullable(true).to_string()
}

/// Which keys of a table a column is in.
fn key_of(info: &TableInfo, column: &str) -> Option<String> {
    let is_in = |columns: &[String]| columns.iter().any(|own| own == column);
    let keys = [
        (is_in(info.schema().primary_key()), "primary"),
        (is_in(info.descriptor.partition_keys()), "partition"),
        (is_in(info.descriptor.bucket_keys()), "bucket"),
    ];
    let named: Vec<_> = keys
        .iter()
        .filter(|(is_in, _)| *is_in)
        .map(|(_, name)| *name)
        .collect();
    (!named.is_empty()).then(|| named.join(", "))
}

fn default_of<'t>(info: &'t TableInfo, column: &str) -> Option<&'t String> {
    info.descriptor
        .custom_properties()
        .get(&format!("{DEFAULT}{column}"))
}

async fn partitions(context: &Context, text: &Text) -> Result<Outcome> {
    let (path, info) = table(context, text).await?;
    if !info.is_partitioned() {
        return Err(Error::new(
            ErrorKind::Other,
            format!("the table '{path}' is not partitioned"),
        ));
    }
    let admin = context.admin();
    let found = context
        .client(async { admin.list_partitions(&path, None).await })
        .await?;
    let name = |values: &[(String, String)]| {
        let parts: Vec<_> = values
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        parts.join("/")
    };
    let mut names: Vec<String> = found
        .iter()
        .map(|partition| name(&partition.spec.values))
        .collect();
    names.sort_unstable();
    listed("name", names)
}

async fn create_table(context: &Context, text: &Text) -> Result<Outcome> {
    let (path, info) = table(context, text).await?;
    listed("statement", [definition(&path, &info)])
}

/// The statement that makes such a table.
fn definition(path: &TablePath, info: &TableInfo) -> String {
    let (schema, descriptor) = (info.schema(), &info.descriptor);
    let mut lines: Vec<String> = Vec::new();
    for column in schema.columns() {
        let mut line = format!("  {} {}", quoted(&column.name), type_of(column));
        if !column.data_type.is_nullable() && !schema.primary_key().contains(&column.name) {
            line.push_str(" NOT NULL");
        }
        if let Some(default) = default_of(info, &column.name) {
            let _ = write!(line, " DEFAULT {default}");
        }
        if let Some(comment) = &column.comment {
            let _ = write!(line, " COMMENT {}", literal(comment));
        }
        lines.push(line);
    }
    if info.has_primary_key() {
        lines.push(format!(
            "  PRIMARY KEY ({}) NOT ENFORCED",
            list(schema.primary_key())
        ));
    }
    let (database, table) = (quoted(path.database()), quoted(path.table()));
    let mut statement = format!("CREATE TABLE {database}.{table} (\n{}\n)", lines.join(",\n"));
    if let Some(comment) = descriptor.comment() {
        let _ = write!(statement, "\nCOMMENT {}", literal(comment));
    }
    if !descriptor.partition_keys().is_empty() {
        let _ = write!(
            statement,
            "\nPARTITIONED BY ({})",
            list(descriptor.partition_keys())
        );
    }
    statement.push_str("\nDISTRIBUTED ");
    if !descriptor.bucket_keys().is_empty() {
        let _ = write!(statement, "BY ({}) ", list(descriptor.bucket_keys()));
    }
    let _ = write!(statement, "INTO {} BUCKETS", info.bucket_count);
    let custom = descriptor.custom_properties().iter();
    let properties: Vec<String> = descriptor
        .properties()
        .iter()
        .chain(custom.filter(|(key, _)| !key.starts_with(DEFAULT)))
        .map(|(key, value)| format!("  {} = {}", literal(key), literal(value)))
        .collect();
    if !properties.is_empty() {
        let _ = write!(statement, "\nWITH (\n{}\n)", properties.join(",\n"));
    }
    statement
}

fn list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

/// A name as it is written in a statement.
fn quoted(name: &str) -> String {
    let is_plain = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let is_keyword = ALL_KEYWORDS
        .binary_search(&name.to_ascii_uppercase().as_str())
        .is_ok();
    if is_plain && !is_keyword {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `[LIKE 'pattern']`, and nothing behind it.
fn like(rest: &Text) -> Result<Option<String>> {
    if rest.word(0) != "LIKE" {
        end(rest)?;
        return Ok(None);
    }
    let pattern = rest.without_first(1).parser().parse_literal_string()?;
    end(&rest.without_first(2))?;
    Ok(Some(pattern))
}

fn end(rest: &Text) -> Result<()> {
    match rest.tokens().first() {
        None => Ok(()),
        Some(next) => {
            let text = format!("Expected: end of statement, found: {}", next.token);
            Err(Error::new(ErrorKind::Syntax, text).at(Position::of(next.span.start)))
        }
    }
}

/// Whether a name is like a pattern, in which `%` stands for anything and `_` for one character.
fn matches(name: &str, pattern: Option<&str>) -> bool {
    let Some(pattern) = pattern else {
        return true;
    };
    let name: Vec<char> = name.chars().collect();
    // Which beginnings of the name are like the pattern so far.
    let mut held = vec![false; name.len() + 1];
    if let Some(first) = held.first_mut() {
        *first = true;
    }
    for wanted in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        for (length, is_held) in held.iter().enumerate() {
            if !is_held {
                continue;
            }
            if wanted == '%' {
                next.iter_mut().skip(length).for_each(|held| *held = true);
            } else if name
                .get(length)
                .is_some_and(|own| wanted == '_' || *own == wanted)
                && let Some(held) = next.get_mut(length + 1)
            {
                *held = true;
            }
        }
        held = next;
    }
    held.last() == Some(&true)
}

fn text_column(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<StringArray>())
}

fn optional(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn bool_column(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

fn listed(column: &str, values: impl IntoIterator<Item = String>) -> Result<Outcome> {
    rows([(column, text_column(values.into_iter()))])
}

fn rows<'c>(columns: impl IntoIterator<Item = (&'c str, ArrayRef)>) -> Result<Outcome> {
    let batch = RecordBatch::try_from_iter(columns)?;
    Ok(Outcome::Rows(Rows::of_batch(batch)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_names() {
        for (name, pattern, is_like) in [
            ("orders", "ord%", true),
            ("orders", "%er_", true),
            ("orders", "%", true),
            ("orders", "order", false),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "a%X_", true),
        ] {
            assert_eq!(matches(name, Some(pattern)), is_like, "{name} LIKE {pattern}");
        }
    }

    #[test]
    fn names_are_quoted_where_they_have_to_be() {
        assert_eq!(quoted("orders"), "orders");
        assert_eq!(quoted("my table"), "\"my table\"");
        assert_eq!(quoted("select"), "\"select\"");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
