//! What no client can be quicker than, as jobs like those of the clients (`benches/README.md`).

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use bench_peer::rows::{self, column};
use bench_peer::{Clock, Job, Measured, Outcome};
use fluss_client::types::{Datum, TablePath};
use fluss_core::row::{BucketFunction, KeyEncoder};
use fluss_rpc::proto;
use prost::Message;

/// How much is written to the loopback socket at once.
const CHUNK: usize = 1 << 20;
/// The number of `LOOKUP`.
const LOOKUP: u16 = 1017;
/// A row of the table as it lies in Arrow: three columns of 8 bytes, a name of 10 and its offset of 4.
const ROW_BYTES: i64 = 38;

fn main() -> Outcome<()> {
    bench_peer::serve("floor", &async |job: &Job| match job.op.as_str() {
        "encode" => encode(job),
        "decode" => decode(job),
        "loopback" => loopback(job),
        "round_trip" => round_trip(job),
        "lookup" => lookup(job).await,
        _ => bench_peer::not_offered(job),
    })
}

/// Arrow's own writer, compressing as the table does, into memory.
fn encode(job: &Job) -> Outcome<Measured> {
    let batches = rows::batches(job, &rows::schema())?;
    let mut out = Vec::new();
    let clock = Clock::start();
    for batch in &batches {
        out.clear();
        write_stream(batch, &mut out)?;
    }
    Ok(Measured::new(job.rows, &clock))
}

/// Arrow's own reader, from memory, with the sum of the ids.
fn decode(job: &Job) -> Outcome<Measured> {
    let batches = rows::batches(job, &rows::schema())?;
    let streams: Vec<Vec<u8>> = batches
        .iter()
        .map(|batch| {
            let mut out = Vec::new();
            write_stream(batch, &mut out).map(|()| out)
        })
        .collect::<Outcome<_>>()?;
    let mut sum = 0;
    let clock = Clock::start();
    for stream in streams {
        for batch in StreamReader::try_new(Cursor::new(stream), None)? {
            sum += batch?
                .column(column::ID)
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .sum::<i64>();
        }
    }
    Ok(Measured::new(job.rows, &clock).sum_id(sum))
}

fn write_stream(batch: &RecordBatch, out: &mut Vec<u8>) -> Outcome<()> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut writer = StreamWriter::try_new_with_options(out, batch.schema_ref(), options)?;
    writer.write(batch)?;
    Ok(writer.finish()?)
}

/// The rows' bytes, uncompressed, through a socket to this process and into memory.
fn loopback(job: &Job) -> Outcome<Measured> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    let total = usize::try_from(job.rows * ROW_BYTES)?;
    let clock = Clock::start();
    let sending = std::thread::spawn(move || {
        let chunk = vec![1; CHUNK];
        let mut left = total;
        while left > 0 {
            let part = chunk.get(..left.min(CHUNK)).unwrap_or(&chunk);
            sender.write_all(part)?;
            left -= part.len();
        }
        std::io::Result::Ok(())
    });
    let mut bytes = Vec::with_capacity(total);
    receiver.read_to_end(&mut bytes)?;
    sending.join().map_err(|_| "the sending thread panicked")??;
    Ok(Measured::new(job.rows, &clock))
}

/// A frame of nothing but its header: length 8, API key 1003, version 0, request id.
fn list_databases(id: i32) -> [u8; 12] {
    let [a, b, c, d] = id.to_be_bytes();
    [0, 0, 0, 8, 0x03, 0xEB, 0, 0, a, b, c, d]
}

/// One key in a `LOOKUP` frame over a bare socket to the leader of its bucket, one after the other.
async fn lookup(job: &Job) -> Outcome<Measured> {
    let connection = fluss_client::connect(&format!("fluss://{}", job.bootstrap)).await?;
    let table = connection
        .table(&TablePath::new(job.database.as_str(), job.table.as_str()))
        .await?;
    let info = table.info();
    let encoder = KeyEncoder::primary_key(info, info.row_type())?;
    let function = BucketFunction::from(info.lake_format());
    let requests = rows::keys(job).map(|key| -> Outcome<proto::LookupRequest> {
        let row = [key.into(), Datum::Null, Datum::Null, Datum::Null];
        let mut bytes = Vec::new();
        encoder.encode(&row, &mut bytes)?;
        Ok(proto::LookupRequest {
            table_id: info.id.get(),
            buckets_req: vec![proto::PbLookupReqForBucket {
                bucket_id: function.bucket(&bytes, info.bucket_count)?.get(),
                keys: vec![bytes.into()],
                ..Default::default()
            }],
            ..Default::default()
        })
    });
    let requests: Vec<_> = requests.collect::<Result<_, _>>()?;
    connection.close();
    let mut socket = TcpStream::connect(job.bootstrap.split(',').next_back().unwrap_or_default())?;
    socket.set_nodelay(true)?;
    let (mut taken, mut response) = (Vec::new(), Vec::new());
    let clock = Clock::start();
    for (id, request) in (0..).zip(requests) {
        let begun = Instant::now();
        let body = request.encode_to_vec();
        let mut frame = Vec::with_capacity(12 + body.len());
        frame.extend_from_slice(&u32::try_from(8 + body.len())?.to_be_bytes());
        frame.extend_from_slice(&LOOKUP.to_be_bytes());
        frame.extend_from_slice(&1_u16.to_be_bytes());
        frame.extend_from_slice(&i32::to_be_bytes(id));
        frame.extend_from_slice(&body);
        socket.write_all(&frame)?;
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        response.resize(u32::from_be_bytes(length) as usize, 0);
        socket.read_exact(&mut response)?;
        taken.push(begun.elapsed());
    }
    Ok(Measured::new(job.rows, &clock).calls(taken))
}

/// The smallest request there is, over a bare socket, one after the other.
fn round_trip(job: &Job) -> Outcome<Measured> {
    let mut socket = TcpStream::connect(job.bootstrap.split(',').next().unwrap_or_default())?;
    socket.set_nodelay(true)?;
    let mut taken = Vec::new();
    let clock = Clock::start();
    for id in 0..job.rows {
        let begun = Instant::now();
        socket.write_all(&list_databases(i32::try_from(id)?))?;
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let mut response = vec![0; u32::from_be_bytes(length) as usize];
        socket.read_exact(&mut response)?;
        taken.push(begun.elapsed());
    }
    Ok(Measured::new(job.rows, &clock).calls(taken))
}
