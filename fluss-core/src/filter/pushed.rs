//! The part of a condition that a server is told, so that it leaves out batches whose statistics rule them out
//! (`v1_0.md` §8).

use std::cmp::Ordering;

use fluss_rpc::proto;

use super::bound::widened;
use super::{Comparison, Predicate, Test, TextPart};
use crate::numbered;
use crate::record::log::{ColumnStatistics, Statistics};
use crate::types::{DataType, Datum, Decimal, Field, Kind, RowType, Timestamp};

/// `type` of a predicate.
const LEAF: i32 = 0;
const COMPOUND: i32 = 1;
/// `function` of a compound predicate.
const AND: i32 = 0;
const OR: i32 = 1;
/// The deepest condition that is read; others are ignored as a whole.
const DEEPEST: usize = 64;
/// From here on characters order in another way as UTF-16, by which Java servers compare beginnings of texts.
const FIRST_OF_ANOTHER_ORDER: char = '\u{e000}';
/// Digits of a decimal that is sent as a number; others are sent as bytes.
const COMPACT_DIGITS: u8 = 18;

numbered! {
    /// What a leaf asks of the values of a column.
    Function {
        /// The same value.
        Equal = 0 "=",
        /// Another value.
        NotEqual = 1 "!=",
        /// A value below.
        Less = 2 "<",
        /// A value of at most this.
        LessOrEqual = 3 "<=",
        /// A value above.
        Greater = 4 ">",
        /// A value of at least this.
        GreaterOrEqual = 5 ">=",
        /// No value.
        IsNull = 6 "is null",
        /// A value.
        IsNotNull = 7 "is not null",
        /// A text that begins so.
        StartsWith = 8 "starts with",
        /// A text that has this in it.
        Contains = 9 "contains",
        /// A text that ends so.
        EndsWith = 10 "ends with",
        /// One of these values.
        In = 11 "in",
        /// None of these values.
        NotIn = 12 "not in",
    }
}

/// A condition as `FETCH_LOG` carries it. It holds for every row that the [`Predicate`] holds for from which it was made, and
/// maybe for others: rows have to be tested again.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Pushed {
    /// A test of the values of a column.
    Leaf {
        /// The position of the column.
        column: usize,
        /// What is asked.
        function: Function,
        /// With which values; null is one.
        literals: Vec<Datum<'static>>,
    },
    /// All of these.
    All(Vec<Self>),
    /// At least one of these.
    Any(Vec<Self>),
}

impl Pushed {
    /// What of a condition on rows of this type a server can be told; nothing if that would leave nothing out. The
    /// condition fits the type (see [`Filter::new`](super::Filter::new)).
    pub fn new(predicate: &Predicate, row_type: &RowType) -> Option<Self> {
        Self::of(predicate, row_type, true)
    }

    /// What holds wherever a predicate does, or, if it is not `wanted`, wherever its opposite does.
    fn of(predicate: &Predicate, row_type: &RowType, wanted: bool) -> Option<Self> {
        match predicate {
            Predicate::Column { column, test } => {
                let column = row_type.index_of(column)?;
                leaf(column, &row_type.field(column)?.data_type, test, wanted)
            }
            Predicate::Not(part) => Self::of(part, row_type, !wanted),
            Predicate::All(parts) if wanted => Self::all(parts, row_type, wanted),
            Predicate::Any(parts) if !wanted => Self::all(parts, row_type, wanted),
            Predicate::All(parts) | Predicate::Any(parts) => {
                let parts = parts.iter().map(|part| Self::of(part, row_type, wanted));
                Some(Self::Any(parts.collect::<Option<_>>()?))
            }
        }
    }

    /// Of parts that must all hold those that can be told.
    fn all(parts: &[Predicate], row_type: &RowType, wanted: bool) -> Option<Self> {
        let parts: Vec<_> = parts
            .iter()
            .filter_map(|part| Self::of(part, row_type, wanted))
            .collect();
        (!parts.is_empty()).then_some(Self::All(parts))
    }

    /// The message, with the identities of columns that the fields of the type have; nothing if they have none. AND and OR
    /// are pairs, as the Java client sends them.
    pub fn encode(&self, row_type: &RowType) -> Option<proto::PbPredicate> {
        match self {
            Self::Leaf {
                column,
                function,
                literals,
            } => {
                let field = row_type.field(*column)?;
                let literal = |value: &Datum<'static>| encode_literal(value, &field.data_type);
                Some(proto::PbPredicate {
                    r#type: LEAF,
                    leaf: Some(proto::PbLeafPredicate {
                        function: function.number(),
                        field_id: field.id?,
                        literals: literals.iter().map(literal).collect::<Option<_>>()?,
                    }),
                    compound: None,
                })
            }
            Self::All(parts) => pairs(AND, parts, row_type),
            Self::Any(parts) => pairs(OR, parts, row_type),
        }
    }

