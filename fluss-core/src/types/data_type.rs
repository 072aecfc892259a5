use std::fmt;

use super::InvalidDefinition;

/// A data type: its kind, and whether it takes nulls.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DataType {
    kind: Kind,
    nullable: bool,
}

/// What values of a type are, apart from null.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// True or false.
    Boolean,
    /// 8 bits, signed.
    TinyInt,
    /// 16 bits, signed.
    SmallInt,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    BigInt,
    /// 32 bits, IEEE 754.
    Float,
    /// 64 bits, IEEE 754.
    Double,
    /// Text of at most the given length.
    Char(u32),
    /// Text of any length.
    String,
    /// Exactly the given number of bytes.
    Binary(u32),
    /// Bytes of any length.
    Bytes,
    /// A decimal number of at most `precision` digits (1 to 38), `scale` of them (0 to `precision`) after the point.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A day.
    Date,
    /// A time of day, with the given number (0 to 9) of digits of the second.
    Time(u8),
    /// A date and time of day without a zone, with the given number (0 to 9) of digits of the second.
    Timestamp(u8),
    /// An instant, with the given number (0 to 9) of digits of the second.
    TimestampLtz(u8),
    /// A list of elements.
    Array(Box<DataType>),
    /// Keys, which are never null, and values.
    Map(Box<DataType>, Box<DataType>),
    /// A nested row.
    Row(RowType),
}

/// Named fields in order: the type of a nested row and of a table's rows.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RowType {
    fields: Vec<Field>,
}

/// A named field of a row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The type.
    pub data_type: DataType,
    /// A comment.
    pub description: Option<String>,
    /// The field's identity through schema changes (`descriptors.md` §3.1); absent until a schema assigns it.
    pub id: Option<i32>,
}

