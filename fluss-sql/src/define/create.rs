//! `CREATE TABLE`.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Query};
use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::types::{Schema, SchemaBuilder, TableDescriptor, TableDescriptorBuilder, TablePath};

use super::columns::{Column, Columns, refuse_options};
use super::cursor::Cursor;
use super::invalid;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;
use crate::run::Outcome;
use crate::{plan, write};

/// Properties that tables of Fluss have in Flink, where they stand for what has words of its own here.
const BUCKET_COUNT: &str = "bucket.num";
const BUCKET_KEY: &str = "bucket.key";

/// A table as it is defined.
#[derive(Default)]
struct Definition {
    columns: Columns,
    comment: Option<String>,
    partitioned_by: Vec<Ident>,
    buckets: Buckets,
    properties: Vec<(String, String)>,
    query: Option<Query>,
}

/// Over which buckets rows are distributed, as far as it is said.
#[derive(Default)]
struct Buckets {
    keys: Vec<Ident>,
    count: Option<i32>,
}

/// Carries out `TABLE [IF NOT EXISTS] name …`.
pub(super) async fn execute(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.expect_words(&["TABLE"])?;
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let path = names::table_path(&name, &context.database())?;
    let definition = Definition::read(cursor)?;
    let admin = context.admin();
    if if_not_exists && context.client(async { admin.table_exists(&path).await }).await? {
        return Ok(Outcome::Done);
    }
    let Some(query) = definition.query.clone() else {
        let descriptor = definition.descriptor(context, None).await?;
        let created = context.client(async { admin.create_table(&path, &descriptor, if_not_exists).await });
        created.await?;
        return Ok(Outcome::Done);
    };
    let rows = plan::rows(context, query).await?;
    let descriptor = definition.descriptor(context, Some(rows.schema())).await?;
    let created = context.client(async { admin.create_table(&path, &descriptor, false).await });
    created.await?;
    match write::insert_rows(context, &path, rows).await {
        Ok(rows) => Ok(Outcome::Changed(rows)),
        Err(error) => Err(taken_back(context, &path, error).await),
    }
}

/// Drops a table whose rows could not be written, and says so if it cannot be.
async fn taken_back(context: &Context, path: &TablePath, mut error: Error) -> Error {
    let admin = context.admin();
    match context.client(async { admin.drop_table(path, true).await }).await {
        Ok(()) => error.written = None,
        Err(_) => {
            error.message = format!(
                "{}; the table {path} was created, and is still there",
                error.message
            );
        }
    }
    error
}

impl Definition {
    fn read(cursor: &mut Cursor) -> Result<Self> {
        let mut definition = Self::default();
        if cursor.peek() == Some(&Token::LParen) {
            definition.columns = Columns::read(cursor)?;
        }
        loop {
            if cursor.take_words(&["COMMENT"]) {
                cursor.take(&Token::Eq);
                definition.comment = Some(cursor.string()?);
            } else if cursor.take_words(&["PARTITIONED", "BY"]) {
                definition.partitioned_by = cursor.idents()?;
            } else if cursor.take_words(&["DISTRIBUTED"]) {
                definition.buckets = Buckets::read(cursor)?;
            } else if cursor.take_words(&["WITH"]) {
                definition.properties.extend(cursor.listed(Cursor::pair)?);
            } else if cursor.take_words(&["LIKE"]) {
                definition.columns.like = Some(cursor.name()?);
                refuse_options(cursor)?;
            } else if cursor.take_words(&["AS"]) {
                definition.query = Some(cursor.query()?);
            } else {
                let word = cursor.word();
                if !word.is_empty() {
                    return Err(cursor.unsupported(format!("{word} in CREATE TABLE")));
                }
                cursor.end()?;
                break;
            }
        }
        definition.check(cursor)?;
        Ok(definition)
    }

    /// Refuses a table that is of no columns, or of several origins.
    fn check(&self, cursor: &Cursor) -> Result<()> {
        let has_columns = !self.columns.all.is_empty();
        let origins = [has_columns, self.columns.like.is_some(), self.query.is_some()];
        match origins.iter().filter(|is_there| **is_there).count() {
            0 => Err(cursor.expected("columns, LIKE or AS")),
            1 => Ok(()),
            _ => Err(cursor.unsupported("CREATE TABLE with more than one of columns, LIKE and AS")),
        }
    }

