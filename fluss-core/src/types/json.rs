//! The JSON documents that messages carry (`descriptors.md` §1–5), in both directions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::schema::{AggregateFunction, Column, Schema, assign_ids};
use super::{DataType, DatabaseDescriptor, Field, InvalidDefinition, Kind, RowType, TableDescriptor};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct TableDocument {
    #[serde(default)]
    version: u32,
    schema: SchemaDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    partition_key: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket_key: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket_count: Option<i32>,
    properties: BTreeMap<String, Scalar>,
    custom_properties: BTreeMap<String, Scalar>,
}

#[derive(Serialize, Deserialize)]
struct SchemaDocument {
    #[serde(default)]
    version: u32,
    columns: Vec<ColumnDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    primary_key: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    auto_increment_column: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    highest_field_id: Option<i32>,
}

#[derive(Serialize, Deserialize)]
struct ColumnDocument {
    name: String,
    data_type: TypeDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agg_function: Option<AggregateDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<i32>,
}

#[derive(Serialize, Deserialize)]
struct AggregateDocument {
    r#type: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, Scalar>,
}

#[derive(Serialize, Deserialize, Default)]
struct TypeDocument {
    r#type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nullable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    precision: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    element_type: Option<Box<TypeDocument>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_type: Option<Box<TypeDocument>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_type: Option<Box<TypeDocument>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<FieldDocument>>,
}

#[derive(Serialize, Deserialize)]
struct FieldDocument {
    name: String,
    field_type: TypeDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field_id: Option<i32>,
}

#[derive(Serialize, Deserialize)]
struct DatabaseDocument {
    #[serde(default)]
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    custom_properties: BTreeMap<String, Scalar>,
}

/// A property's value: text, or a number or boolean taken as its text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Boolean(bool),
}

impl From<Scalar> for String {
    fn from(text: Scalar) -> Self {
        match text {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number.to_string(),
            Scalar::Boolean(boolean) => boolean.to_string(),
        }
    }
}

fn texts(map: &BTreeMap<String, String>) -> BTreeMap<String, Scalar> {
    map.iter()
        .map(|(key, value)| (key.clone(), Scalar::Text(value.clone())))
        .collect()
}

fn strings(map: BTreeMap<String, Scalar>) -> BTreeMap<String, String> {
    map.into_iter().map(|(key, value)| (key, value.into())).collect()
}

/// Documents are plain data: only a non-text map key could fail, and there is none.
fn to_json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_default()
}

fn from_json<'a, T: Deserialize<'a>>(what: &str, json: &'a [u8]) -> Result<T, InvalidDefinition> {
    serde_json::from_slice(json).map_err(|error| InvalidDefinition::new(format!("{what} JSON: {error}")))
}

impl TableDescriptor {
    /// The descriptor as JSON (`descriptors.md` §2).
    pub fn to_json(&self) -> Vec<u8> {
        // A bucket count without the bucket key, even an empty one, is refused; without either the server chooses.
        let bucket_key = !self.bucket_keys.is_empty() || self.bucket_count.is_some();
        to_json(&TableDocument {
            version: VERSION,
            schema: SchemaDocument::from(&self.schema),
            comment: self.comment.clone(),
            partition_key: self.partition_keys.clone(),
            bucket_key: bucket_key.then(|| self.bucket_keys.clone()),
            bucket_count: self.bucket_count,
            properties: texts(&self.properties),
            custom_properties: texts(&self.custom_properties),
        })
    }

    /// Reads a descriptor from JSON (`descriptors.md` §2).
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidDefinition> {
        let document: TableDocument = from_json("table descriptor", json)?;
        if document.bucket_count.is_some() && document.bucket_key.is_none() {
            return Err(InvalidDefinition::new(
                "table descriptor JSON: bucket_count needs bucket_key",
            ));
        }
        Ok(Self {
            schema: document.schema.try_into()?,
            comment: document.comment,
            partition_keys: document.partition_key,
            bucket_keys: document.bucket_key.unwrap_or_default(),
            bucket_count: document.bucket_count,
            properties: strings(document.properties),
            custom_properties: strings(document.custom_properties),
        })
    }
}