/// One constructor per type without parameters.
macro_rules! plain_types {
    ($($(#[$doc:meta])* $constructor:ident => $kind:ident;)+) => {
        impl DataType {$(
            $(#[$doc])*
            pub const fn $constructor() -> Self {
                Self::new(Kind::$kind)
            }
        )+}
    };
}

plain_types! {
    /// BOOLEAN.
    boolean => Boolean;
    /// TINYINT.
    tiny_int => TinyInt;
    /// SMALLINT.
    small_int => SmallInt;
    /// INT.
    int => Int;
    /// BIGINT.
    big_int => BigInt;
    /// FLOAT.
    float => Float;
    /// DOUBLE.
    double => Double;
    /// STRING.
    string => String;
    /// BYTES.
    bytes => Bytes;
    /// DATE.
    date => Date;
}

impl DataType {
    /// A nullable type of a kind.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, nullable: true }
    }

    /// CHAR of 1 to `i32::MAX` characters.
    pub fn char(length: u32) -> Result<Self, InvalidDefinition> {
        check_length("CHAR", length).map(|()| Self::new(Kind::Char(length)))
    }

    /// BINARY of 1 to `i32::MAX` bytes.
    pub fn binary(length: u32) -> Result<Self, InvalidDefinition> {
        check_length("BINARY", length).map(|()| Self::new(Kind::Binary(length)))
    }

    /// DECIMAL of 1 to 38 digits, of them 0 to `precision` after the point.
    pub fn decimal(precision: u8, scale: u8) -> Result<Self, InvalidDefinition> {
        if !(1..=38).contains(&precision) || scale > precision {
            return Err(InvalidDefinition::new(format!(
                "DECIMAL({precision},{scale}): the precision must be 1 to 38 and the scale 0 to the precision"
            )));
        }
        Ok(Self::new(Kind::Decimal { precision, scale }))
    }

    /// TIME with 0 to 9 digits of the second.
    pub fn time(precision: u8) -> Result<Self, InvalidDefinition> {
        check_precision("TIME", precision).map(|()| Self::new(Kind::Time(precision)))
    }

    /// TIMESTAMP with 0 to 9 digits of the second.
    pub fn timestamp(precision: u8) -> Result<Self, InvalidDefinition> {
        check_precision("TIMESTAMP", precision).map(|()| Self::new(Kind::Timestamp(precision)))
    }

    /// `TIMESTAMP_LTZ` with 0 to 9 digits of the second.
    pub fn timestamp_ltz(precision: u8) -> Result<Self, InvalidDefinition> {
        check_precision("TIMESTAMP_LTZ", precision).map(|()| Self::new(Kind::TimestampLtz(precision)))
    }

    /// ARRAY.
    pub fn array(element: DataType) -> Self {
        Self::new(Kind::Array(Box::new(element)))
    }

    /// MAP. The key becomes NOT NULL.
    pub fn map(key: DataType, value: DataType) -> Self {
        Self::new(Kind::Map(Box::new(key.not_null()), Box::new(value)))
    }

    /// ROW.
    pub const fn row(row: RowType) -> Self {
        Self::new(Kind::Row(row))
    }

    /// The same type without nulls.
    #[must_use]
    pub fn not_null(self) -> Self {
        self.with_nullable(false)
    }

    /// The same type, with or without nulls.
    #[must_use]
    pub fn with_nullable(mut self, nullable: bool) -> Self {
        self.nullable = nullable;
        self
    }

    /// What the values are.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn kind_mut(&mut self) -> &mut Kind {
        &mut self.kind
    }

    /// Whether null is a value of the type.
    pub const fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// Whether the type is ARRAY, MAP or ROW.
    pub const fn is_nested(&self) -> bool {
        matches!(self.kind, Kind::Array(_) | Kind::Map(..) | Kind::Row(_))
    }
}

fn check_length(name: &str, length: u32) -> Result<(), InvalidDefinition> {
    if length == 0 || length > i32::MAX as u32 {
        return Err(InvalidDefinition::new(format!(
            "{name}({length}): the length must be 1 to {}",
            i32::MAX
        )));
    }
    Ok(())
}

fn check_precision(name: &str, precision: u8) -> Result<(), InvalidDefinition> {
    if precision > 9 {
        return Err(InvalidDefinition::new(format!(
            "{name}({precision}): the precision must be 0 to 9"
        )));
    }
    Ok(())
}

impl RowType {
    /// A row of these fields.
    pub fn new(fields: impl IntoIterator<Item = Field>) -> Self {
        Self {
            fields: fields.into_iter().collect(),
        }
    }

    /// The fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn fields_mut(&mut self) -> &mut [Field] {
        &mut self.fields
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// The field at a position.
    pub fn field(&self, index: usize) -> Option<&Field> {
        self.fields.get(index)
    }

    /// The position of the field of this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The same fields, each of which takes nulls.
    #[must_use]
    pub fn nullable(&self) -> Self {
        Self::new(self.fields.iter().cloned().map(|mut field| {
            field.data_type = field.data_type.with_nullable(true);
            field
        }))
    }

    /// The fields at these positions, in their order. Positions beyond the last field are left out.
    #[must_use]
    pub fn project(&self, indexes: &[usize]) -> Self {
        Self::new(
            indexes
                .iter()
                .filter_map(|&index| self.fields.get(index))
                .cloned(),
        )
    }
}

impl Field {
    /// A field without description and id.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            description: None,
            id: None,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if self.nullable {
            Ok(())
        } else {
            f.write_str(" NOT NULL")
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Char(length) => write!(f, "CHAR({length})"),
            Self::String => f.write_str("STRING"),
            Self::Binary(length) => write!(f, "BINARY({length})"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Date => f.write_str("DATE"),
            Self::Time(precision) => write!(f, "TIME({precision})"),
            Self::Timestamp(precision) => write!(f, "TIMESTAMP({precision})"),
            Self::TimestampLtz(precision) => write!(f, "TIMESTAMP_LTZ({precision})"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key},{value}>"),
            Self::Row(row) => row.fmt(f),
        }
    }
}

impl fmt::Display for RowType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ROW<")?;
        for (position, field) in self.fields.iter().enumerate() {
            let separator = if position == 0 { "" } else { "," };
            write!(f, "{separator}{} {}", Name(&field.name), field.data_type)?;
        }
        f.write_str(">")
    }
}

/// A field's name as the text of a type has it: one that is no plain word stands between backquotes, with each of its own
/// doubled.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |c: char| c.is_alphanumeric() || c == '_';
        if !self.0.is_empty() && self.0.chars().all(is_plain) {
            return f.write_str(self.0);
        }
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}
