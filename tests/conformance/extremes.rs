//! The least and the greatest values of every type.

use fluss_client::types::{Datum, Decimal, Timestamp};

/// Types, and values of each that every format holds exactly.
pub(crate) fn columns() -> Vec<(&'static str, Vec<Datum<'static>>)> {
    let mut columns = scalars();
    columns.extend(moments());
    columns.extend(nested());
    columns
}

fn scalars() -> Vec<(&'static str, Vec<Datum<'static>>)> {
    let bytes = |byte: u8, count: usize| Datum::from(vec![byte; count]);
    vec![
        ("BOOLEAN", vec![true.into(), false.into()]),
        ("TINYINT", vec![i8::MIN.into(), i8::MAX.into()]),
        ("SMALLINT", vec![i16::MIN.into(), i16::MAX.into()]),
        ("INT", vec![i32::MIN.into(), i32::MAX.into(), 0.into()]),
        ("BIGINT", vec![i64::MIN.into(), i64::MAX.into(), (-1_i64).into()]),
        (
            "FLOAT",
            vec![
                f32::MIN.into(),
                f32::MAX.into(),
                f32::MIN_POSITIVE.into(),
                f32::NAN.into(),
            ],
        ),
        (
            "DOUBLE",
            vec![
                f64::NEG_INFINITY.into(),
                f64::MAX.into(),
                (-0.0).into(),
                f64::NAN.into(),
            ],
        ),
        ("CHAR(11)", vec!["".into(), "äöü€x".into()]),
        (
            "STRING",
            vec!["".into(), "a\0🎉".into(), "x".repeat(70_000).into()],
        ),
        ("BINARY(3)", vec![bytes(0, 3), bytes(0xFF, 3)]),
        ("BYTES", vec![bytes(0, 0), bytes(0, 300), bytes(0xFF, 7)]),
        (
            "DECIMAL(1,0)",
            vec![Decimal::new(-9, 0).into(), Decimal::new(9, 0).into()],
        ),
        (
            "DECIMAL(18,18)",
            vec![
                Decimal::new(10_i128.pow(18) - 1, 18).into(),
                Decimal::new(1, 18).into(),
            ],
        ),
        (
            "DECIMAL(38,10)",
            vec![
                Decimal::new(10_i128.pow(38) - 1, 10).into(),
                Decimal::new(1 - 10_i128.pow(38), 10).into(),
            ],
        ),
    ]
}

fn moments() -> Vec<(&'static str, Vec<Datum<'static>>)> {
    let both = |least: Timestamp, greatest: Timestamp| vec![least, greatest];
    // Of each unit, as far as its count reaches; seconds and milliseconds as far as Java's clock does.
    let seconds = both(
        Timestamp::from_millis(-9_223_372_036_854_000),
        Timestamp::from_millis(9_223_372_036_854_000),
    );
    let millis = both(
        Timestamp::from_millis(-9_223_372_036_854_775),
        Timestamp::from_millis(9_223_372_036_854_775),
    );
    let micros = both(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    let nanos = both(Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));
    let plain = |moments: &[Timestamp]| moments.iter().copied().map(Datum::Timestamp).collect();
    let local = |moments: &[Timestamp]| moments.iter().copied().map(Datum::TimestampLtz).collect();
    vec![
        ("DATE", vec![Datum::Date(i32::MIN), Datum::Date(i32::MAX)]),
        ("TIME(0)", vec![Datum::Time(0), Datum::Time(86_399_000)]),
        ("TIME(3)", vec![Datum::Time(1), Datum::Time(86_399_999)]),
        ("TIME(9)", vec![Datum::Time(1), Datum::Time(86_399_999)]),
        ("TIMESTAMP(0)", plain(&seconds)),
        ("TIMESTAMP(3)", plain(&millis)),
        ("TIMESTAMP(6)", plain(&micros)),
        ("TIMESTAMP(9)", plain(&nanos)),
        ("TIMESTAMP_LTZ(0)", local(&seconds)),
        ("TIMESTAMP_LTZ(3)", local(&millis)),
        ("TIMESTAMP_LTZ(6)", local(&micros)),
        ("TIMESTAMP_LTZ(9)", local(&nanos)),
    ]
}

fn nested() -> Vec<(&'static str, Vec<Datum<'static>>)> {
    let row = Datum::Row;
    vec![
        (
            "ARRAY<INT>",
            vec![
                Datum::Array(Vec::new()),
                Datum::Array(vec![Datum::Null, i32::MIN.into()]),
            ],
        ),
        (
            "ARRAY<ARRAY<STRING>>",
            vec![Datum::Array(vec![
                Datum::Array(vec!["a".into(), Datum::Null]),
                Datum::Null,
                Datum::Array(Vec::new()),
            ])],
        ),
        (
            "MAP<STRING NOT NULL,MAP<INT NOT NULL,DATE>>",
            vec![
                Datum::Map(Vec::new()),
                Datum::Map(vec![
                    (
                        "k".into(),
                        Datum::Map(vec![(1.into(), Datum::Date(-1)), (2.into(), Datum::Null)]),
                    ),
                    ("n".into(), Datum::Null),
                ]),
            ],
        ),
        (
            "ROW<x INT,y ROW<z STRING,t TIMESTAMP(9)>>",
            vec![
                row(vec![
                    1.into(),
                    row(vec![Datum::Null, Datum::Timestamp(Timestamp::from_nanos(-1))]),
                ]),
                row(vec![Datum::Null, Datum::Null]),
            ],
        ),
    ]
}