impl Schema {
    /// The schema as JSON (`descriptors.md` §3).
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&SchemaDocument::from(self))
    }

    /// Reads a schema from JSON (`descriptors.md` §3).
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidDefinition> {
        from_json::<SchemaDocument>("schema", json)?.try_into()
    }
}

impl DatabaseDescriptor {
    /// The descriptor as JSON (`descriptors.md` §5).
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&DatabaseDocument {
            version: VERSION,
            comment: self.comment.clone(),
            custom_properties: texts(&self.custom_properties),
        })
    }

    /// Reads a descriptor from JSON (`descriptors.md` §5).
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidDefinition> {
        let document: DatabaseDocument = from_json("database descriptor", json)?;
        Ok(Self {
            comment: document.comment,
            custom_properties: strings(document.custom_properties),
        })
    }
}

impl DataType {
    /// The type as JSON (`descriptors.md` §4).
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&TypeDocument::from(self))
    }

    /// Reads a type from JSON (`descriptors.md` §4).
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidDefinition> {
        from_json::<TypeDocument>("data type", json)?.try_into()
    }
}

impl From<&Schema> for SchemaDocument {
    fn from(schema: &Schema) -> Self {
        Self {
            version: VERSION,
            columns: schema.columns.iter().map(ColumnDocument::from).collect(),
            primary_key: schema.primary_key.clone(),
            auto_increment_column: schema.auto_increment.iter().cloned().collect(),
            highest_field_id: Some(schema.highest_field_id),
        }
    }
}

impl TryFrom<SchemaDocument> for Schema {
    type Error = InvalidDefinition;

    fn try_from(document: SchemaDocument) -> Result<Self, Self::Error> {
        let with_ids = document
            .columns
            .iter()
            .filter(|column| column.id.is_some())
            .count();
        if with_ids != 0 && with_ids != document.columns.len() {
            return Err(InvalidDefinition::new(
                "schema JSON: some columns have an id and others have none",
            ));
        }
        let mut columns = document
            .columns
            .into_iter()
            .map(Column::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let highest = if with_ids == 0 {
            assign_ids(&mut columns)
        } else {
            highest_id(&columns)
        };
        if let [_, _, ..] = document.auto_increment_column[..] {
            return Err(InvalidDefinition::new(
                "schema JSON: more than one auto-increment column",
            ));
        }
        let highest = document.highest_field_id.unwrap_or(highest).max(highest);
        let auto_increment = document.auto_increment_column.into_iter().next();
        Self::from_parts(columns, document.primary_key, auto_increment, highest)
    }
}

fn highest_id(columns: &[Column]) -> i32 {
    columns
        .iter()
        .map(|column| column.id.max(highest_nested_id(&column.data_type)))
        .max()
        .unwrap_or(-1)
}

fn highest_nested_id(data_type: &DataType) -> i32 {
    match data_type.kind() {
        Kind::Array(element) => highest_nested_id(element),
        Kind::Map(key, value) => highest_nested_id(key).max(highest_nested_id(value)),
        Kind::Row(row) => {
            let ids = row
                .fields()
                .iter()
                .map(|field| field.id.unwrap_or(-1).max(highest_nested_id(&field.data_type)));
            ids.max().unwrap_or(-1)
        }
        _ => -1,
    }
}

impl From<&Column> for ColumnDocument {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            data_type: TypeDocument::from(&column.data_type),
            comment: column.comment.clone(),
            agg_function: column.aggregate.as_ref().map(|function| AggregateDocument {
                r#type: function.name.clone(),
                parameters: texts(&function.parameters),
            }),
            id: Some(column.id),
        }
    }
}

impl TryFrom<ColumnDocument> for Column {
    type Error = InvalidDefinition;

    fn try_from(document: ColumnDocument) -> Result<Self, Self::Error> {
        Ok(Self {
            name: document.name,
            data_type: document.data_type.try_into()?,
            comment: document.comment,
            aggregate: document.agg_function.map(|function| AggregateFunction {
                name: function.r#type.to_ascii_lowercase().replace('-', "_"),
                parameters: strings(function.parameters),
            }),
            id: document.id.unwrap_or(-1),
        })
    }
}

