//! A reader of ZooKeeper, where the servers keep what they agree on: two requests over a raw socket, which are less than
//! the dependencies of a client would be.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::probe::{malformed, read_frame};

/// How long ZooKeeper remembers a reader that has gone; the longest that it grants with ticks of 500 ms.
const SESSION_MS: u32 = 10_000;
const PASSWORD: [u8; 16] = [0; 16];
const GET_DATA: [u8; 4] = 4_u32.to_be_bytes();
const NO_WATCH: [u8; 1] = [0];
const NO_NODE: i32 = -101;

/// A reader's session. It has to be read from more often than every ten seconds.
pub(crate) struct Session {
    stream: TcpStream,
    requests: u32,
}

impl Session {
    /// Begins a session; no step of it waits longer than `timeout`.
    pub(crate) fn open(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        // Version 0, nothing seen yet, the session's timeout, no session to go on with.
        stream.write_all(&frame(&[
            &[0; 12],
            &SESSION_MS.to_be_bytes(),
            &[0; 8],
            &length(&PASSWORD),
            &PASSWORD,
        ]))?;
        read_frame(&mut stream)?;
        Ok(Self { stream, requests: 0 })
    }

    /// The data of a node; [`io::ErrorKind::NotFound`] if there is no such node.
    pub(crate) fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.requests += 1;
        let request = self.requests.to_be_bytes();
        self.stream.write_all(&frame(&[
            &request,
            &GET_DATA,
            &length(path.as_bytes()),
            path.as_bytes(),
            &NO_WATCH,
        ]))?;
        let answer = read_frame(&mut self.stream)?;
        let (error, data) = parse(request, &answer).ok_or_else(malformed)?;
        match error {
            0 => Ok(data.to_owned()),
            NO_NODE => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("ZooKeeper has no {path}"),
            )),
            code => Err(io::Error::other(format!("ZooKeeper refuses {path} with {code}"))),
        }
    }
}

/// The error code and the data of an answer: request, transaction (8 bytes), error, and of an answer without error the
/// data behind their length.
fn parse(request: [u8; 4], answer: &[u8]) -> Option<(i32, &[u8])> {
    let rest = answer.strip_prefix(&request)?;
    let (_transaction, rest) = rest.split_first_chunk::<8>()?;
    let (error, rest) = rest.split_first_chunk()?;
    match i32::from_be_bytes(*error) {
        0 => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            Some((0, rest.get(..length)?))
        }
        code => Some((code, &[])),
    }
}

/// The parts in a row, behind their length.
fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&length(&body), body.as_slice()].concat()
}

/// A length on the wire. Nothing here is longer than a path.
fn length(bytes: &[u8]) -> [u8; 4] {
    (bytes.len() as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 4] = [0, 0, 0, 7];

    fn answer(error: i32, rest: &[u8]) -> Vec<u8> {
        [&REQUEST, [0; 8].as_slice(), &error.to_be_bytes(), rest].concat()
    }

    #[test]
    fn reads_data_and_errors() {
        let found = answer(0, &[0, 0, 0, 2, b'h', b'i', 9, 9]);
        assert_eq!(parse(REQUEST, &found), Some((0, b"hi".as_slice())));
        let missing = answer(NO_NODE, &[]);
        assert_eq!(parse(REQUEST, &missing), Some((NO_NODE, [].as_slice())));
    }

    #[test]
    fn refuses_what_is_cut_and_what_answers_another_request() {
        let found = answer(0, &[0, 0, 0, 2, b'h', b'i']);
        for length in 0..found.len() {
            assert_eq!(parse(REQUEST, &found[..length]), None, "cut at {length}");
        }
        assert_eq!(parse([0, 0, 0, 8], &found), None);
    }
}
