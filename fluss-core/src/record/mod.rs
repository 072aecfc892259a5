//! Record batches: what logs, fetches and writes are made of.

pub mod kv;
pub mod log;
mod unsealed;
pub mod value;

pub use unsealed::UnsealedBatch;

use crate::error::DecodeError;

/// Takes bytes off the front of a structure, and says what it was when they are missing.
struct Take<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Take<'a> {
    const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (front, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| DecodeError::truncated(self.what, N, self.rest.len()))?;
        self.rest = rest;
        Ok(*front)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| DecodeError::truncated(self.what, count, self.rest.len()))?;
        self.rest = rest;
        Ok(front)
    }

    fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }

    /// A number of bytes or of things, which is not negative.
    fn count(&mut self) -> Result<usize, DecodeError> {
        let number = self.i32()?;
        usize::try_from(number).map_err(|_| DecodeError::new(self.what, format!("{number} is no count")))
    }

    /// An unsigned LEB128 number of at most 32 bits.
    fn varint(&mut self) -> Result<usize, DecodeError> {
        let mut number = 0_u32;
        for shift in (0..32).step_by(7) {
            let [byte] = self.array()?;
            number |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number as usize);
            }
        }
        Err(DecodeError::new(self.what, "a length of more than 5 bytes"))
    }
}