impl From<&DataType> for TypeDocument {
    fn from(data_type: &DataType) -> Self {
        let mut document = Self {
            r#type: type_name(data_type.kind()).to_owned(),
            nullable: (!data_type.is_nullable()).then_some(false),
            ..Self::default()
        };
        match data_type.kind() {
            Kind::Char(length) | Kind::Binary(length) => document.length = Some(*length),
            Kind::Decimal { precision, scale } => {
                document.precision = Some(*precision);
                document.scale = Some(*scale);
            }
            Kind::Time(precision) | Kind::Timestamp(precision) | Kind::TimestampLtz(precision) => {
                document.precision = Some(*precision);
            }
            Kind::Array(element) => document.element_type = Some(Box::new(Self::from(&**element))),
            Kind::Map(key, value) => {
                document.key_type = Some(Box::new(Self::from(&**key)));
                document.value_type = Some(Box::new(Self::from(&**value)));
            }
            Kind::Row(row) => document.fields = Some(row.fields().iter().map(FieldDocument::from).collect()),
            _ => {}
        }
        document
    }
}

const fn type_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Boolean => "BOOLEAN",
        Kind::TinyInt => "TINYINT",
        Kind::SmallInt => "SMALLINT",
        Kind::Int => "INTEGER",
        Kind::BigInt => "BIGINT",
        Kind::Float => "FLOAT",
        Kind::Double => "DOUBLE",
        Kind::Char(_) => "CHAR",
        Kind::String => "STRING",
        Kind::Binary(_) => "BINARY",
        Kind::Bytes => "BYTES",
        Kind::Decimal { .. } => "DECIMAL",
        Kind::Date => "DATE",
        Kind::Time(_) => "TIME_WITHOUT_TIME_ZONE",
        Kind::Timestamp(_) => "TIMESTAMP_WITHOUT_TIME_ZONE",
        Kind::TimestampLtz(_) => "TIMESTAMP_WITH_LOCAL_TIME_ZONE",
        Kind::Array(_) => "ARRAY",
        Kind::Map(..) => "MAP",
        Kind::Row(_) => "ROW",
    }
}

impl TryFrom<TypeDocument> for DataType {
    type Error = InvalidDefinition;

