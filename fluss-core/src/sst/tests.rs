use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::block::mask;
use super::table::{CRC_32C, FOOTER, MAGIC};
use super::*;
use crate::record::value::StoredValue;
use crate::row::RowFormat;
use crate::types::{DataType, Datum, Field, RowType};

/// The tables of a snapshot that a server of 0.9.1 took of a bucket of (INT, STRING), and uploaded: of 40 rows, of which
/// each second one was replaced, and then each fifth deleted.
const CAPTURED: [&[u8]; 2] = [
    include_bytes!("captured/first.sst"),
    include_bytes!("captured/second.sst"),
];

fn read(tables: &[Bytes]) -> Result<Vec<Bytes>, DecodeError> {
    let names = (0..).map(|number| format!("{number}.sst"));
    Rows::read(names.zip(tables.iter().cloned()))?.collect()
}

fn captured() -> Vec<Bytes> {
    CAPTURED.map(Bytes::from_static).into()
}

#[test]
fn a_captured_snapshot_holds_the_rows_that_were_written_last() {
    let row_type = RowType::new([
        Field::new("id", DataType::int()),
        Field::new("name", DataType::string()),
    ]);
    let rows = read(&captured()).unwrap();
    let expected: Vec<(i32, String)> = (0..40)
        .filter(|id| id % 5 != 0)
        .map(|id| {
            (
                id,
                format!("the {} name of {id}", ["second", "first"][id as usize % 2]),
            )
        })
        .collect();
    assert_eq!(rows.len(), expected.len());
    for (row, (id, name)) in rows.iter().zip(expected) {
        let value = StoredValue::decode(row).unwrap();
        let row = RowFormat::Compacted.decode(&row_type, value.row).unwrap();
        assert_eq!(row, [Datum::Int(id), Datum::from(name)]);
    }
}

#[test]
fn a_table_that_is_cut_is_refused() {
    let [first, second] = CAPTURED;
    for length in 0..first.len() {
        let cut = Bytes::from_static(first.get(..length).unwrap());
        let error = read(&[cut, Bytes::from_static(second)]).unwrap_err();
        assert!(
            error.to_string().starts_with("malformed snapshot: 0.sst: "),
            "{error}"
        );
    }
}

