//! The fixed fields in front of each message: `rpc.md` §1.1 and §1.2.

use bytes::{Buf, BufMut, Bytes};

/// What precedes the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// The number of the API, known or not.
    pub api_key: i16,
    /// The version of the API; servers of 0.9.1 do not check it.
    pub api_version: i16,
    /// Chosen by the client and repeated in the response.
    pub request_id: i32,
}

impl RequestHeader {
    /// Takes the header off the front of a frame and leaves the body.
    pub fn decode(frame: &mut Bytes) -> Result<Self, HeaderError> {
        Ok(Self {
            api_key: take_i16(frame)?,
            api_version: take_i16(frame)?,
            request_id: take_i32(frame)?,
        })
    }
}

/// What precedes the body of a response, and says what the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseHeader {
    /// Type 0: the response message of the API follows.
    Success {
        /// The id of the request.
        request_id: i32,
    },
    /// Type 1: the request failed, an `ErrorResponse` follows.
    Error {
        /// The id of the request.
        request_id: i32,
    },
    /// Type 2: the server gives the whole connection up, an `ErrorResponse` follows.
    ServerFailure,
}

impl ResponseHeader {
    /// Takes the header off the front of a frame and leaves the body.
    pub fn decode(frame: &mut Bytes) -> Result<Self, HeaderError> {
        match frame.try_get_u8().map_err(|_| HeaderError::Short)? {
            0 => Ok(Self::Success {
                request_id: take_i32(frame)?,
            }),
            1 => Ok(Self::Error {
                request_id: take_i32(frame)?,
            }),
            2 => Ok(Self::ServerFailure),
            other => Err(HeaderError::ResponseType(other)),
        }
    }
}

/// A header of either direction.
pub trait Header {
    /// Appends the header.
    fn encode(&self, buf: &mut impl BufMut);

    /// How many bytes [`encode`](Self::encode) appends.
    fn encoded_len(&self) -> usize;
}

impl Header for RequestHeader {
    fn encode(&self, buf: &mut impl BufMut) {
        buf.put_i16(self.api_key);
        buf.put_i16(self.api_version);
        buf.put_i32(self.request_id);
    }

    fn encoded_len(&self) -> usize {
        8
    }
}

impl Header for ResponseHeader {
    fn encode(&self, buf: &mut impl BufMut) {
        match *self {
            Self::Success { request_id } => {
                buf.put_u8(0);
                buf.put_i32(request_id);
            }
            Self::Error { request_id } => {
                buf.put_u8(1);
                buf.put_i32(request_id);
            }
            Self::ServerFailure => buf.put_u8(2),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Success { .. } | Self::Error { .. } => 5,
            Self::ServerFailure => 1,
        }
    }
}

fn take_i16(frame: &mut Bytes) -> Result<i16, HeaderError> {
    frame.try_get_i16().map_err(|_| HeaderError::Short)
}

fn take_i32(frame: &mut Bytes) -> Result<i32, HeaderError> {
    frame.try_get_i32().map_err(|_| HeaderError::Short)
}

/// A frame that does not begin with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The frame ends inside its header.
    #[error("a frame ends inside its header")]
    Short,
    /// The frame is none of the three kinds of response.
    #[error("{0} is not a type of response")]
    ResponseType(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(header: &impl Header) -> Bytes {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        assert_eq!(bytes.len(), header.encoded_len());
        bytes.into()
    }

    #[test]
    fn headers_survive_the_wire_and_leave_the_body() {
        for request_id in [0, 1, -1, i32::MIN, i32::MAX] {
            let request = RequestHeader {
                api_key: 1016,
                api_version: 1,
                request_id,
            };
            let mut frame = Bytes::from([&encoded(&request)[..], b"body"].concat());
            assert_eq!(RequestHeader::decode(&mut frame), Ok(request));
            assert_eq!(frame, "body");
            for response in [
                ResponseHeader::Success { request_id },
                ResponseHeader::Error { request_id },
                ResponseHeader::ServerFailure,
            ] {
                let mut frame = Bytes::from([&encoded(&response)[..], b"body"].concat());
                assert_eq!(ResponseHeader::decode(&mut frame), Ok(response));
                assert_eq!(frame, "body");
            }
        }
    }

    #[test]
    fn a_frame_that_ends_inside_its_header_is_refused() {
        let request = encoded(&RequestHeader {
            api_key: 1000,
            api_version: 0,
            request_id: 7,
        });
        for len in 0..request.len() {
            assert_eq!(
                RequestHeader::decode(&mut request.slice(..len)),
                Err(HeaderError::Short)
            );
        }
        let response = encoded(&ResponseHeader::Error { request_id: 7 });
        for len in 0..response.len() {
            assert_eq!(
                ResponseHeader::decode(&mut response.slice(..len)),
                Err(HeaderError::Short)
            );
        }
    }

    #[test]
    fn other_types_of_response_are_refused() {
        for kind in 3..=u8::MAX {
            let mut frame = Bytes::from(vec![kind, 0, 0, 0, 1]);
            assert_eq!(
                ResponseHeader::decode(&mut frame),
                Err(HeaderError::ResponseType(kind))
            );
        }
    }
}
