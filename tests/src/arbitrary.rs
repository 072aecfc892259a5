//! Random types, and random rows that fit them.

use fluss_core::types::{
    DataType, Datum, Decimal, Field, InvalidDefinition, Kind, OwnedRow, RowType, Timestamp,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

/// What random types may be.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How deep ARRAY, MAP and ROW are nested; 0 for none of them.
    pub depth: u32,
    /// The most columns of a row.
    pub columns: usize,
    /// The scalar types that are wanted.
    pub scalars: fn(&Kind) -> bool,
    /// Whether types may take nulls.
    pub nulls: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            depth: 2,
            columns: 6,
            scalars: |_| true,
            nulls: true,
        }
    }
}

/// A type of rows and some rows of it.
pub fn rows(
    options: Options,
    count: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = (RowType, Vec<OwnedRow>)> {
    let count = count.into();
    row_type(options).prop_flat_map(move |row_type| {
        let rows = vec(row(&row_type), count.clone());
        (Just(row_type), rows)
    })
}

/// A type of rows with one column or more, named `c0`, `c1` and so on.
pub fn row_type(options: Options) -> BoxedStrategy<RowType> {
    fields(data_type(options), 1, options.columns)
}

fn fields(data_type: BoxedStrategy<DataType>, min: usize, max: usize) -> BoxedStrategy<RowType> {
    let named = |types: Vec<DataType>| {
        let fields = types.into_iter().enumerate();
        RowType::new(fields.map(|(index, data_type)| Field::new(format!("c{index}"), data_type)))
    };
    vec(data_type, min..=max).prop_map(named).boxed()
}

/// A type, nested or not.
pub fn data_type(options: Options) -> BoxedStrategy<DataType> {
    let scalar = nullable(options, scalar_type(options));
    scalar
        .prop_recursive(options.depth, 12, 3, move |inner| {
            let key = scalar_type(options).boxed();
            let nested = prop_oneof![
                inner.clone().prop_map(DataType::array),
                (key, inner.clone()).prop_map(|(key, value)| DataType::map(key, value)),
                fields(inner.boxed(), 0, 3).prop_map(DataType::row),
            ];
            nullable(options, nested)
        })
        .boxed()
}

fn nullable(options: Options, types: impl Strategy<Value = DataType> + 'static) -> BoxedStrategy<DataType> {
    (types, any::<bool>())
        .prop_map(move |(data_type, nullable)| data_type.with_nullable(nullable && options.nulls))
        .boxed()
}

fn scalar_type(options: Options) -> impl Strategy<Value = DataType> + Clone {
    prop_oneof![select(plain()), Union::new(sized())]
        .prop_filter("not among the wanted types", move |data_type| {
            (options.scalars)(data_type.kind())
        })
        .boxed()
}

/// A type of every scalar kind, in any order.
pub fn every_scalar() -> impl Strategy<Value = Vec<DataType>> {
    sized().prop_map(|sized| [plain(), sized].concat()).prop_shuffle()
}

fn plain() -> Vec<DataType> {
    vec![
        DataType::boolean(),
        DataType::tiny_int(),
        DataType::small_int(),
        DataType::int(),
        DataType::big_int(),
        DataType::float(),
        DataType::double(),
        DataType::string(),
        DataType::bytes(),
        DataType::date(),
    ]
}

/// The types that have a length or a precision.
fn sized() -> Vec<BoxedStrategy<DataType>> {
    let decimal = (1..=38_u8)
        .prop_flat_map(|precision| (Just(precision), 0..=precision))
        .prop_map(|(precision, scale)| DataType::decimal(precision, scale).unwrap());
    let precise = |of: fn(u8) -> Result<DataType, InvalidDefinition>| {
        (0..=9_u8)
            .prop_map(move |precision| of(precision).unwrap())
            .boxed()
    };
    let long = |of: fn(u32) -> Result<DataType, InvalidDefinition>| {
        (1..=12_u32).prop_map(move |length| of(length).unwrap()).boxed()
    };
    vec![
        long(DataType::char),
        long(DataType::binary),
        decimal.boxed(),
        precise(DataType::time),
        precise(DataType::timestamp),
        precise(DataType::timestamp_ltz),
    ]
}

/// A row of this type.
pub fn row(row_type: &RowType) -> BoxedStrategy<OwnedRow> {
    let fields = row_type.fields().iter();
    fields
        .map(|field| datum(&field.data_type))
        .collect::<Vec<_>>()
        .boxed()
}

/// A value of this type that `row::check` accepts and every format can hold: CHAR is ASCII, and CHAR and BINARY do not
/// end in zeros. There is no NaN, which equals nothing.
pub fn datum(data_type: &DataType) -> BoxedStrategy<Datum<'static>> {
    let value = value(data_type.kind());
    if data_type.is_nullable() {
        prop_oneof![1 => Just(Datum::Null), 4 => value].boxed()
    } else {
        value
    }
}

