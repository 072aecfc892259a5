//! `ALTER TABLE`.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::TableChange;
use fluss_client::types::{PartitionSpec, TablePath};

use super::columns::{Column, column};
use super::create::{bucket_count, is_bucket_count};
use super::cursor::Cursor;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;
use crate::run::Outcome;
use crate::write;

/// Carries out `ALTER TABLE [IF EXISTS] name …`.
pub(super) async fn execute(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.expect_words(&["ALTER"])?;
    if !cursor.take_words(&["TABLE"]) {
        return Err(cursor.unsupported(format!("ALTER {}", cursor.word())));
    }
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    let path = names::table_path(&name, &context.database())?;
    let altering = Altering {
        context,
        path,
        name,
        if_exists,
    };
    match cursor.word().as_str() {
        "ADD" => altering.add(cursor).await,
        "DROP" => altering.drop(cursor).await,
        "SET" => {
            cursor.expect_words(&["SET"])?;
            cursor.take_words(&["TBLPROPERTIES"]);
            if cursor.peek() != Some(&Token::LParen) {
                return Err(cursor.unsupported(format!("ALTER TABLE … SET {}", cursor.word())));
            }
            let pairs = cursor.listed(Cursor::pair)?;
            cursor.end()?;
            let changes = pairs.into_iter().map(|(key, value)| set(key, value));
            altering.change(changes.collect::<Result<_>>()?).await
        }
        "RESET" => {
            cursor.expect_words(&["RESET"])?;
            let keys = cursor.listed(Cursor::key)?;
            cursor.end()?;
            altering
                .change(keys.into_iter().map(TableChange::reset).collect())
                .await
        }
        "ALTER" => altering.alter_column(cursor).await,
        word => Err(cursor.unsupported(format!("ALTER TABLE … {word}"))),
    }
}

fn set(key: String, value: String) -> Result<TableChange> {
    if is_bucket_count(&key) {
        return Ok(TableChange::bucket_count(bucket_count(&value)?));
    }
    Ok(TableChange::set(key, value))
}

/// A table that is altered.
struct Altering<'c> {
    context: &'c Context,
    path: TablePath,
    name: ObjectName,
    if_exists: bool,
}

impl Altering<'_> {
    async fn change(&self, changes: Vec<TableChange>) -> Result<Outcome> {
        let (admin, path) = (self.context.admin(), &self.path);
        let altered = self
            .context
            .client(async { admin.alter_table(path, &changes, self.if_exists).await });
        altered
            .await
            .map_err(|error| Error::from(error).at(names::place(&self.name)))?;
        Ok(Outcome::Done)
    }

    /// `ADD [COLUMN] …`, `ADD (…)`, `ADD [IF NOT EXISTS] PARTITION (…)`.
    async fn add(&self, cursor: &mut Cursor) -> Result<Outcome> {
        cursor.expect_words(&["ADD"])?;
        for what in [
            "CONSTRAINT",
            "PRIMARY",
            "UNIQUE",
            "FOREIGN",
            "CHECK",
            "INDEX",
            "WATERMARK",
        ] {
            if cursor.word() == what {
                return Err(cursor.unsupported(format!("ALTER TABLE … ADD {what}")));
            }
        }
        if cursor.word() == "PARTITION" {
            return self.partitions(cursor, true, false).await;
        }
        let is_column = cursor.take_words(&["COLUMN"]) || cursor.take_words(&["COLUMNS"]);
        let if_not_exists = cursor.if_not_exists();
        if !is_column && cursor.word() == "PARTITION" {
            return self.partitions(cursor, true, if_not_exists).await;
        }
        let columns = if cursor.peek() == Some(&Token::LParen) {
            cursor.listed(added)?
        } else {
            vec![added(cursor)?]
        };
        cursor.end()?;
        let mut changes = Vec::new();
        for column in columns {
            if if_not_exists && self.has_column(&column.name.value).await? {
                continue;
            }
            changes.push(TableChange::AddColumn {
                name: column.name.value,
                data_type: column.data_type,
                comment: column.comment,
                aggregate: None,
            });
        }
        if changes.is_empty() {
            return Ok(Outcome::Done);
        }
        self.change(changes).await
    }

    async fn has_column(&self, name: &str) -> Result<bool> {
        let (admin, path) = (self.context.admin(), &self.path);
        let info = self
            .context
            .client(async { admin.table_info(path).await })
            .await?;
        Ok(info.schema().column(name).is_some())
    }

    /// `DROP [IF EXISTS] PARTITION (…)`.
    async fn drop(&self, cursor: &mut Cursor) -> Result<Outcome> {
        cursor.expect_words(&["DROP"])?;
        let if_exists = cursor.if_exists();
        if cursor.word() != "PARTITION" {
            let what = match cursor.word().as_str() {
                "" => "COLUMN".to_owned(),
                word => word.to_owned(),
            };
            return Err(cursor.unsupported(format!("ALTER TABLE … DROP {what}")));
        }
        self.partitions(cursor, false, if_exists).await
    }

    /// `PARTITION (key = value, …)[, PARTITION (…)]`, which are added or dropped.
    async fn partitions(&self, cursor: &mut Cursor, adds: bool, ignores: bool) -> Result<Outcome> {
        let mut specs = Vec::new();
        loop {
            cursor.expect_words(&["PARTITION"])?;
            specs.push(cursor.listed(|cursor| {
                let at = cursor.place();
                Ok((cursor.pair()?, at))
            })?);
            if !cursor.take(&Token::Comma) && cursor.word() != "PARTITION" {
                break;
            }
        }
        cursor.end()?;
        let (admin, path) = (self.context.admin(), &self.path);
        let info = self.context.client(async { admin.table_info(path).await }).await;
        let info = match info {
            Err(error) if self.if_exists && error.outcome() == fluss_client::Outcome::NotFound => {
                return Ok(Outcome::Done);
            }
            info => info.map_err(|error| Error::from(error).at(names::place(&self.name)))?,
        };
        let keys = info.descriptor.partition_keys();
        let specs = specs.iter().map(|spec| spec_of(path, keys, spec));
        for spec in specs.collect::<Result<Vec<_>>>()? {
            let done = self.context.client(async {
                if adds {
                    admin.create_partition(path, &spec, ignores).await
                } else {
                    admin.drop_partition(path, &spec, ignores).await
                }
            });
            done.await.map_err(|error| {
                let mut error = Error::from(error);
                let values: Vec<_> = spec
                    .values
                    .iter()
                    .map(|(key, value)| format!("{key} = '{value}'"))
                    .collect();
                error.message = format!("partition ({}): {}", values.join(", "), error.message);
                error
            })?;
        }
        Ok(Outcome::Done)
    }

    /// `ALTER [COLUMN] name SET DEFAULT literal | DROP DEFAULT`.
    async fn alter_column(&self, cursor: &mut Cursor) -> Result<Outcome> {
        cursor.expect_words(&["ALTER"])?;
        cursor.take_words(&["COLUMN"]);
        let at = cursor.place();
        let name = cursor.ident()?;
        let change = if cursor.take_words(&["SET", "DEFAULT"]) {
            let default = cursor.literal()?;
            write::check_default(&default).map_err(|error| error.at(at))?;
            TableChange::set(write::default_property(&name.value), default.to_string())
        } else if cursor.take_words(&["DROP", "DEFAULT"]) {
            TableChange::reset(write::default_property(&name.value))
        } else {
            return Err(cursor.unsupported("ALTER COLUMN with anything but SET DEFAULT and DROP DEFAULT"));
        };
        cursor.end()?;
        if !self.has_column(&name.value).await? {
            return Err(no_column(&self.path, &name));
        }
        self.change(vec![change]).await
    }
}

