//! A client in a process of its own, whose memory can be measured: this program, started again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::{Command, ExitCode};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use fluss_client::id::TableBucket;
use fluss_client::types::TablePath;
use fluss_client::{LogScanner, StartOffset};

use crate::{PATIENCE, run};

/// Tells this program that it is a reader, and what to read.
const VARIABLE: &str = "FLUSS_TIERED_READER";

/// How records are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Rows,
    Arrow,
}

/// What to read.
pub struct Reader {
    pub bootstrap: String,
    pub table: TablePath,
    pub face: Face,
    pub rows: i64,
    pub text_bytes: usize,
}

/// What has been read: the last id of each bucket, and all in sum.
#[derive(Default)]
struct Read {
    last: BTreeMap<TableBucket, (i64, i64)>,
    rows: i64,
    sum: i64,
}

/// A text of so many bytes that is hard to compress, and belongs to this id.
pub fn text(id: i64, bytes: usize) -> String {
    let mut state = id
        .cast_unsigned()
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Nothing can go wrong with a text.
        let _ = write!(text, "{:016x}", state ^ (state >> 29));
    }
    text.truncate(bytes);
    text
}

impl Reader {
    /// Reads all rows in a process of its own. Returns the most memory that it had at any time, in KiB.
    pub fn run_apart(&self) -> u64 {
        let told = [
            self.bootstrap.clone(),
            self.table.to_string(),
            if self.face == Face::Arrow { "arrow" } else { "rows" }.to_owned(),
            self.rows.to_string(),
            self.text_bytes.to_string(),
        ];
        let program = std::env::current_exe().unwrap();
        let done = Command::new(program)
            .env(VARIABLE, told.join(" "))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().parse().unwrap()
    }

    fn told(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let [bootstrap, table, face, rows, text_bytes] = words[..] else {
            panic!("{text}");
        };
        let (database, name) = table.split_once('.').unwrap();
        Self {
            bootstrap: bootstrap.to_owned(),
            table: TablePath::new(database, name),
            face: if face == "arrow" { Face::Arrow } else { Face::Rows },
            rows: rows.parse().unwrap(),
            text_bytes: text_bytes.parse().unwrap(),
        }
    }

    async fn read(&self) {
        let connection = fluss_client::connect(&format!("fluss://{}", self.bootstrap))
            .await
            .unwrap();
        let table = connection.table(&self.table).await.unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let mut read = Read::default();
        while read.rows < self.rows {
            match self.face {
                Face::Rows => self.poll(&scanner, &mut read).await,
                Face::Arrow => self.poll_arrow(&scanner, &mut read).await,
            }
        }
        assert_eq!(
            (read.rows, read.sum),
            (self.rows, self.rows * (self.rows - 1) / 2)
        );
    }

    async fn poll(&self, scanner: &LogScanner, read: &mut Read) {
        let records = scanner.poll(PATIENCE).await.unwrap();
        assert!(!records.is_empty());
        for (bucket, record) in records.iter() {
            let id = record.row.get(0).unwrap().unwrap();
            let found: &str = record.row.get(1).unwrap().unwrap();
            read.add(bucket, record.offset, id);
            assert!(id % 100 != 0 || found == text(id, self.text_bytes));
        }
    }

    async fn poll_arrow(&self, scanner: &LogScanner, read: &mut Read) {
        let batches = scanner.poll_arrow(PATIENCE).await.unwrap();
        assert!(!batches.is_empty());
        for scanned in batches {
            let ids = scanned.batch.column(0).as_primitive::<Int64Type>().values();
            let texts = scanned.batch.column(1).as_string::<i32>();
            for ((offset, id), found) in (scanned.base_offset..).zip(ids).zip(texts) {
                read.add(scanned.bucket, offset, *id);
                assert!(id % 100 != 0 || found == Some(&text(*id, self.text_bytes)));
            }
        }
    }
}

impl Read {
    fn add(&mut self, bucket: TableBucket, offset: i64, id: i64) {
        let (next, last) = self.last.entry(bucket).or_insert((0, -1));
        assert!(
            offset == *next && id > *last,
            "offset {offset} of {bucket:?} has {id}"
        );
        (*next, *last) = (offset + 1, id);
        self.rows += 1;
        self.sum += id;
    }
}

/// Reads, if this program was started for it.
pub fn read_if_told() -> Option<ExitCode> {
    let reader = Reader::told(&std::env::var(VARIABLE).ok()?);
    run(async {
        tokio::time::timeout(Duration::from_mins(5), reader.read())
            .await
            .unwrap();
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    println!("{}", peak.trim().trim_end_matches(" kB"));
    Some(ExitCode::SUCCESS)
}
