use proptest::prelude::*;

use super::*;
use crate::api::{ApiKey, Request};
use crate::header::{RequestHeader, ResponseHeader};
use crate::proto::{
    ApiVersionsRequest, AuthenticateRequest, AuthenticateResponse, DatabaseExistsResponse, ErrorResponse,
    PbProduceLogReqForBucket, ProduceLogRequest,
};

const LIMIT: usize = 1 << 20;

fn bytes(mut segments: Segments) -> Bytes {
    segments.copy_to_bytes(segments.remaining())
}

fn request<R: Request>(message: &R, request_id: i32) -> Bytes {
    let header = RequestHeader {
        api_key: R::API.number(),
        api_version: 0,
        request_id,
    };
    bytes(encode(&header, message, LIMIT).unwrap())
}

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The only frame in `bytes`.
fn decode_one(bytes: &Bytes) -> Bytes {
    let mut buf = BytesMut::from(&bytes[..]);
    let frame = FrameDecoder::new(LIMIT).decode(&mut buf).unwrap().unwrap();
    assert!(buf.is_empty());
    frame
}

#[test]
fn requests_have_the_bytes_that_a_real_server_understood() {
    let versions = ApiVersionsRequest {
        client_software_name: "fluss".into(),
        client_software_version: "0.1.0".into(),
    };
    let literal = hex("00000016 03e8 0000 00000000 0a05666c757373 1205302e312e30");
    assert_eq!(request(&versions, 0), literal);
    let mut frame = decode_one(&literal);
    let header = RequestHeader::decode(&mut frame).unwrap();
    assert_eq!(ApiKey::from_number(header.api_key), Some(ApiKey::ApiVersions));
    assert_eq!(ApiVersionsRequest::decode(frame).unwrap(), versions);

    let token = Bytes::from_static(b"\0root\0root-secret");
    let authenticate = AuthenticateRequest {
        protocol: "PLAIN".into(),
        token,
    };
    let literal =
        hex("00000022 040e 0000 00000001 0a05504c41494e 1211 00 726f6f74 00 726f6f742d736563726574");
    assert_eq!(request(&authenticate, 1), literal);
}

#[test]
fn responses_have_the_bytes_that_a_real_server_sent() {
    fn check(header: ResponseHeader, message: &impl Message, literal: &Bytes) {
        assert_eq!(bytes(encode(&header, message, LIMIT).unwrap()), literal);
        assert_eq!(ResponseHeader::decode(&mut decode_one(literal)), Ok(header));
    }
    let header = ResponseHeader::Success { request_id: 1 };
    let message = AuthenticateResponse {
        challenge: Some(Bytes::new()),
    };
    check(header, &message, &hex("00000007 00 00000001 0a00"));

    let header = ResponseHeader::Success { request_id: 2 };
    let message = DatabaseExistsResponse { exists: false };
    check(header, &message, &hex("00000007 00 00000002 0800"));

    let header = ResponseHeader::Error { request_id: 3 };
    let text = "Database nope does not exist.";
    let message = ErrorResponse {
        error_code: 4,
        error_message: Some(text.into()),
    };
    let literal = [&hex("00000026 01 00000003 0804 121d")[..], text.as_bytes()].concat();
    check(header, &message, &literal.into());
}

#[test]
fn negative_numbers_take_ten_bytes() {
    let error = ErrorResponse {
        error_code: -1,
        error_message: None,
    };
    assert_eq!(error.encode_to_vec(), hex("08 ffffffffffffffffff01"));
}

