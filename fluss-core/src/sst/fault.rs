//! What can be wrong with a table, and numbers in it.

use crate::error::DecodeError;

/// What is wrong with a table.
pub(super) struct Fault(String);

pub(super) fn fault(reason: impl Into<String>) -> Fault {
    Fault(reason.into())
}

impl Fault {
    pub(super) fn of(self, table: &str) -> DecodeError {
        DecodeError::new("snapshot", format!("{table}: {}", self.0))
    }
}

/// Takes an unsigned LEB128 number off the front.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(|| fault("a number is cut"))?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(fault("a number of more than 10 bytes"))
}