    /// Reads a message; nothing if it names columns that the type does not have, or is not understood. It is then ignored
    /// as a whole (`v1_0.md` §8.3).
    pub fn decode(message: &proto::PbPredicate, row_type: &RowType) -> Option<Self> {
        Self::read(message, row_type, DEEPEST)
    }

    fn read(message: &proto::PbPredicate, row_type: &RowType, depth: usize) -> Option<Self> {
        match (message.r#type, &message.leaf, &message.compound) {
            (LEAF, Some(leaf), _) => {
                let mut fields = row_type.fields().iter();
                let column = fields.position(|field| field.id == Some(leaf.field_id))?;
                let data_type = &row_type.field(column)?.data_type;
                let literal = |literal: &proto::PbLiteralValue| decode_literal(literal, data_type);
                Some(Self::Leaf {
                    column,
                    function: Function::from_number(leaf.function)?,
                    literals: leaf.literals.iter().map(literal).collect::<Option<_>>()?,
                })
                .filter(Self::has_operands)
            }
            (COMPOUND, _, Some(compound)) => {
                let depth = depth.checked_sub(1)?;
                let parts = compound.children.iter();
                let parts: Option<Vec<_>> = parts.map(|part| Self::read(part, row_type, depth)).collect();
                match compound.function {
                    AND => parts.map(Self::All),
                    OR => parts.map(Self::Any),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a leaf has as many operands as its function takes.
    fn has_operands(&self) -> bool {
        let Self::Leaf {
            function, literals, ..
        } = self
        else {
            return true;
        };
        match function {
            Function::IsNull | Function::IsNotNull => literals.is_empty(),
            Function::In | Function::NotIn => true,
            _ => literals.len() == 1,
        }
    }

    /// The same condition on rows of another type, by the identities of columns; nothing if one of them is not there.
    #[must_use]
    pub fn carried_over(&self, from: &RowType, to: &RowType) -> Option<Self> {
        let parts = |parts: &[Self]| {
            parts
                .iter()
                .map(|part| part.carried_over(from, to))
                .collect::<Option<Vec<_>>>()
        };
        match self {
            Self::Leaf {
                column,
                function,
                literals,
            } => {
                let field = from.field(*column)?;
                let same =
                    |other: &Field| other.id == field.id && other.data_type.kind() == field.data_type.kind();
                Some(Self::Leaf {
                    column: to.fields().iter().position(same)?,
                    function: *function,
                    literals: literals.clone(),
                })
            }
            Self::All(all) => parts(all).map(Self::All),
            Self::Any(any) => parts(any).map(Self::Any),
        }
    }

    /// Whether a batch of so many rows may have one for which the condition holds (`v1_0.md` §8.2).
    pub fn may_hold(&self, rows: usize, statistics: &Statistics) -> bool {
        match self {
            Self::Leaf {
                column,
                function,
                literals,
            } => statistics
                .column(*column)
                .is_none_or(|column| leaf_may_hold(*function, literals, rows, column)),
            Self::All(parts) => parts.iter().all(|part| part.may_hold(rows, statistics)),
            Self::Any(parts) => parts.iter().any(|part| part.may_hold(rows, statistics)),
        }
    }
}

/// A test of a column, or its opposite, as a server understands it.
fn leaf(column: usize, data_type: &DataType, test: &Test, wanted: bool) -> Option<Pushed> {
    let (function, literals) = match test {
        Test::IsNull if wanted => (Function::IsNull, Vec::new()),
        Test::IsNull => (Function::IsNotNull, Vec::new()),
        Test::Compare(comparison, value) => {
            let value = fitted(value, data_type)?;
            let comparison = if wanted {
                *comparison
            } else {
                opposite(*comparison)
            };
            return Some(compare(column, comparison, value));
        }
        Test::IsIn(values) if wanted && values.iter().all(|value| zero_of(value).is_none()) => {
            (Function::In, all_fitted(values, data_type)?)
        }
        Test::IsIn(values) if wanted => {
            let parts = values
                .iter()
                .map(|value| Some(compare(column, Comparison::Equal, fitted(value, data_type)?)));
            return Some(Pushed::Any(parts.collect::<Option<_>>()?));
        }
        Test::IsIn(values) => (Function::NotIn, all_fitted(values, data_type)?),
        Test::Text(part, sought) if wanted => {
            let function = match part {
                TextPart::Prefix if sought.chars().all(|char| char < FIRST_OF_ANOTHER_ORDER) => {
                    Function::StartsWith
                }
                // These rule out nothing but batches of nulls.
                TextPart::Prefix | TextPart::Suffix | TextPart::Infix => return None,
            };
            (function, vec![Datum::from(sought.clone())])
        }
        Test::Text(..) => return None,
    };
    Some(Pushed::Leaf {
        column,
        function,
        literals,
    })
}

const fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    }
}

/// A comparison, as a server makes it: to it one zero is below the other.
fn compare(column: usize, comparison: Comparison, value: Datum<'static>) -> Pushed {
    let leaf = |function, value| Pushed::Leaf {
        column,
        function,
        literals: vec![value],
    };
    let (least, greatest) = zero_of(&value).unwrap_or_else(|| (value.clone(), value.clone()));
    match comparison {
        Comparison::Equal if zero_of(&value).is_some() => Pushed::All(vec![
            leaf(Function::GreaterOrEqual, least),
            leaf(Function::LessOrEqual, greatest),
        ]),
        Comparison::Equal => leaf(Function::Equal, value),
        // Of both zeros only one is ruled out.
        Comparison::NotEqual => leaf(Function::NotEqual, value),
        Comparison::Less => leaf(Function::Less, least),
        Comparison::LessOrEqual => leaf(Function::LessOrEqual, greatest),
        Comparison::Greater => leaf(Function::Greater, greatest),
        Comparison::GreaterOrEqual => leaf(Function::GreaterOrEqual, least),
    }
}

/// Both zeros of a floating-point number that is one, the lesser first.
fn zero_of(value: &Datum<'_>) -> Option<(Datum<'static>, Datum<'static>)> {
    match value {
        Datum::Float(number) if *number == 0.0 => Some((Datum::Float(-0.0), Datum::Float(0.0))),
        Datum::Double(number) if *number == 0.0 => Some((Datum::Double(-0.0), Datum::Double(0.0))),
        _ => None,
    }
}

/// A value as one of the column's type.
fn fitted(value: &Datum<'static>, data_type: &DataType) -> Option<Datum<'static>> {
    let value = widened(data_type, value.clone()).ok()?;
    match (data_type.kind(), value) {
        (Kind::Decimal { scale, .. }, Datum::Decimal(number)) => number.rescale(*scale).map(Datum::Decimal),
        (_, value) => literal_type(&value, data_type).map(|_| value),
    }
}

fn all_fitted(values: &[Datum<'static>], data_type: &DataType) -> Option<Vec<Datum<'static>>> {
    values.iter().map(|value| fitted(value, data_type)).collect()
}

/// Parts as pairs: `((a, b), c)`. Of one part it is that part.
fn pairs(function: i32, parts: &[Pushed], row_type: &RowType) -> Option<proto::PbPredicate> {
    let mut parts = parts.iter().map(|part| part.encode(row_type));
    let first = parts.next()??;
    parts.try_fold(first, |left, right| {
        Some(proto::PbPredicate {
            r#type: COMPOUND,
            leaf: None,
            compound: Some(proto::PbCompoundPredicate {
                function,
                children: vec![left, right?],
            }),
        })
    })
}

/// `literal_type` of a value in a column of a type; nothing if it is no value of that type.
const fn literal_type(value: &Datum<'_>, data_type: &DataType) -> Option<i32> {
    let fits = matches!(
        (value, data_type.kind()),
        (Datum::Null, _)
            | (Datum::Boolean(_), Kind::Boolean)
            | (Datum::TinyInt(_), Kind::TinyInt)
            | (Datum::SmallInt(_), Kind::SmallInt)
            | (Datum::Int(_), Kind::Int)
            | (Datum::BigInt(_), Kind::BigInt)
            | (Datum::Float(_), Kind::Float)
            | (Datum::Double(_), Kind::Double)
            | (Datum::String(_), Kind::Char(_) | Kind::String)
            | (Datum::Decimal(_), Kind::Decimal { .. })
            | (Datum::Date(_), Kind::Date)
            | (Datum::Time(_), Kind::Time(_))
            | (Datum::Timestamp(_), Kind::Timestamp(_))
            | (Datum::TimestampLtz(_), Kind::TimestampLtz(_))
            | (Datum::Bytes(_), Kind::Binary(_) | Kind::Bytes)
    );
    if !fits {
        return None;
    }
    Some(match data_type.kind() {
        Kind::Boolean => 0,
        Kind::TinyInt => 1,
        Kind::SmallInt => 2,
        Kind::Int => 3,
        Kind::BigInt => 4,
        Kind::Float => 5,
        Kind::Double => 6,
        Kind::Char(_) => 7,
        Kind::String => 8,
        Kind::Decimal { .. } => 9,
        Kind::Date => 10,
        Kind::Time(_) => 11,
        Kind::Timestamp(_) => 12,
        Kind::TimestampLtz(_) => 13,
        Kind::Binary(_) => 14,
        Kind::Bytes => 15,
        Kind::Array(_) | Kind::Map(..) | Kind::Row(_) => return None,
    })
}

fn encode_literal(value: &Datum<'_>, data_type: &DataType) -> Option<proto::PbLiteralValue> {
    let mut literal = proto::PbLiteralValue {
        literal_type: literal_type(value, data_type)?,
        is_null: value.is_null(),
        ..Default::default()
    };
    let moment = |literal: &mut proto::PbLiteralValue, moment: &Timestamp| {
        literal.timestamp_millis_value = Some(moment.millis());
        literal.timestamp_nano_of_millis_value = i32::try_from(moment.nanos_of_milli()).ok();
    };
    match value {
        Datum::Boolean(value) => literal.boolean_value = Some(*value),
        Datum::TinyInt(value) => literal.int_value = Some(i32::from(*value)),
        Datum::SmallInt(value) => literal.int_value = Some(i32::from(*value)),
        Datum::Int(value) | Datum::Time(value) => literal.int_value = Some(*value),
        Datum::BigInt(value) => literal.bigint_value = Some(*value),
        Datum::Date(value) => literal.bigint_value = Some(i64::from(*value)),
        Datum::Float(value) => literal.float_value = Some(*value),
        Datum::Double(value) => literal.double_value = Some(*value),
        Datum::String(value) => literal.string_value = Some(value.to_string()),
        Datum::Bytes(value) => literal.binary_value = Some(value.to_vec().into()),
        Datum::Decimal(value) => match data_type.kind() {
            Kind::Decimal { precision, .. } if *precision > COMPACT_DIGITS => {
                literal.decimal_bytes = Some(shortest(value.unscaled()).into());
            }
            _ => literal.decimal_value = Some(i64::try_from(value.unscaled()).ok()?),
        },
        Datum::Timestamp(value) | Datum::TimestampLtz(value) => moment(&mut literal, value),
        Datum::Null | Datum::Array(_) | Datum::Map(_) | Datum::Row(_) => {}
    }
    Some(literal)
}

/// A number in two's complement, most significant byte first, without bytes that only repeat its sign.
fn shortest(number: i128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let fits = |length: &usize| {
        let spare = 128 - 8 * *length as u32;
        (number << spare) >> spare == number
    };
    let length = (1..bytes.len()).find(fits).unwrap_or(bytes.len());
    bytes.get(bytes.len() - length..).unwrap_or_default().to_vec()
}

fn from_shortest(bytes: &[u8]) -> Option<i128> {
    let (first, _) = bytes.split_first()?;
    let mut whole = if *first & 0x80 == 0 { [0; 16] } else { [0xff; 16] };
    let start = whole.len().checked_sub(bytes.len())?;
    whole.get_mut(start..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

fn decode_literal(literal: &proto::PbLiteralValue, data_type: &DataType) -> Option<Datum<'static>> {
    if !same_type(literal.literal_type, data_type) {
        return None;
    }
    if literal.is_null {
        return Some(Datum::Null);
    }
    let moment = || {
        let nanos = u32::try_from(literal.timestamp_nano_of_millis_value.unwrap_or_default()).ok()?;
        Timestamp::new(literal.timestamp_millis_value?, nanos)
    };
    Some(match data_type.kind() {
        Kind::Boolean => Datum::Boolean(literal.boolean_value?),
        Kind::TinyInt => Datum::TinyInt(literal.int_value?.try_into().ok()?),
        Kind::SmallInt => Datum::SmallInt(literal.int_value?.try_into().ok()?),
        Kind::Int => Datum::Int(literal.int_value?),
        Kind::BigInt => Datum::BigInt(literal.bigint_value?),
        Kind::Float => Datum::Float(literal.float_value?),
        Kind::Double => Datum::Double(literal.double_value?),
        Kind::Char(_) | Kind::String => Datum::from(literal.string_value.clone()?),
        Kind::Binary(_) | Kind::Bytes => Datum::from(literal.binary_value.as_ref()?.to_vec()),
        Kind::Decimal { scale, .. } => {
            let bytes = literal.decimal_bytes.as_deref();
            let unscaled = literal.decimal_value.map(i128::from);
            let unscaled = unscaled.or_else(|| from_shortest(bytes?))?;
            Datum::Decimal(Decimal::new(unscaled, *scale))
        }
        Kind::Date => Datum::Date(literal.bigint_value?.try_into().ok()?),
        Kind::Time(_) => Datum::Time(literal.int_value?),
        Kind::Timestamp(_) => Datum::Timestamp(moment()?),
        Kind::TimestampLtz(_) => Datum::TimestampLtz(moment()?),
        Kind::Array(_) | Kind::Map(..) | Kind::Row(_) => return None,
    })
}

/// Whether a literal is of the type of a column. CHAR and STRING stand for each other, as do BINARY and BYTES.
fn same_type(number: i32, data_type: &DataType) -> bool {
    let family = |number| match number {
        8 => 7,
        15 => 14,
        other => other,
    };
    literal_type(&Datum::Null, data_type).map(family) == Some(family(number))
}

fn leaf_may_hold(function: Function, literals: &[Datum<'_>], rows: usize, column: &ColumnStatistics) -> bool {
    let Some(nulls) = column.nulls else {
        return true;
    };
    match function {
        Function::IsNull => return nulls > 0,
        Function::IsNotNull => return nulls < rows,
        _ if nulls >= rows => return false,
        _ => {}
    }
    let Some((least, greatest)) = &column.range else {
        return true;
    };
    let below = |left: &Datum<'_>, right: &Datum<'_>| order(left, right).is_none_or(Ordering::is_lt);
    let at_most = |left: &Datum<'_>, right: &Datum<'_>| order(left, right).is_none_or(Ordering::is_le);
    let is_all = |value: &Datum<'_>| {
        let same = |bound| order(bound, value) == Some(Ordering::Equal);
        same(least) && same(greatest)
    };
    let between = |value: &Datum<'_>| at_most(least, value) && at_most(value, greatest);
    let [value] = literals else {
        return match function {
            Function::In => literals.iter().any(|value| !value.is_null() && between(value)),
            Function::NotIn => !literals.iter().any(|value| value.is_null() || is_all(value)),
            _ => true,
        };
    };
    if value.is_null() {
        return false;
    }
    match function {
        Function::Equal | Function::In => between(value),
        Function::NotEqual | Function::NotIn => !is_all(value),
        Function::Less => below(least, value),
        Function::LessOrEqual => at_most(least, value),
        Function::Greater => below(value, greatest),
        Function::GreaterOrEqual => at_most(value, greatest),
        Function::StartsWith => {
            let begins = |bound: &Datum<'_>| matches!((bound, value), (Datum::String(text), Datum::String(start)) if text.starts_with(&**start));
            (begins(least) || at_most(least, value)) && (begins(greatest) || at_most(value, greatest))
        }
        Function::Contains | Function::EndsWith | Function::IsNull | Function::IsNotNull => true,
    }
}

/// How two values of one type compare: floating-point numbers as Java has them, all NaNs as one above everything; texts
/// byte by byte. Nothing if they are of different types.
fn order(left: &Datum<'_>, right: &Datum<'_>) -> Option<Ordering> {
    let one_nan = |number: f64| if number.is_nan() { f64::NAN } else { number };
    Some(match (left, right) {
        (Datum::Boolean(left), Datum::Boolean(right)) => left.cmp(right),
        (Datum::TinyInt(left), Datum::TinyInt(right)) => left.cmp(right),
        (Datum::SmallInt(left), Datum::SmallInt(right)) => left.cmp(right),
        (Datum::Int(left), Datum::Int(right))
        | (Datum::Date(left), Datum::Date(right))
        | (Datum::Time(left), Datum::Time(right)) => left.cmp(right),
        (Datum::BigInt(left), Datum::BigInt(right)) => left.cmp(right),
        (Datum::Float(left), Datum::Float(right)) => {
            one_nan(f64::from(*left)).total_cmp(&one_nan(f64::from(*right)))
        }
        (Datum::Double(left), Datum::Double(right)) => one_nan(*left).total_cmp(&one_nan(*right)),
        (Datum::String(left), Datum::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Datum::Decimal(left), Datum::Decimal(right)) if left.scale() == right.scale() => {
            left.unscaled().cmp(&right.unscaled())
        }
        (Datum::Timestamp(left), Datum::Timestamp(right))
        | (Datum::TimestampLtz(left), Datum::TimestampLtz(right)) => left.cmp(right),
        _ => return None,
    })
}