#[test]
fn a_large_payload_is_copied_neither_out_nor_in() {
    let records = Bytes::from(vec![1; 1 << 16]);
    let message = ProduceLogRequest {
        buckets_req: vec![PbProduceLogReqForBucket {
            records: records.clone(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let header = RequestHeader {
        api_key: 1014,
        api_version: 0,
        request_id: 0,
    };
    let segments = encode(&header, &message, LIMIT).unwrap();
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    let count = segments.chunks_vectored(&mut slices);
    assert!(
        slices[..count]
            .iter()
            .any(|slice| slice.as_ptr() == records.as_ptr())
    );

    let mut frame = decode_one(&bytes(segments));
    let within = frame.as_ptr_range();
    RequestHeader::decode(&mut frame).unwrap();
    let decoded = ProduceLogRequest::decode(frame).unwrap();
    assert_eq!(decoded, message);
    assert!(within.contains(&decoded.buckets_req[0].records.as_ptr()));
}

#[test]
fn a_frame_that_is_too_large_is_refused_by_its_length_alone() {
    for (length, fits) in [
        (0, true),
        (96, true),
        (97, false),
        (i32::MAX, false),
        (-1, false),
        (i32::MIN, false),
    ] {
        let mut buf = BytesMut::from(&length.to_be_bytes()[..]);
        let mut decoder = FrameDecoder::new(100);
        assert_eq!(decoder.decode(&mut buf).is_ok(), fits, "{length}");
        assert_eq!(decoder.reserve(&mut buf).is_ok(), fits, "{length}");
    }
}

#[test]
fn a_message_that_is_too_large_is_refused_before_it_is_encoded() {
    let header = ResponseHeader::Success { request_id: 0 };
    let message = AuthenticateResponse {
        challenge: Some(vec![0; 100].into()),
    };
    let frame_bytes = 4 + 5 + 2 + 100;
    assert_eq!(
        encode(&header, &message, frame_bytes).unwrap().remaining(),
        frame_bytes
    );
    let limit = frame_bytes - 1;
    assert_eq!(
        encode(&header, &message, limit).unwrap_err(),
        FrameError::TooLarge { bytes: 111, limit }
    );
}

#[test]
fn memory_grows_as_bytes_arrive() {
    let decoder = FrameDecoder::new(usize::MAX);
    let mut buf = BytesMut::from(&i32::MAX.to_be_bytes()[..]);
    for _ in 0..100 {
        decoder.reserve(&mut buf).unwrap();
        let (arrived, room) = (buf.len(), buf.capacity());
        assert!(room <= 2 * (arrived + READ_BYTES), "{arrived} {room}");
        buf.extend_from_slice(&[0; 10_000]);
    }
}

#[test]
fn a_frame_as_large_as_one_before_has_exact_room() {
    let mut decoder = FrameDecoder::new(usize::MAX);
    for (length, trusted) in [(1 << 20, 1 << 20), (64 << 20, TRUSTED_BYTES)] {
        let frame = [&i32::to_be_bytes(length)[..], &vec![0; length as usize]].concat();
        decoder.decode(&mut BytesMut::from(&frame[..])).unwrap().unwrap();
        let mut buf = BytesMut::from(&i32::to_be_bytes(length)[..]);
        decoder.reserve(&mut buf).unwrap();
        assert_eq!(buf.capacity(), trusted + LENGTH_BYTES);
    }
}

proptest! {
    #[test]
    fn frames_are_found_however_the_stream_is_cut(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
        step in 1..20_usize,
    ) {
        let stream: Vec<u8> = bodies.iter()
            .flat_map(|body| [&(body.len() as i32).to_be_bytes()[..], body].concat())
            .collect();
        let mut decoder = FrameDecoder::new(LIMIT);
        let (mut buf, mut frames) = (BytesMut::new(), Vec::new());
        for piece in stream.chunks(step) {
            decoder.reserve(&mut buf).unwrap();
            buf.extend_from_slice(piece);
            while let Some(frame) = decoder.decode(&mut buf).unwrap() {
                frames.push(frame.to_vec());
            }
        }
        prop_assert_eq!(frames, bodies);
        prop_assert!(buf.is_empty());
    }

    #[test]
    fn a_truncated_frame_is_incomplete(body in prop::collection::vec(any::<u8>(), 0..50)) {
        let frame = [&(body.len() as i32).to_be_bytes()[..], &body].concat();
        for len in 0..frame.len() {
            let mut buf = BytesMut::from(&frame[..len]);
            prop_assert_eq!(FrameDecoder::new(LIMIT).decode(&mut buf), Ok(None));
            prop_assert_eq!(buf.len(), len);
        }
    }
}

proptest! {
    #[test]
    fn flipped_bits_in_a_frame_are_harmless(body in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut stream = [&(body.len() as i32).to_be_bytes()[..], &body].concat();
        for bit in 0..stream.len() * 8 {
            stream[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Some(frame)) = FrameDecoder::new(LIMIT).decode(&mut BytesMut::from(&stream[..])) {
                let _ = RequestHeader::decode(&mut frame.clone());
                let _ = ResponseHeader::decode(&mut frame.clone());
            }
            stream[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