    /// What the table is to be. `found` are the columns of the query that it is made of.
    async fn descriptor(&self, context: &Context, found: Option<&SchemaRef>) -> Result<TableDescriptor> {
        if let Some(like) = &self.columns.like {
            return self.alike(context, like).await;
        }
        let (mut schema, names) = match found {
            Some(found) => schema_of(found)?,
            None => self.schema(),
        };
        if let Some(key) = &self.columns.key {
            check_columns(key, &names)?;
            schema = schema.primary_key(key.iter().map(|name| name.value.clone()));
        }
        check_columns(&self.partitioned_by, &names)?;
        check_columns(&self.buckets.keys, &names)?;
        self.check_partitions()?;
        let schema = schema.build().map_err(|error| invalid(&error))?;
        let mut builder = TableDescriptor::builder(schema)
            .partitioned_by(self.partitioned_by.iter().map(|name| name.value.clone()));
        if let Some(comment) = &self.comment {
            builder = builder.comment(comment);
        }
        for column in &self.columns.all {
            if let Some(default) = &column.default {
                let key = write::default_property(&column.name.value);
                builder = builder.custom_property(key, default.to_string());
            }
        }
        let mut buckets = self.buckets.clone_named();
        for (key, value) in &self.properties {
            if !buckets.take(key, value)? {
                builder = with_property(builder, key, value);
            }
        }
        builder = match (buckets.count, buckets.keys) {
            (Some(count), keys) => builder.distributed_by(count, keys),
            (None, keys) if !keys.is_empty() => builder.bucket_keys(keys),
            (None, _) => builder,
        };
        builder.build().map_err(|error| invalid(&error))
    }

    /// A table with the columns, keys and properties of another.
    async fn alike(&self, context: &Context, like: &ObjectName) -> Result<TableDescriptor> {
        let place = names::place(like);
        let other = names::table_path(like, &context.database())?;
        let admin = context.admin();
        let info = context.client(async { admin.table_info(&other).await }).await;
        let info = info.map_err(|error| Error::from(error).at(place))?;
        let is_said =
            !self.partitioned_by.is_empty() || !self.buckets.keys.is_empty() || self.columns.key.is_some();
        if is_said {
            return Err(Error::unsupported("another key for a table that is LIKE one").at(place));
        }
        let keys = info.descriptor.bucket_keys().to_vec();
        let mut builder = info.descriptor.into_builder();
        if let Some(comment) = &self.comment {
            builder = builder.comment(comment);
        }
        let mut buckets = self.buckets.clone_named();
        for (key, value) in &self.properties {
            if !buckets.take(key, value)? {
                builder = with_property(builder, key, value);
            }
        }
        if let Some(count) = buckets.count {
            builder = builder.distributed_by(count, keys);
        }
        builder.build().map_err(|error| invalid(&error))
    }

    fn schema(&self) -> (SchemaBuilder, BTreeSet<String>) {
        let mut schema = Schema::builder();
        for column in &self.columns.all {
            let Column {
                name,
                data_type,
                comment,
                is_counter,
                ..
            } = column;
            schema = schema.column(&name.value, data_type.clone());
            if let Some(comment) = comment {
                schema = schema.comment(comment);
            }
            if *is_counter {
                schema = schema.auto_increment(&name.value);
            }
        }
        let names = self.columns.all.iter().map(|column| column.name.value.clone());
        (schema, names.collect())
    }

    /// Partitions of a table with a primary key are of columns of that.
    fn check_partitions(&self) -> Result<()> {
        let Some(key) = &self.columns.key else {
            return Ok(());
        };
        let is_outside = |name: &&Ident| !key.iter().any(|other| other.value == name.value);
        match self.partitioned_by.iter().find(is_outside) {
            None => Ok(()),
            Some(name) => {
                let text = format!(
                    "the partition column '{}' is not part of the primary key",
                    name.value
                );
                Err(Error::new(ErrorKind::Other, text).at(Position::of(name.span.start)))
            }
        }
    }
}

