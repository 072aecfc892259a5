//! Two requests over a raw socket: just enough of the protocol to see whom and what a server knows (`rpc.md` §1).

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// length 8, api key 1012, version 0, request id 1, no body.
const GET_METADATA: [u8; 12] = [0, 0, 0, 8, 0x03, 0xf4, 0, 0, 0, 0, 0, 1];
/// length 15, api key 1004, version 0, request id 1, `database_name` (field 1) "fluss".
const DATABASE_EXISTS: [u8; 19] = *b"\0\0\0\x0f\x03\xec\0\0\0\0\0\x01\x0a\x05fluss";
const RESPONSE_HEADER: usize = 5;
const LARGEST_ANSWER: usize = 1 << 20;

/// The servers that a server names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Whether it knows a coordinator.
    pub coordinator: bool,
    /// The ids of the tablet servers that it holds for alive.
    pub tablet_servers: BTreeSet<u32>,
}

/// Asks the server at `address` whom it knows; no step waits longer than `timeout`.
///
/// # Errors
/// When the server does not answer, or answers with an error or with something else.
pub fn members(address: SocketAddr, timeout: Duration) -> io::Result<Members> {
    let body = ask(address, timeout, &GET_METADATA)?;
    scan(&body).ok_or_else(malformed)
}

/// Asks the server at `address` whether the database `fluss` is there.
pub(crate) fn has_default_database(address: SocketAddr, timeout: Duration) -> io::Result<bool> {
    let body = ask(address, timeout, &DATABASE_EXISTS)?;
    match field(&mut body.as_slice()) {
        Some((1, Value::Number(exists))) => Ok(exists == 1),
        _ => Err(malformed()),
    }
}

/// The body of the answer to a request.
fn ask(address: SocketAddr, timeout: Duration, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request)?;
    let mut answer = read_frame(&mut stream)?;
    match answer.split_at_checked(RESPONSE_HEADER) {
        Some(([0, ..], _)) => Ok(answer.split_off(RESPONSE_HEADER)),
        _ => Err(malformed()),
    }
}

pub(crate) fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LARGEST_ANSWER {
        return Err(malformed());
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

pub(crate) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an answer to the request")
}

/// `MetadataResponse`: 1 = `coordinator_server`, 2 = `tablet_servers`.
fn scan(mut body: &[u8]) -> Option<Members> {
    let mut members = Members::default();
    while !body.is_empty() {
        match field(&mut body)? {
            (1, Value::Bytes(_)) => members.coordinator = true,
            (2, Value::Bytes(node)) => {
                members.tablet_servers.insert(node_id(node)?);
            }
            _ => {}
        }
    }
    Some(members)
}

/// `PbServerNode`: 1 = `node_id`.
fn node_id(mut node: &[u8]) -> Option<u32> {
    while !node.is_empty() {
        if let (1, Value::Number(id)) = field(&mut node)? {
            return u32::try_from(id).ok();
        }
    }
    None
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes one protobuf field off the front; groups and fixed-width numbers do not occur in these messages.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = varint(bytes)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(bytes)?),
        2 => Value::Bytes(length_delimited(bytes)?),
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn length_delimited<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(bytes)?).ok()?;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_coordinator_and_tablet_servers() {
        let body = [0x0a, 2, 0x08, 0, 0x12, 2, 0x08, 2, 0x12, 2, 0x08, 1];
        let members = scan(&body).expect("well-formed");
        assert_eq!(
            members,
            Members {
                coordinator: true,
                tablet_servers: [1, 2].into()
            }
        );
    }

    #[test]
    fn refuses_every_truncation_that_cuts_a_field() {
        let body = [0x0a, 2, 0x08, 0, 0x12, 2, 0x08, 2];
        for length in [1, 2, 3, 5, 6, 7] {
            assert_eq!(scan(&body[..length]), None, "cut at {length}");
        }
    }
}
