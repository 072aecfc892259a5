//! Random rows come back as they went; what is left of them after an accident is refused, or at least does no harm.

use fluss_core::row::{self, KeyEncoder, KeyFormat, RowFormat};
use fluss_core::types::{Datum, OwnedRow, RowType};
use fluss_tests::arbitrary::{Options, rows};
use proptest::prelude::*;

const FORMATS: [RowFormat; 3] = [RowFormat::Compacted, RowFormat::Indexed, RowFormat::Aligned];

fn encode(format: RowFormat, row_type: &RowType, row: &OwnedRow) -> Vec<u8> {
    let mut bytes = Vec::new();
    format.encode(row_type, row, &mut bytes).unwrap();
    bytes
}

/// The number of values, nested ones included.
fn values(row: &[Datum<'_>]) -> usize {
    let nested = |datum: &Datum<'_>| match datum {
        Datum::Array(values) | Datum::Row(values) => self::values(values),
        Datum::Map(entries) => entries
            .iter()
            .map(|(key, value)| values(&[key.borrowed(), value.borrowed()]))
            .sum(),
        _ => 0,
    };
    row.len() + row.iter().map(nested).sum::<usize>()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_come_back_as_they_went((row_type, rows) in rows(Options::default(), 1..4)) {
        for row in &rows {
            prop_assert_eq!(row::check(&row_type, row), Ok(()));
            for format in FORMATS {
                let bytes = encode(format, &row_type, row);
                prop_assert_eq!(&format.decode(&row_type, &bytes).unwrap(), row, "{:?}", format);
            }
        }
    }

    #[test]
    fn columns_that_nobody_wants_are_passed_over(
        (row_type, rows) in rows(Options::default(), 1..4),
        drawn in proptest::collection::vec(any::<bool>(), 0..8),
    ) {
        for row in &rows {
            let is_wanted = |column: usize| drawn.get(column).is_some_and(|drawn| *drawn);
            let expected: Vec<_> = row.iter().cloned().enumerate().filter(|(column, _)| is_wanted(*column)).collect();
            for format in FORMATS {
                let bytes = encode(format, &row_type, row);
                let mut read = Vec::new();
                let take = |column: usize, datum: Datum<'_>| {
                    read.push((column, datum.into_owned()));
                    Ok(())
                };
                format.visit(&row_type, &bytes, is_wanted, take).unwrap();
                prop_assert_eq!(&read, &expected, "{:?}", format);
            }
        }
    }

    #[test]
    fn a_row_cut_short_is_refused((row_type, rows) in rows(Options::default(), 1)) {
        for format in FORMATS {
            let bytes = encode(format, &row_type, &rows[0]);
            for length in 0..bytes.len() {
                let outcome = format.decode(&row_type, &bytes[..length]);
                // An aligned row has padding at its end, and slots say where their bytes are: a row can be read
                // without bytes to which none refers.
                prop_assert!(outcome.is_err() || format == RowFormat::Aligned, "{:?} of {}", format, length);
            }
        }
    }

    #[test]
    fn a_row_with_a_byte_too_many_is_refused((row_type, rows) in rows(Options::default(), 1)) {
        for format in [RowFormat::Compacted, RowFormat::Indexed] {
            let mut bytes = encode(format, &row_type, &rows[0]);
            bytes.push(0);
            prop_assert!(format.decode(&row_type, &bytes).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_does_no_harm((row_type, rows) in rows(Options::default(), 1)) {
        for format in FORMATS {
            let mut bytes = encode(format, &row_type, &rows[0]);
            for bit in 0..8 * bytes.len() {
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok(row) = format.decode(&row_type, &bytes) {
                    // Each level of nesting may multiply the columns, never the bytes.
                    prop_assert!(values(&row) <= 64 * (bytes.len() + row_type.len()));
                }
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(
        (row_type, _) in rows(Options::default(), 0),
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(8)], 0..200),
    ) {
        for format in FORMATS {
            let _ = format.decode(&row_type, &bytes);
        }
    }

    #[test]
    fn keys_come_back_as_they_went(
        (row_type, rows) in rows(Options { depth: 0, nulls: false, ..Options::default() }, 1..4),
    ) {
        let columns: Vec<_> = (0..row_type.len()).rev().collect();
        for format in [KeyFormat::Fluss, KeyFormat::Paimon] {
            let encoder = KeyEncoder::new(format, &row_type, &columns).unwrap();
            for row in &rows {
                let mut key = Vec::new();
                encoder.encode(row, &mut key).unwrap();
                let mut values = encoder.decode(&key).unwrap();
                values.reverse();
                prop_assert_eq!(&values, row);
            }
        }
    }
}

/// Slots that refer to the same bytes would let a few bytes stand for any number of values.
#[test]
fn slots_cannot_share_nested_values() {
    let row_type = RowType::new([fluss_core::types::Field::new(
        "a",
        "ARRAY<ARRAY<INT>>".parse().unwrap(),
    )]);
    let inner = vec![Datum::Array(vec![1.into(), 2.into()]); 2];
    let mut bytes = encode(RowFormat::Compacted, &row_type, &vec![Datum::Array(inner)]);
    assert!(RowFormat::Compacted.decode(&row_type, &bytes).is_ok());
    // Null bits, length, count and null bits of the array come before its two slots. Both refer to the first value,
    // which with a length of all the variable part holds the second too.
    let (first, second) = (10..18, 18..26);
    bytes[first.start] = 32;
    let slot = bytes[first].to_vec();
    bytes[second].copy_from_slice(&slot);
    let fault = RowFormat::Compacted.decode(&row_type, &bytes).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "malformed array: column 'a': nested values share bytes"
    );
}
