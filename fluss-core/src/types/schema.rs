use std::collections::{BTreeMap, HashSet};

use super::{DataType, Field, InvalidDefinition, Kind, Places, RowType, did_you_mean};

/// Names that the server keeps for itself (`descriptors.md` §7).
const RESERVED_COLUMNS: [&str; 6] = [
    "__offset",
    "__timestamp",
    "__bucket",
    "_change_type",
    "_log_offset",
    "_commit_timestamp",
];

/// The columns of a table, its primary key, and the identities of its fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schema {
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<String>,
    pub(super) auto_increment: Option<String>,
    pub(super) highest_field_id: i32,
    row_type: RowType,
}

/// A column of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The type.
    pub data_type: DataType,
    /// A comment.
    pub comment: Option<String>,
    /// How the aggregation merge engine merges the column.
    pub aggregate: Option<AggregateFunction>,
    /// The column's identity through schema changes (`descriptors.md` §3.1).
    pub id: i32,
}

/// A function of the aggregation merge engine with its parameters (`descriptors.md` §3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AggregateFunction {
    /// The name, in lower case: `sum`, `listagg`.
    pub name: String,
    /// Parameters by name.
    pub parameters: BTreeMap<String, String>,
}

impl Schema {
    /// Begins a schema without columns.
    pub fn builder() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    pub(super) fn from_parts(
        mut columns: Vec<Column>,
        primary_key: Vec<String>,
        auto_increment: Option<String>,
        highest_field_id: i32,
    ) -> Result<Self, InvalidDefinition> {
        for column in &mut columns {
            if primary_key.contains(&column.name) {
                column.data_type = column.data_type.clone().not_null();
            }
        }
        let row_type = RowType::new(columns.iter().map(Column::to_field));
        let schema = Self {
            columns,
            primary_key,
            auto_increment,
            highest_field_id,
            row_type,
        };
        schema.validate()?;
        Ok(schema)
    }

    fn validate(&self) -> Result<(), InvalidDefinition> {
        let mut names = HashSet::new();
        for column in &self.columns {
            check_column_name(&column.name)?;
            if !names.insert(column.name.as_str()) {
                return Err(InvalidDefinition::new(format!(
                    "column '{}' is there twice",
                    column.name
                )));
            }
        }
        for (position, key) in self.primary_key.iter().enumerate() {
            self.validate_key_column(key)?;
            if self
                .primary_key
                .iter()
                .take(position)
                .any(|earlier| earlier == key)
            {
                return Err(InvalidDefinition::new(format!(
                    "primary key column '{key}' is there twice"
                )));
            }
        }
        self.auto_increment
            .as_deref()
            .map_or(Ok(()), |name| self.validate_auto_increment(name))
    }

    /// Checks what is asked of a table that is to be created, and need not hold of one that is there: it has a column, and no
    /// ROW has two fields of one name.
    ///
    /// # Errors
    /// What is wrong, with the column.
    pub fn check_new(&self) -> Result<(), InvalidDefinition> {
        if self.columns.is_empty() {
            return Err(InvalidDefinition::new("a table needs a column"));
        }
        for column in &self.columns {
            if let Some(field) = repeated_field(&column.data_type) {
                return Err(InvalidDefinition::new(format!(
                    "column '{}': field '{field}' is there twice in a ROW",
                    column.name
                )));
            }
        }
        Ok(())
    }

    fn validate_key_column(&self, name: &str) -> Result<(), InvalidDefinition> {
        let column = self
            .column(name)
            .ok_or_else(|| InvalidDefinition::new(format!("primary key column '{name}' does not exist")))?;
        if column.data_type.is_nested() {
            return Err(InvalidDefinition::new(format!(
                "primary key column '{name}' cannot be of type {}",
                column.data_type
            )));
        }
        Ok(())
    }

    fn validate_auto_increment(&self, name: &str) -> Result<(), InvalidDefinition> {
        let fault = |reason: &str| {
            Err(InvalidDefinition::new(format!(
                "auto-increment column '{name}' {reason}"
            )))
        };
        let Some(column) = self.column(name) else {
            return fault("does not exist");
        };
        if self.primary_key.is_empty() {
            return fault("needs a table with a primary key");
        }
        if self.primary_key.iter().any(|key| key == name) {
            return fault("cannot be part of the primary key");
        }
        match column.data_type.kind() {
            Kind::Int | Kind::BigInt => Ok(()),
            _ => fault("must be of type INT or BIGINT"),
        }
    }