    fn try_from(mut document: TypeDocument) -> Result<Self, Self::Error> {
        let nullable = document.nullable.unwrap_or(true);
        let name = std::mem::take(&mut document.r#type);
        let data_type = scalar(&name).map_or_else(|| document.parameterised(&name), Ok)?;
        Ok(data_type.with_nullable(nullable))
    }
}

fn scalar(name: &str) -> Option<DataType> {
    Some(match name {
        "BOOLEAN" => DataType::boolean(),
        "TINYINT" => DataType::tiny_int(),
        "SMALLINT" => DataType::small_int(),
        "INTEGER" => DataType::int(),
        "BIGINT" => DataType::big_int(),
        "FLOAT" => DataType::float(),
        "DOUBLE" => DataType::double(),
        "STRING" => DataType::string(),
        "BYTES" => DataType::bytes(),
        "DATE" => DataType::date(),
        _ => return None,
    })
}

impl TypeDocument {
    fn parameterised(self, name: &str) -> Result<DataType, InvalidDefinition> {
        let missing = |key: &str| InvalidDefinition::new(format!("data type JSON: {name} needs {key}"));
        let length = self.length.ok_or_else(|| missing("length"));
        let precision = self.precision.ok_or_else(|| missing("precision"));
        let nested = |document: Option<Box<Self>>, key| {
            document
                .ok_or_else(|| missing(key))
                .and_then(|document| Self::try_into(*document))
        };
        match name {
            "CHAR" => DataType::char(length?),
            "BINARY" => DataType::binary(length?),
            "DECIMAL" => DataType::decimal(precision?, self.scale.ok_or_else(|| missing("scale"))?),
            "TIME_WITHOUT_TIME_ZONE" => DataType::time(precision?),
            "TIMESTAMP_WITHOUT_TIME_ZONE" => DataType::timestamp(precision?),
            "TIMESTAMP_WITH_LOCAL_TIME_ZONE" => DataType::timestamp_ltz(precision?),
            "ARRAY" => nested(self.element_type, "element_type").map(DataType::array),
            "MAP" => Ok(DataType::map(
                nested(self.key_type, "key_type")?,
                nested(self.value_type, "value_type")?,
            )),
            "ROW" => row(self.fields.ok_or_else(|| missing("fields"))?),
            _ => Err(InvalidDefinition::new(format!(
                "data type JSON: '{name}' is no type"
            ))),
        }
    }
}

fn row(fields: Vec<FieldDocument>) -> Result<DataType, InvalidDefinition> {
    let fields = fields
        .into_iter()
        .map(Field::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(DataType::row(RowType::new(fields)))
}

impl From<&Field> for FieldDocument {
    fn from(field: &Field) -> Self {
        Self {
            name: field.name.clone(),
            field_type: TypeDocument::from(&field.data_type),
            description: field.description.clone(),
            field_id: field.id,
        }
    }
}

impl TryFrom<FieldDocument> for Field {
    type Error = InvalidDefinition;

    fn try_from(document: FieldDocument) -> Result<Self, Self::Error> {
        Ok(Self {
            name: document.name,
            data_type: document.field_type.try_into()?,
            description: document.description,
            id: document.field_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a 0.9.1 server stores it (`descriptors.md` §2).
    const STORED: &str = r#"{"version":1,"schema":{"version":1,"columns":[{"name":"id","data_type":{"type":"INTEGER","nullable":false},"id":0},{"name":"dt","data_type":{"type":"STRING","nullable":false},"id":1},{"name":"b","data_type":{"type":"STRING"},"id":2}],"primary_key":["id","dt"],"highest_field_id":2},"partition_key":["dt"],"bucket_key":["id"],"bucket_count":2,"properties":{"table.kv.format-version":"2","table.replication.factor":"1"},"custom_properties":{"my.k":"v","table.x":"y"}}"#;

    #[test]
    fn a_stored_descriptor_is_written_as_it_was_read() {
        let descriptor = TableDescriptor::from_json(STORED.as_bytes()).unwrap();
        assert_eq!(descriptor.bucket_keys(), ["id"]);
        assert_eq!(String::from_utf8(descriptor.to_json()).unwrap(), STORED);
    }

    #[test]
    fn every_type_is_written_as_it_was_read() {
        for text in [
            r#"{"type":"CHAR","length":5}"#,
            r#"{"type":"DECIMAL","nullable":false,"precision":10,"scale":2}"#,
            r#"{"type":"TIMESTAMP_WITH_LOCAL_TIME_ZONE","precision":9}"#,
            r#"{"type":"MAP","key_type":{"type":"STRING","nullable":false},"value_type":{"type":"BIGINT","nullable":false}}"#,
            r#"{"type":"ROW","fields":[{"name":"x","field_type":{"type":"ARRAY","element_type":{"type":"INTEGER"}},"description":"d","field_id":2}]}"#,
        ] {
            let data_type = DataType::from_json(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(data_type.to_json()).unwrap(), text);
        }
    }

    #[test]
    fn documents_that_break_a_rule_are_refused() {
        for text in [
            r#"{"type":"INT"}"#,
            r#"{"type":"CHAR"}"#,
            r#"{"type":"DECIMAL","precision":39,"scale":0}"#,
            r#"{"type":"MAP","key_type":{"type":"INTEGER"}}"#,
            "[]",
        ] {
            assert!(DataType::from_json(text.as_bytes()).is_err(), "{text}");
        }
        let mixed = r#"{"columns":[{"name":"a","data_type":{"type":"INTEGER"},"id":0},{"name":"b","data_type":{"type":"INTEGER"}}]}"#;
        assert!(Schema::from_json(mixed.as_bytes()).is_err());
        assert!(DatabaseDescriptor::from_json(b"{}").is_err());
    }

    #[test]
    fn columns_without_ids_are_numbered() {
        let json = r#"{"columns":[{"name":"a","data_type":{"type":"INTEGER"}}],"primary_key":["a"]}"#;
        let schema = Schema::from_json(json.as_bytes()).unwrap();
        assert_eq!((schema.columns[0].id, schema.highest_field_id()), (0, 0));
        assert!(!schema.columns[0].data_type.is_nullable());
    }
}