/// The columns of a query. All take nulls but those of the key.
fn schema_of(found: &SchemaRef) -> Result<(SchemaBuilder, BTreeSet<String>)> {
    let fields = found.fields().iter();
    let fields: Vec<ArrowField> = fields.map(|field| table_field(field)).collect::<Result<_>>()?;
    let row_type = fluss_client::row_type(&ArrowSchema::new(fields)).map_err(|error| invalid(&error))?;
    let mut schema = Schema::builder();
    for field in row_type.fields() {
        schema = schema.column(&field.name, field.data_type.clone());
    }
    Ok((schema, row_type.names().map(str::to_owned).collect()))
}

fn with_property(builder: TableDescriptorBuilder, key: &str, value: &str) -> TableDescriptorBuilder {
    if key.starts_with("table.") {
        builder.property(key, value)
    } else {
        builder.custom_property(key, value)
    }
}

/// A column of a query as one of a table: unsigned numbers are the next larger signed ones.
fn table_field(field: &ArrowField) -> Result<ArrowField> {
    let data_type = match field.data_type() {
        ArrowType::UInt8 => ArrowType::Int16,
        ArrowType::UInt16 => ArrowType::Int32,
        ArrowType::UInt32 | ArrowType::UInt64 => ArrowType::Int64,
        ArrowType::Float16 => ArrowType::Float32,
        ArrowType::Null => {
            let text = format!("column '{}' is NULL, of whatever type: CAST it", field.name());
            return Err(Error::new(ErrorKind::Type, text));
        }
        other => other.clone(),
    };
    Ok(ArrowField::new(field.name(), data_type, true))
}

fn check_columns(named: &[Ident], columns: &BTreeSet<String>) -> Result<()> {
    match named.iter().find(|name| !columns.contains(&name.value)) {
        None => Ok(()),
        Some(name) => {
            let text = format!("there is no column '{}'", name.value);
            Err(Error::new(ErrorKind::NotFound, text).at(Position::of(name.span.start)))
        }
    }
}

/// The buckets of a table by the names of their keys.
struct Named {
    keys: Vec<String>,
    count: Option<i32>,
}

impl Buckets {
    /// Reads `[BY [HASH] (column, …)] [INTO n BUCKETS]`.
    fn read(cursor: &mut Cursor) -> Result<Self> {
        let mut buckets = Self::default();
        if cursor.take_words(&["BY"]) {
            if !cursor.take_words(&["HASH"]) && !cursor.word().is_empty() {
                return Err(cursor.unsupported(format!("DISTRIBUTED BY {}", cursor.word())));
            }
            buckets.keys = cursor.idents()?;
        }
        if cursor.take_words(&["INTO"]) {
            buckets.count = Some(cursor.number()?);
            cursor.expect_words(&["BUCKETS"])?;
        } else if buckets.keys.is_empty() {
            return Err(cursor.expected("BY or INTO"));
        }
        Ok(buckets)
    }

    fn clone_named(&self) -> Named {
        Named {
            keys: self.keys.iter().map(|name| name.value.clone()).collect(),
            count: self.count,
        }
    }
}

