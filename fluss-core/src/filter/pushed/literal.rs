//! Values of conditions, as messages have them (`v1_0.md` §8).

use fluss_rpc::proto;

use crate::types::{DataType, Datum, Decimal, Kind, Timestamp};

/// Digits of a decimal that is sent as a number; others are sent as bytes.
const COMPACT_DIGITS: u8 = 18;

/// `literal_type` of a value in a column of a type; nothing if it is no value of that type.
pub(super) const fn literal_type(value: &Datum<'_>, data_type: &DataType) -> Option<i32> {
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

/// A value as a message has it; nothing if it is none of the column's type.
pub(super) fn encode_literal(value: &Datum<'_>, data_type: &DataType) -> Option<proto::PbLiteralValue> {
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

/// The value of a message; nothing if it is none of the column's type.
pub(super) fn decode_literal(
    literal: &proto::PbLiteralValue,
    data_type: &DataType,
) -> Option<Datum<'static>> {
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