fn no_column(path: &TablePath, name: &Ident) -> Error {
    let text = format!("{path} has no column '{}'", name.value);
    Error::new(ErrorKind::NotFound, text).at(Position::of(name.span.start))
}

/// A column that is added: at the end, and null in the rows that there are.
fn added(cursor: &mut Cursor) -> Result<Column> {
    let at = cursor.place();
    let column = column(cursor)?;
    let refuse = |what: &str| Err(Error::unsupported(what).at(at));
    match cursor.word().as_str() {
        "" => {}
        word => {
            return Err(cursor.unsupported(format!(
                "{word} in ALTER TABLE … ADD: columns are added at the end; it"
            )));
        }
    }
    if column.is_key || column.is_counter {
        return refuse("adding a column to the primary key, or one that servers fill in,");
    }
    if column.default.is_some() {
        return refuse(
            "DEFAULT in ALTER TABLE … ADD: rows that there are stay null; ALTER COLUMN … SET DEFAULT is for those to come; it",
        );
    }
    if !column.data_type.is_nullable() {
        return refuse("adding a column that is NOT NULL, to rows that have no value for it,");
    }
    Ok(column)
}

type Pair = ((String, String), Option<Position>);

/// The values of a partition, one for each key.
fn spec_of(path: &TablePath, keys: &[String], pairs: &[Pair]) -> Result<PartitionSpec> {
    if keys.is_empty() {
        return Err(Error::unsupported(format!(
            "PARTITION of {path}, which is not partitioned,"
        )));
    }
    for ((key, _), at) in pairs {
        if !keys.contains(key) {
            let text = format!("{path} is partitioned by ({}), not by '{key}'", keys.join(", "));
            return Err(Error::new(ErrorKind::NotFound, text).at(*at));
        }
    }
    let value = |key: &String| {
        let mut found = pairs.iter().filter(|((other, _), _)| other == key);
        if let (Some(((key, value), _)), None) = (found.next(), found.next()) {
            return Ok((key.clone(), value.clone()));
        }
        let text = format!("PARTITION has one value for each of ({})", keys.join(", "));
        Err(Error::new(ErrorKind::Syntax, text))
    };
    Ok(PartitionSpec::new(
        keys.iter().map(value).collect::<Result<Vec<_>>>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| (((*key).to_owned(), (*value).to_owned()), None))
            .collect()
    }

    #[test]
    fn a_partition_has_a_value_for_each_key() {
        let path = TablePath::new("d", "t");
        let keys = ["a".to_owned(), "b".to_owned()];
        let spec = spec_of(&path, &keys, &pairs(&[("b", "2"), ("a", "1")])).unwrap();
        assert_eq!(spec, PartitionSpec::new([("a", "1"), ("b", "2")]));
        for wrong in [
            &[("a", "1")][..],
            &[("a", "1"), ("a", "2")],
            &[("a", "1"), ("c", "2")],
            &[],
        ] {
            assert!(spec_of(&path, &keys, &pairs(wrong)).is_err(), "{wrong:?}");
        }
        let error = spec_of(&path, &keys, &pairs(&[("month", "1")])).unwrap_err();
        assert!(error.message.contains("'month'"), "{error}");
        assert!(spec_of(&path, &[], &pairs(&[("a", "1")])).is_err());
    }
}