#[test]
fn a_flipped_bit_changes_no_row_in_silence() {
    let whole = read(&captured()).unwrap();
    let mut refused = 0;
    for position in 0..CAPTURED[0].len() {
        for bit in 0..8 {
            let mut flipped = CAPTURED[0].to_vec();
            flipped[position] ^= 1 << bit;
            match read(&[flipped.into(), Bytes::from_static(CAPTURED[1])]) {
                Ok(rows) => assert_eq!(rows, whole, "bit {bit} of byte {position}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}

/// What a write did to a key: put a value, or delete it.
type Written = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// How a table is made.
#[derive(Clone, Copy, Debug)]
struct Make {
    compression: u8,
    entries_of_a_block: usize,
    /// How many entries of the index share the beginnings of their keys; none of an index without deltas.
    restart: Option<usize>,
    version: u32,
}

const LZ4: Make = Make {
    compression: 4,
    entries_of_a_block: 3,
    restart: Some(1),
    version: 5,
};

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn entries<'e>(entries: impl IntoIterator<Item = (&'e [u8], &'e [u8])>) -> Vec<u8> {
    let (mut block, mut last) = (Vec::new(), Vec::new());
    for (key, value) in entries {
        let shared = key.iter().zip(&last).take_while(|(a, b)| a == b).count();
        for number in [shared, key.len() - shared, value.len()] {
            put_varint(number as u64, &mut block);
        }
        block.extend_from_slice(&key[shared..]);
        block.extend_from_slice(value);
        last = key.to_vec();
    }
    block
}

/// Appends a block with its restarts, and returns its offset and size.
fn put_block(mut block: Vec<u8>, compression: u8, file: &mut Vec<u8>) -> (u64, u64) {
    block.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    let mut stored = Vec::new();
    if compression != 0 {
        put_varint(block.len() as u64, &mut stored);
    }
    match compression {
        4 => stored.extend(lz4_flex::block::compress(&block)),
        7 => stored.extend(zstd::bulk::compress(&block, 3).unwrap()),
        _ => stored.extend(block),
    }
    let handle = (file.len() as u64, stored.len() as u64);
    stored.push(compression);
    let checksum = mask(crc32c::crc32c(&stored));
    file.extend(stored);
    file.extend_from_slice(&checksum.to_le_bytes());
    handle
}

fn put_handle((offset, size): (u64, u64), out: &mut Vec<u8>) {
    put_varint(offset, out);
    put_varint(size, out);
}

fn index(blocks: &[(Vec<u8>, (u64, u64))], restart: Option<usize>) -> Vec<u8> {
    let (mut block, mut last) = (Vec::new(), None::<(&[u8], (u64, u64))>);
    for (position, (key, handle)) in blocks.iter().enumerate() {
        let (mut value, mut shared) = (Vec::new(), 0);
        match last.filter(|_| restart.is_some_and(|every| position % every != 0)) {
            // A key that shares nothing is told with its whole place.
            Some((before, (_, size))) if before.first() == key.first() => {
                shared = 1;
                let more = handle.1 as i64 - size as i64;
                put_varint(((more << 1) ^ (more >> 63)) as u64, &mut value);
            }
            _ => put_handle(*handle, &mut value),
        }
        put_varint(shared as u64, &mut block);
        put_varint((key.len() - shared) as u64, &mut block);
        if restart.is_none() {
            put_varint(value.len() as u64, &mut block);
        }
        block.extend_from_slice(&key[shared..]);
        block.extend_from_slice(&value);
        last = Some((key, *handle));
    }
    block
}

fn table(written: &Written, write: u64, make: Make, properties: &[(&str, &[u8])]) -> Bytes {
    let all: Vec<(Vec<u8>, &[u8])> = written
        .iter()
        .map(|(key, value)| {
            let suffix = write << 8 | u64::from(value.is_some());
            let key = [&key[..], &suffix.to_le_bytes()].concat();
            (key, value.as_deref().unwrap_or_default())
        })
        .collect();
    let (mut file, mut blocks) = (Vec::new(), Vec::new());
    for some in all.chunks(make.entries_of_a_block) {
        let block = entries(some.iter().map(|(key, value)| (&key[..], *value)));
        let last = some.last().unwrap().0.clone();
        blocks.push((last, put_block(block, make.compression, &mut file)));
    }
    let mut told: BTreeMap<&str, &[u8]> = properties.iter().copied().collect();
    let deltas = [u8::from(make.restart.is_some())];
    told.insert("rocksdb.index.value.is.delta.encoded", &deltas);
    let told = entries(told.iter().map(|(name, value)| (name.as_bytes(), *value)));
    let told = put_block(told, 0, &mut file);
    let mut place = Vec::new();
    put_handle(told, &mut place);
    let list = entries([(&b"rocksdb.properties"[..], &place[..])]);
    let list = put_block(list, 0, &mut file);
    let index = put_block(index(&blocks, make.restart), make.compression, &mut file);
    let mut footer = vec![CRC_32C];
    put_handle(list, &mut footer);
    put_handle(index, &mut footer);
    footer.resize(FOOTER - 12, 0);
    footer.extend_from_slice(&make.version.to_le_bytes());
    footer.extend_from_slice(&MAGIC.to_le_bytes());
    file.extend(footer);
    file.into()
}

fn written() -> impl Strategy<Value = Written> {
    let key = vec(0_u8..4, 0..5);
    let value = proptest::option::weighted(0.8, vec(any::<u8>(), 0..40));
    btree_map(key, value, 0..40)
}

fn make() -> impl Strategy<Value = Make> {
    let compression = prop_oneof![Just(0_u8), Just(4), Just(7)];
    let restart = prop_oneof![Just(None), (1_usize..5).prop_map(Some)];
    (compression, 1_usize..6, restart, 2_u32..6).prop_map(
        |(compression, entries_of_a_block, restart, version)| Make {
            compression,
            entries_of_a_block,
            restart,
            version,
        },
    )
}

proptest! {
    #[test]
    fn of_each_key_the_last_write_counts(tables in vec((written(), make()), 0..5), seed in any::<usize>()) {
        let mut model = Written::new();
        let mut files = Vec::new();
        for (write, (written, make)) in (1_u64..).zip(&tables) {
            files.push(table(written, write, *make, &[]));
            model.extend(written.clone());
        }
        if !files.is_empty() {
            let turn = seed % files.len();
            files.rotate_left(turn);
        }
        let rows: Vec<Vec<u8>> = read(&files).unwrap().iter().map(|row| row.to_vec()).collect();
        let expected: Vec<Vec<u8>> = model.into_values().flatten().collect();
        prop_assert_eq!(rows, expected);
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let written = Written::from([(vec![1], Some(vec![2]))]);
    let refusal = |make: Make, properties: &[(&str, &[u8])]| {
        let error = read(&[table(&written, 1, make, properties)]).unwrap_err();
        error.to_string()
    };
    let snappy = Make {
        compression: 1,
        ..LZ4
    };
    let newer = Make { version: 6, ..LZ4 };
    assert_eq!(
        refusal(snappy, &[]),
        "malformed snapshot: 0.sst: compression Snappy is not read"
    );
    assert_eq!(
        refusal(newer, &[]),
        "malformed snapshot: 0.sst: version 6 of tables is not read"
    );
    for (name, value, told) in [
        ("rocksdb.num.range-deletions", &[1_u8][..], "deletions of ranges"),
        (
            "rocksdb.block.based.table.index.type",
            &[2, 0, 0, 0],
            "indexes of kind",
        ),
        ("rocksdb.comparator", b"other", "another order"),
    ] {
        let refusal = refusal(LZ4, &[(name, value)]);
        assert!(refusal.contains(told), "{refusal}");
    }
    let mut other = table(&written, 1, LZ4, &[]).to_vec();
    let checksum = other.len() - FOOTER;
    other[checksum] = 4;
    let error = read(&[other.into()]).unwrap_err().to_string();
    assert!(error.contains("checksums of kind 4"), "{error}");
}