impl Named {
    /// Whether a property is about buckets, which are as it says then.
    fn take(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            BUCKET_COUNT => self.count = Some(bucket_count(value)?),
            BUCKET_KEY => self.keys = value.split(',').map(|name| name.trim().to_owned()).collect(),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The number that a property `bucket.num` is.
pub(super) fn bucket_count(value: &str) -> Result<i32> {
    value.trim().parse().map_err(|_| {
        let text = format!("'{BUCKET_COUNT}' is a whole number, not '{value}'");
        Error::new(ErrorKind::Type, text)
    })
}

/// Whether a property is the number of buckets.
pub(super) fn is_bucket_count(key: &str) -> bool {
    key == BUCKET_COUNT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    fn definition(text: &str) -> Result<Definition> {
        let text = Text::statement(text, 1 << 20).unwrap();
        Definition::read(&mut Cursor::new(&text))
    }

    fn schema(definition: &Definition) -> String {
        let key = definition
            .columns
            .key
            .iter()
            .flatten()
            .map(|name| name.value.clone());
        let (schema, _) = definition.schema();
        schema.primary_key(key).build().unwrap().row_type().to_string()
    }

    #[test]
    fn a_table_is_read_with_all_that_it_may_have() {
        let read = definition(
            "(id BIGINT NOT NULL, name TEXT COMMENT 'a name' DEFAULT 'x', at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, \
             day STRING, CONSTRAINT pk PRIMARY KEY (id, day) NOT ENFORCED) COMMENT 'people' PARTITIONED BY (day) \
             DISTRIBUTED BY HASH (id) INTO 4 BUCKETS WITH ('table.log.ttl' = '7 d', owner.team = data, 'n' = 5)",
        )
        .unwrap();
        assert_eq!(
            schema(&read),
            "ROW<id BIGINT NOT NULL,name STRING,at TIMESTAMP(3),day STRING NOT NULL>"
        );
        assert_eq!(read.comment.as_deref(), Some("people"));
        assert_eq!(read.buckets.count, Some(4));
        assert_eq!(read.partitioned_by[0].value, "day");
        let defaults: Vec<_> = read
            .columns
            .all
            .iter()
            .map(|column| column.default.as_ref())
            .collect();
        assert_eq!(defaults[1].unwrap().to_string(), "'x'");
        assert_eq!(defaults[2].unwrap().to_string(), "CURRENT_TIMESTAMP");
        assert_eq!(read.columns.all[1].comment.as_deref(), Some("a name"));
        let properties: Vec<_> = read
            .properties
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(properties, ["table.log.ttl=7 d", "owner.team=data", "n=5"]);
    }

    #[test]
    fn a_key_may_stand_at_its_column() {
        let read = definition("(id INT PRIMARY KEY NOT ENFORCED, v INT DEFAULT -1 NOT NULL)").unwrap();
        assert_eq!(schema(&read), "ROW<id INT NOT NULL,v INT NOT NULL>");
        assert!(definition("(id INT PRIMARY KEY, v INT PRIMARY KEY)").is_err());
        assert!(definition("(check INT, key STRING, like_it INT, \"unique\" INT)").is_ok());
    }

    #[test]
    fn what_is_not_carried_is_refused_by_its_name() {
        for (text, expected) in [
            ("(a INT UNIQUE)", "UNIQUE"),
            ("(a INT, UNIQUE (a))", "UNIQUE"),
            ("(a INT, CONSTRAINT u UNIQUE (a))", "UNIQUE"),
            ("(a INT CHECK (a > 0))", "CHECK"),
            ("(a INT, CHECK (a > 0))", "CHECK"),
            ("(a INT REFERENCES t (id))", "REFERENCES"),
            ("(a INT, FOREIGN KEY (a) REFERENCES t (id))", "FOREIGN KEY"),
            ("(a INT, b INT GENERATED ALWAYS AS (a + 1) STORED)", "GENERATED"),
            (
                "(a TIMESTAMP(3), WATERMARK FOR a AS a - INTERVAL '5' SECOND)",
                "WATERMARK FOR",
            ),
            ("(a STRING COLLATE \"de\")", "COLLATE"),
            ("(a INT DEFAULT 1 + 1)", "an expression as default"),
            ("(a INT) ENGINE = InnoDB", "ENGINE"),
            ("(a INT) INHERITS (t)", "INHERITS"),
            ("CLONE t", "CLONE"),
            ("LIKE t INCLUDING ALL", "INCLUDING"),
            ("(a INT) AS SELECT 1", "more than one of"),
            ("(a INT) DISTRIBUTED BY RANGE (a)", "DISTRIBUTED BY RANGE"),
            ("()", "Expected: a name"),
            ("", "Expected: columns, LIKE or AS"),
            ("(a INT,)", "Expected: a name"),
        ] {
            let text = format!("{text} ");
            let read = match Text::statements(&text, 1 << 20).unwrap().pop() {
                Some(text) => Definition::read(&mut Cursor::new(&text)),
                None => continue,
            };
            let Err(error) = read else { panic!("{text}") };
            assert!(error.message.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn buckets_may_be_said_as_flink_says_them() {
        let mut buckets = Buckets::default().clone_named();
        assert!(buckets.take("bucket.num", "4").unwrap() && buckets.take("bucket.key", "a, b").unwrap());
        assert_eq!(
            (buckets.count, buckets.keys.join("+")),
            (Some(4), "a+b".to_owned())
        );
        assert!(!buckets.take("other", "4").unwrap());
        assert!(buckets.take("bucket.num", "many").is_err());
    }
}
