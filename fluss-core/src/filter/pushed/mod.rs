//! The part of a condition that a server is told, so that it leaves out batches whose statistics rule them out
//! (`v1_0.md` §8).

mod literal;
mod pruning;

use fluss_rpc::proto;

use self::literal::{decode_literal, encode_literal, literal_type};
use super::bound::widened;
use super::{Comparison, Predicate, Test, TextPart};
use crate::numbered;
use crate::record::log::Statistics;
use crate::types::{DataType, Datum, Field, Kind, RowType};

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
                .is_none_or(|column| pruning::may_hold(*function, literals, rows, column)),
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