    /// The next version of the schema: with a column more, at the end. The column and its nested fields get the
    /// identities after the highest one (`descriptors.md` §3.1).
    ///
    /// # Errors
    /// The name is taken or reserved; a ROW in it has a field twice.
    pub fn with_column(&self, mut column: Column) -> Result<Self, InvalidDefinition> {
        let mut next = self.highest_field_id + 1;
        assign_id(&mut column, &mut next);
        if let Some(field) = repeated_field(&column.data_type) {
            return Err(InvalidDefinition::new(format!(
                "column '{}': field '{field}' is there twice in a ROW",
                column.name
            )));
        }
        let columns = self.columns.iter().cloned().chain([column]).collect();
        Self::from_parts(
            columns,
            self.primary_key.clone(),
            self.auto_increment.clone(),
            next - 1,
        )
    }

    /// The same schema without the aggregate functions that `keep` refuses.
    #[must_use]
    pub fn retain_aggregates(mut self, keep: impl Fn(&AggregateFunction) -> bool) -> Self {
        for column in &mut self.columns {
            column.aggregate.take_if(|function| !keep(function));
        }
        self
    }

    /// The columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The names of the primary key's columns; empty for a log table.
    pub fn primary_key(&self) -> &[String] {
        &self.primary_key
    }

    /// The column whose values the server counts up.
    pub fn auto_increment(&self) -> Option<&str> {
        self.auto_increment.as_deref()
    }

    /// The largest identity ever given to a column or nested field; -1 without columns.
    pub const fn highest_field_id(&self) -> i32 {
        self.highest_field_id
    }

    /// The type of the table's rows.
    pub const fn row_type(&self) -> &RowType {
        &self.row_type
    }

    /// For each column its position in another version of the schema; nothing where that does not have it.
    ///
    /// Columns keep their identities through changes of the schema (`descriptors.md` §3.1). So do the fields of nested
    /// rows, which never change: servers add whole columns, and nothing else.
    pub fn places_in(&self, other: &Self) -> Places {
        let place = |column: &Column| other.columns.iter().position(|other| other.id == column.id);
        self.columns.iter().map(place).collect()
    }

    /// The positions of these columns.
    pub fn indexes_of<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>, InvalidDefinition> {
        let index = |name: &str| {
            self.row_type.index_of(name).ok_or_else(|| {
                let near = did_you_mean(name, self.row_type.names());
                InvalidDefinition::new(format!("column '{name}' does not exist{near}"))
            })
        };
        names.iter().map(|name| index(name.as_ref())).collect()
    }
}

/// A field that a ROW somewhere in a type has twice.
fn repeated_field(data_type: &DataType) -> Option<&str> {
    match data_type.kind() {
        Kind::Array(element) => repeated_field(element),
        Kind::Map(key, value) => repeated_field(key).or_else(|| repeated_field(value)),
        Kind::Row(row) => {
            let mut names = HashSet::new();
            let mut fields = row.fields().iter();
            fields.find_map(|field| {
                let is_new = names.insert(field.name.as_str());
                (!is_new)
                    .then_some(&*field.name)
                    .or_else(|| repeated_field(&field.data_type))
            })
        }
        _ => None,
    }
}

fn check_column_name(name: &str) -> Result<(), InvalidDefinition> {
    if name.trim().is_empty() {
        return Err(InvalidDefinition::new("a column's name is empty"));
    }
    if RESERVED_COLUMNS.contains(&name) {
        return Err(InvalidDefinition::new(format!(
            "column name '{name}' is reserved"
        )));
    }
    Ok(())
}

impl Column {
    fn to_field(&self) -> Field {
        Field {
            name: self.name.clone(),
            data_type: self.data_type.clone(),
            description: self.comment.clone(),
            id: Some(self.id),
        }
    }
}

/// Puts a schema together; [`build`](Self::build) checks it.
#[derive(Clone, Debug, Default)]
pub struct SchemaBuilder {
    columns: Vec<Column>,
    primary_key: Vec<String>,
    auto_increment: Option<String>,
}

impl SchemaBuilder {
    /// Adds a column.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self.columns.push(Column {
            name: name.into(),
            data_type,
            comment: None,
            aggregate: None,
            id: -1,
        });
        self
    }

    /// Sets the comment of the column added last.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.comment = Some(comment.into());
        }
        self
    }

    /// Sets the aggregate function of the column added last.
    #[must_use]
    pub fn aggregate(mut self, function: AggregateFunction) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.aggregate = Some(function);
        }
        self
    }

    /// Names the columns of the primary key, which become NOT NULL.
    #[must_use]
    pub fn primary_key<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.primary_key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Names the column whose values the server counts up.
    #[must_use]
    pub fn auto_increment(mut self, column: impl Into<String>) -> Self {
        self.auto_increment = Some(column.into());
        self
    }

    /// Gives every column and nested field its identity, and checks the whole.
    pub fn build(mut self) -> Result<Schema, InvalidDefinition> {
        let highest = assign_ids(&mut self.columns);
        let schema = Schema::from_parts(self.columns, self.primary_key, self.auto_increment, highest)?;
        schema.check_new()?;
        Ok(schema)
    }
}