fn value(kind: &Kind) -> BoxedStrategy<Datum<'static>> {
    match kind {
        Kind::Boolean => any::<bool>().prop_map(Datum::from).boxed(),
        Kind::TinyInt => any::<i8>().prop_map(Datum::from).boxed(),
        Kind::SmallInt => any::<i16>().prop_map(Datum::from).boxed(),
        Kind::Int => any::<i32>().prop_map(Datum::from).boxed(),
        Kind::BigInt => prop_oneof![any::<i64>(), -200..200_i64]
            .prop_map(Datum::from)
            .boxed(),
        Kind::Float => number::<f32>(|value| value.is_nan()),
        Kind::Double => number::<f64>(|value| value.is_nan()),
        Kind::Char(length) => text(proptest::char::range(' ', '~'), *length as usize),
        Kind::String => text(any::<char>(), 20),
        Kind::Binary(length) => binary(*length as usize),
        Kind::Bytes => vec(any::<u8>(), 0..20).prop_map(Datum::from).boxed(),
        Kind::Decimal { precision, scale } => decimal(*precision, *scale),
        Kind::Date => (-200_000..200_000_i32).prop_map(Datum::Date).boxed(),
        Kind::Time(precision) => {
            let unit = 10_i32.pow(3_u32.saturating_sub(u32::from(*precision)));
            (0..86_400_000 / unit)
                .prop_map(move |units| Datum::Time(units * unit))
                .boxed()
        }
        Kind::Timestamp(precision) => moment(*precision).prop_map(Datum::Timestamp).boxed(),
        Kind::TimestampLtz(precision) => moment(*precision).prop_map(Datum::TimestampLtz).boxed(),
        Kind::Array(element) => vec(datum(element), 0..5).prop_map(Datum::Array).boxed(),
        Kind::Map(key, value) => vec((datum(key), datum(value)), 0..4).prop_map(Datum::Map).boxed(),
        Kind::Row(row_type) => row(row_type).prop_map(Datum::Row).boxed(),
        kind => unreachable!("{kind}"),
    }
}

fn number<T>(is_nan: fn(&T) -> bool) -> BoxedStrategy<Datum<'static>>
where
    T: Arbitrary + Into<Datum<'static>> + 'static,
{
    any::<T>()
        .prop_filter("NaN", move |value| !is_nan(value))
        .prop_map(Into::into)
        .boxed()
}

fn text(chars: impl Strategy<Value = char> + 'static, length: usize) -> BoxedStrategy<Datum<'static>> {
    vec(chars, 0..=length)
        .prop_map(|chars| Datum::from(String::from_iter(chars)))
        .boxed()
}

fn binary(length: usize) -> BoxedStrategy<Datum<'static>> {
    (vec(any::<u8>(), length - 1), 1..=u8::MAX)
        .prop_map(|(mut bytes, last)| {
            bytes.push(last);
            Datum::from(bytes)
        })
        .boxed()
}

fn decimal(precision: u8, scale: u8) -> BoxedStrategy<Datum<'static>> {
    let limit = 10_i128.pow(u32::from(precision)) - 1;
    (-limit..=limit, 0..precision)
        .prop_map(move |(unscaled, shift)| Decimal::new(unscaled / 10_i128.pow(shift.into()), scale).into())
        .boxed()
}

/// Between 1677 and 2262, so that nanoseconds can be counted.
fn moment(precision: u8) -> impl Strategy<Value = Timestamp> {
    let unit = 10_i64.pow(9 - u32::from(precision));
    let limit = i64::MAX / unit;
    (-limit..=limit).prop_map(move |units| Timestamp::from_nanos(units * unit))
}
