//! How much a request lists, counted in its bytes: before it is decoded, and memory is taken for each entry.

use std::sync::LazyLock;

use super::ApiKey;

/// What a field of a message is, as far as it repeats something.
enum Kind {
    /// A message, by its place among the shapes, and whether it repeats.
    Message(usize, bool),
    /// Strings or bytes that repeat.
    Pieces,
    /// Numbers that repeat, packed or not.
    Numbers,
}

/// The name of a message, and its fields that are or hold something that repeats.
struct Shape {
    name: &'static str,
    fields: &'static [(u64, Kind)],
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// The shapes of the requests, in the order of [`ApiKey::ALL`].
static REQUESTS: LazyLock<Vec<Option<&'static Shape>>> = LazyLock::new(|| {
    let shape = |api: &ApiKey| {
        let name = api.request_name()?;
        let place = SHAPES.binary_search_by(|shape| shape.name.cmp(name)).ok()?;
        SHAPES.get(place)
    };
    ApiKey::ALL.iter().map(shape).collect()
});

/// Deeper than any message is.
const DEEPEST: usize = 8;

impl ApiKey {
    /// Counts what a request lists: buckets, keys, columns, whatever repeats in it, at any depth. What cannot be read is
    /// not counted; decoding refuses it.
    pub fn entries(self, request: &[u8]) -> usize {
        let shape = REQUESTS.get(self.place()).copied().flatten();
        shape.map_or(0, |shape| count(shape, request, DEEPEST))
    }
}

fn count(shape: &Shape, message: &[u8], depth: usize) -> usize {
    let (mut rest, mut entries) = (message, 0);
    if shape.fields.is_empty() || depth == 0 {
        return 0;
    }
    while let Some(field) = Field::take(&mut rest) {
        let kind = shape.fields.iter().find(|(number, _)| *number == field.number);
        entries += match (kind.map(|(_, kind)| kind), field.bytes) {
            (Some(Kind::Message(place, repeats)), Some(bytes)) => {
                let inner = SHAPES
                    .get(*place)
                    .map_or(0, |shape| count(shape, bytes, depth - 1));
                usize::from(*repeats) + inner
            }
            (Some(Kind::Numbers), Some(packed)) => packed.len(),
            (Some(Kind::Pieces), Some(_)) | (Some(Kind::Numbers), None) => 1,
            _ => 0,
        };
    }
    entries
}

/// A field as it is on the wire.
struct Field<'m> {
    number: u64,
    /// What it holds, if that has a length.
    bytes: Option<&'m [u8]>,
}

impl<'m> Field<'m> {
    /// Takes the next field off the front; nothing if there is none, or none that can be read.
    fn take(rest: &mut &'m [u8]) -> Option<Self> {
        const VARINT: u64 = 0;
        const EIGHT_BYTES: u64 = 1;
        const LENGTH: u64 = 2;
        const FOUR_BYTES: u64 = 5;
        let tag = varint(rest)?;
        let number = tag >> 3;
        let mut bytes = None;
        match tag & 7 {
            VARINT => drop(varint(rest)?),
            EIGHT_BYTES => drop(take(rest, 8)?),
            LENGTH => {
                let length = usize::try_from(varint(rest)?).ok()?;
                bytes = Some(take(rest, length)?);
            }
            FOUR_BYTES => drop(take(rest, 4)?),
            _ => return None,
        }
        Some(Self { number, bytes })
    }
}

fn take<'m>(rest: &mut &'m [u8], length: usize) -> Option<&'m [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::api::Request;
    use crate::proto;

    fn entries<R: Request>(request: &R) -> usize {
        R::API.entries(&request.encode_to_vec())
    }

    #[test]
    fn whatever_repeats_is_counted_at_any_depth() {
        let keys = |count| proto::PbLookupReqForBucket {
            keys: vec![Bytes::new(); count],
            ..Default::default()
        };
        let look_up = proto::LookupRequest {
            buckets_req: vec![keys(3), keys(0), keys(4)],
            ..Default::default()
        };
        assert_eq!(entries(&look_up), 3 + 7);
        let fetch = proto::FetchLogRequest {
            tables_req: vec![proto::PbFetchLogReqForTable {
                projected_fields: vec![1, 2],
                buckets_req: vec![proto::PbFetchLogReqForBucket::default(); 5],
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(entries(&fetch), 1 + 2 + 5);
        let offsets = proto::ListOffsetsRequest {
            bucket_id: vec![0; 6],
            ..Default::default()
        };
        assert_eq!(entries(&offsets), 6);
        let metadata = proto::MetadataRequest {
            table_path: vec![proto::PbTablePath::default(); 2],
            partitions_id: vec![1, 2, 3],
            ..Default::default()
        };
        assert_eq!(entries(&metadata), 2 + 3);
    }

    #[test]
    fn numbers_are_counted_packed_or_not() {
        let unpacked = [0x18, 1, 0x18, 2];
        assert_eq!(ApiKey::GetMetadata.entries(&unpacked), 2);
    }

    #[test]
    fn what_does_not_repeat_is_not_counted() {
        let put = proto::PutKvRequest {
            buckets_req: vec![proto::PbPutKvReqForBucket {
                records: vec![7; 1_000].into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(entries(&put), 1);
        assert_eq!(entries(&proto::ListDatabasesRequest::default()), 0);
    }

    #[test]
    fn bytes_that_are_no_message_are_harmless() {
        for bytes in [
            &[0xff; 20][..],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0x12, 5, 1],
            &[7],
        ] {
            for api in ApiKey::ALL {
                assert_eq!(api.entries(bytes), 0, "{api}");
            }
        }
    }

    #[test]
    fn every_request_has_a_shape() {
        for (api, shape) in ApiKey::ALL.iter().zip(&*REQUESTS) {
            assert_eq!(api.request_name().is_some(), shape.is_some(), "{api}");
        }
    }
}