/// Numbers columns and nested fields depth first, each before what is inside it (`descriptors.md` §3.1), and returns
/// the largest number, -1 if there is none.
pub(super) fn assign_ids(columns: &mut [Column]) -> i32 {
    let mut next = 0;
    for column in columns {
        assign_id(column, &mut next);
    }
    next - 1
}

fn assign_id(column: &mut Column, next: &mut i32) {
    column.id = *next;
    *next += 1;
    assign_nested_ids(&mut column.data_type, next);
}

fn assign_nested_ids(data_type: &mut DataType, next: &mut i32) {
    match data_type.kind_mut() {
        Kind::Array(element) => assign_nested_ids(element, next),
        Kind::Map(key, value) => {
            assign_nested_ids(key, next);
            assign_nested_ids(value, next);
        }
        Kind::Row(row) => {
            for field in row.fields_mut() {
                field.id = Some(*next);
                *next += 1;
                assign_nested_ids(&mut field.data_type, next);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_are_numbered_depth_first() {
        let schema = Schema::builder()
            .column("a", DataType::int())
            .column("r", "ROW<x INT,y ARRAY<ROW<z DATE>>>".parse().unwrap())
            .column("b", DataType::int())
            .build()
            .unwrap();
        let ids: Vec<_> = schema.columns().iter().map(|column| column.id).collect();
        assert_eq!(ids, [0, 1, 5]);
        assert_eq!(schema.highest_field_id(), 5);
    }

    #[test]
    fn fields_of_rows_have_names_of_their_own() {
        let fault = |data_type: &str| {
            let schema = Schema::builder().column("c", data_type.parse().unwrap()).build();
            schema.map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(fault("ROW<a INT,b ROW<a INT>>"), Ok(()));
        assert_eq!(
            fault("ROW<a INT,a INT>"),
            Err("column 'c': field 'a' is there twice in a ROW".to_owned())
        );
        let deep = "MAP<INT,ARRAY<ROW<r ROW<x INT,y INT,x INT>>>>";
        assert_eq!(
            fault(deep),
            Err("column 'c': field 'x' is there twice in a ROW".to_owned())
        );
    }

    #[test]
    fn an_added_column_takes_the_identities_after_the_highest() {
        let schema = Schema::builder()
            .column("r", "ROW<x INT>".parse().unwrap())
            .build()
            .unwrap();
        let added = |name: &str| Column {
            name: name.to_owned(),
            data_type: "ARRAY<ROW<y INT>>".parse().unwrap(),
            comment: None,
            aggregate: None,
            id: -1,
        };
        let next = schema.with_column(added("s")).unwrap();
        assert_eq!((next.columns()[1].id, next.highest_field_id()), (2, 3));
        assert!(next.with_column(added("r")).is_err());
        assert_eq!(next.places_in(&schema), Places::from_iter([Some(0), None]));
        assert_eq!(schema.places_in(&next), Places::from_iter([Some(0)]));
    }

    #[test]
    fn key_columns_become_not_null() {
        let schema = Schema::builder()
            .column("id", DataType::int())
            .primary_key(["id"])
            .build()
            .unwrap();
        assert_eq!(schema.row_type().to_string(), "ROW<id INT NOT NULL>");
    }

    #[test]
    fn faults_name_the_column() {
        let fault = |builder: SchemaBuilder| builder.build().unwrap_err().to_string();
        let one = || Schema::builder().column("a", DataType::int());
        assert_eq!(
            fault(one().column("a", DataType::int())),
            "column 'a' is there twice"
        );
        assert_eq!(
            fault(one().primary_key(["b"])),
            "primary key column 'b' does not exist"
        );
        assert_eq!(
            fault(one().column("__offset", DataType::int())),
            "column name '__offset' is reserved"
        );
        assert_eq!(fault(Schema::builder()), "a table needs a column");
        for twice in [
            "ROW<x INT,x STRING>",
            "ARRAY<ROW<y INT,x INT,x INT>>",
            "MAP<INT,ROW<y ROW<x INT,x INT>>>",
        ] {
            assert_eq!(
                fault(one().column("r", twice.parse().unwrap())),
                "column 'r': field 'x' is there twice in a ROW"
            );
        }
        assert!(
            one()
                .column("r", "ROW<x INT,y ROW<x INT>>".parse().unwrap())
                .build()
                .is_ok()
        );
        assert_eq!(
            fault(one().auto_increment("a")),
            "auto-increment column 'a' needs a table with a primary key"
        );
    }
}
