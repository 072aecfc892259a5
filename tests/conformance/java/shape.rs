//! Tables of every type that both clients can write and read.

use fluss_client::types::{DataType, Datum, Kind};
use fluss_tests::arbitrary::{Options, data_type, every_scalar};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::values::{in_order, tame};
use crate::key_tables::column::Column;
use crate::key_tables::trial::Trial;
use crate::key_tables::{KV_FORMAT, LAST_ROW, part, whole};

const STEPS: usize = 40;
const KEY: [&str; 3] = ["k0", "k1", "k2"];

/// What is not drawn of a table. Its values are in the columns `c0`, `c1` and `c2`.
struct Shape {
    kv_format: &'static str,
    /// How many columns the key has.
    key: usize,
    bucket_key: &'static [&'static str],
    /// Whether values may be null, without which nothing is updated in part.
    nullable: bool,
}

const fn shape(
    kv_format: &'static str,
    key: usize,
    bucket_key: &'static [&'static str],
    nullable: bool,
) -> Shape {
    Shape {
        kv_format,
        key,
        bucket_key,
        nullable,
    }
}

/// Of keys that together have as many columns as there are types of them.
const SHAPES: [Shape; 8] = [
    shape("COMPACTED", 1, &[], false),
    shape("INDEXED", 3, &["k0", "k1"], true),
    shape("COMPACTED", 2, &["k0"], true),
    shape("INDEXED", 1, &["k0"], false),
    shape("COMPACTED", 2, &["k1"], true),
    shape("INDEXED", 3, &["k0"], true),
    shape("INDEXED", 1, &[], true),
    shape("COMPACTED", 3, &["k2", "k0"], true),
];
const VALUES: usize = 3;

pub fn draw<T>(strategy: impl Strategy<Value = T>, runner: &mut TestRunner) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// Tables of so many buckets, with keys of every type that a key may have, which is no ARRAY, MAP or ROW, and with
/// values of every type.
pub fn trials(buckets: i32, runner: &mut TestRunner) -> Vec<Trial> {
    let mut keys = draw(every_scalar(), runner).into_iter();
    let nested = data_type(Options::default()).prop_filter("scalar", DataType::is_nested);
    let values = (every_scalar(), vec(nested, 8)).prop_map(|(scalars, nested)| [scalars, nested].concat());
    let mut values = draw(values.prop_shuffle(), runner).into_iter();
    let mut trials = Vec::new();
    for shape in &SHAPES {
        let keys = keys.by_ref().take(shape.key).collect();
        let columns = shape.columns(keys, values.by_ref().take(VALUES).collect());
        let columns = draw(Just(columns).prop_shuffle(), runner);
        trials.push(shape.trial(columns, &KEY[..shape.key]).buckets(buckets));
    }
    assert!(keys.chain(values).next().is_none(), "every type has its place");
    trials
}

/// The types by which tables may be partitioned: all scalars but DECIMAL.
const PARTITION_TYPES: [&str; 15] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "CHAR(4)",
    "STRING",
    "BINARY(3)",
    "BYTES",
    "DATE",
    "TIME(3)",
    "TIMESTAMP(9)",
    "TIMESTAMP_LTZ(6)",
];
const PARTITION_KEY: [&str; 5] = ["p0", "p1", "p2", "p3", "p4"];

/// Tables of so many buckets, which together are partitioned by columns of all types.
pub fn partitioned(buckets: [i32; 3], runner: &mut TestRunner) -> Vec<Trial> {
    let shape = shape("COMPACTED", 2, &["k0"], true);
    let types = draw(Just(PARTITION_TYPES.to_vec()).prop_shuffle(), runner);
    let mut trials = Vec::new();
    for (buckets, partitions) in buckets.into_iter().zip(types.chunks(PARTITION_KEY.len())) {
        let types = draw(every_scalar(), runner);
        let (keys, values) = types.split_at(shape.key);
        let mut columns = shape.columns(keys.to_vec(), values[..VALUES].to_vec());
        let partitions = PARTITION_KEY.into_iter().zip(partitions);
        columns.extend(partitions.map(|(name, data_type)| shape.partition_column(name, data_type)));
        let trial = shape
            .trial(columns, &["p0", "k0", "p1", "p2", "k1", "p3", "p4"])
            .buckets(buckets)
            .partitioned_by(PARTITION_KEY.into_iter().rev());
        trials.push(trial);
    }
    trials
}

impl Shape {
    fn columns(&self, keys: Vec<DataType>, values: Vec<DataType>) -> Vec<Column> {
        let keys = KEY.into_iter().zip(keys);
        let keys = keys.map(|(name, data_type)| self.key_column(name, data_type));
        let values = values.into_iter().enumerate();
        keys.chain(values.map(|(index, data_type)| self.value_column(index, data_type)))
            .collect()
    }

    /// Columns that rows are distributed by have few values, so that look-ups by them find several.
    fn key_column(&self, name: &str, data_type: DataType) -> Column {
        if self.bucket_key.contains(&name) {
            self.for_java(Column::few(name, data_type))
        } else {
            self.for_java(Column::any(name, data_type))
        }
    }

    /// A column of values that a partition may be named by. Numbers with many digits have other names before Java 19.
    fn partition_column(&self, name: &str, data_type: &str) -> Column {
        let mut column = Column::few(name, data_type.parse().unwrap());
        column.values = match column.data_type.kind() {
            Kind::Float | Kind::Double => return Column::tame(name, column.data_type),
            Kind::Char(_) | Kind::String => select(vec!["eu", "us-1", "A_2"]).prop_map(Datum::from).boxed(),
            Kind::Bytes => select(vec![vec![0_u8], vec![1, 255]])
                .prop_map(Datum::from)
                .boxed(),
            _ => return self.for_java(column),
        };
        column
    }

    fn value_column(&self, index: usize, data_type: DataType) -> Column {
        self.for_java(Column::any(
            &format!("c{index}"),
            data_type.with_nullable(self.nullable),
        ))
    }

    /// A column of values that the Java client takes and gives.
    fn for_java(&self, mut column: Column) -> Column {
        let data_type = column.data_type.clone();
        column.values = match data_type.kind() {
            Kind::Char(_) if self.kv_format == "COMPACTED" => column.values,
            _ => column
                .values
                .prop_map(move |value| in_order(tame(&data_type, value)))
                .boxed(),
        };
        column
    }

    fn trial(&self, columns: Vec<Column>, key: &[&'static str]) -> Trial {
        let position = |name: &&str| columns.iter().position(|column| column.name == *name).unwrap();
        let part = |names: &[&str]| part(key.iter().chain(names).map(position));
        let modes = [whole(), part(&["c0"]), part(&["c2", "c1"])];
        Trial::new(columns, key.iter().copied(), LAST_ROW)
            .bucket_key(self.bucket_key.iter().copied())
            .property(KV_FORMAT, self.kv_format)
            .modes(modes.into_iter().take(if self.nullable { 3 } else { 1 }))
            .steps(STEPS)
    }
}
