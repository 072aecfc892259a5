//! The primitives of `rows.md` §1: varints, null bits, and a reader that never goes beyond its bytes.

use crate::DecodeError;

/// Appends the 32-bit pattern as a varint: 1 to 5 bytes.
pub(super) fn put_varint32(out: &mut Vec<u8>, value: i32) {
    put_varint(out, u64::from(value as u32));
}

/// Appends the 64-bit pattern as a varint: 1 to 10 bytes.
pub(super) fn put_varint64(out: &mut Vec<u8>, value: i64) {
    put_varint(out, value as u64);
}

fn put_varint(out: &mut Vec<u8>, mut bits: u64) {
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Overwrites bytes that `out` already has; beyond its end nothing happens.
pub(super) fn patch(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Pads with zeros to a multiple of 8, counted from `base`.
pub(super) fn pad_to_8(out: &mut Vec<u8>, base: usize) {
    out.resize(base + (out.len() - base).next_multiple_of(8), 0);
}

/// Sets bit `index` of the null bits that begin at `at`.
pub(super) fn set_bit(out: &mut [u8], at: usize, index: usize) {
    if let Some(byte) = out.get_mut(at + index / 8) {
        *byte |= 1 << (index % 8);
    }
}

/// Whether bit `index` is set; bits beyond the end are not.
pub(super) fn has_bit(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8)
        .is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

/// Takes bytes from the front.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// `what` names the structure in errors.
    pub(super) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| DecodeError::truncated(self.what, length, self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| DecodeError::truncated(self.what, N, self.rest.len()))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn varint32(&mut self) -> Result<i32, DecodeError> {
        let bits = self.varint()?;
        u32::try_from(bits)
            .map(|bits| bits as i32)
            .map_err(|_| self.error("a varint of more than 32 bits"))
    }

    pub(super) fn varint64(&mut self) -> Result<i64, DecodeError> {
        self.varint().map(|bits| bits as i64)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut bits = 0;
        let mut rest = self.rest.iter();
        for shift in (0..u64::BITS).step_by(7) {
            let Some(byte) = rest.next() else {
                return Err(DecodeError::truncated(self.what, 1, 0));
            };
            let group = u64::from(byte & 0x7f);
            if (group << shift) >> shift != group {
                break;
            }
            bits |= group << shift;
            if byte & 0x80 == 0 {
                self.rest = rest.as_slice();
                return Ok(bits);
            }
        }
        Err(self.error("a varint of more than 64 bits"))
    }

    /// Bytes with their length before them as a varint.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint32()?;
        self.take(self.length(length)?)
    }

    /// A length as it stands on the wire: never negative.
    pub(super) fn length(&self, length: i32) -> Result<usize, DecodeError> {
        usize::try_from(length).map_err(|_| self.error(format!("a length of {length}")))
    }

    /// What has not been taken.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Complains of bytes that have not been taken.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.error(format!("{left} bytes too many"))),
        }
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> DecodeError {
        DecodeError::new(self.what, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint64(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint64(&mut out, value);
        out
    }

    #[test]
    fn varints_hold_bit_patterns() {
        assert_eq!(varint64(127), [0x7f]);
        assert_eq!(varint64(128), [0x80, 0x01]);
        assert_eq!(varint64(-1).len(), 10);
        for value in [0, 1, -1, i64::MIN, i64::MAX, 1 << 35] {
            assert_eq!(Reader::new("varint", &varint64(value)).varint64(), Ok(value));
        }
        let mut out = Vec::new();
        put_varint32(&mut out, -1);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(Reader::new("varint", &out).varint32(), Ok(-1));
    }

    #[test]
    fn varints_that_are_too_long_are_refused() {
        let mut eleven = vec![0x80; 10];
        eleven.push(0);
        assert!(Reader::new("varint", &eleven).varint64().is_err());
        let mut too_wide = vec![0xff; 9];
        too_wide.push(0x02);
        assert!(Reader::new("varint", &too_wide).varint64().is_err());
        assert!(Reader::new("varint", &varint64(1 << 32)).varint32().is_err());
        assert!(Reader::new("varint", &[0x80]).varint32().is_err());
    }
}
