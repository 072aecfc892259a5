//! From encoded keys to buckets (`rows.md` §6).

use crate::ValueError;
use crate::id::BucketId;
use crate::types::LakeFormat;

/// How a key chooses its bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BucketFunction {
    /// Fluss's own.
    Fluss,
    /// As Apache Paimon does.
    Paimon,
    /// As Apache Iceberg does.
    Iceberg,
    /// As Apache Hudi does.
    Hudi,
}

impl From<Option<LakeFormat>> for BucketFunction {
    /// The function of tables that share the encoding of this lake.
    fn from(lake: Option<LakeFormat>) -> Self {
        match lake {
            None | Some(LakeFormat::Lance) => Self::Fluss,
            Some(LakeFormat::Paimon) => Self::Paimon,
            Some(LakeFormat::Iceberg) => Self::Iceberg,
            Some(LakeFormat::Hudi) => Self::Hudi,
        }
    }
}

impl BucketFunction {
    /// The bucket, of `count`, for an encoded bucket key.
    ///
    /// # Errors
    /// `count` is less than 1; the key is empty (not for Paimon); a key of Hudi has not 4 bytes.
    pub fn bucket(self, key: &[u8], count: i32) -> Result<BucketId, ValueError> {
        if count < 1 {
            return Err(ValueError::row(format!("a table of {count} buckets")));
        }
        if key.is_empty() && self != Self::Paimon {
            return Err(ValueError::row("the bucket key is empty"));
        }
        Ok(BucketId(match self {
            Self::Fluss => intmix(hash42(key)) % count,
            Self::Paimon => (hash42(key) % count).abs(),
            Self::Iceberg => (murmur3_32(key) & i32::MAX) % count,
            Self::Hudi => (hudi_hash(key)? & i32::MAX) % count,
        }))
    }
}

fn hudi_hash(key: &[u8]) -> Result<i32, ValueError> {
    <[u8; 4]>::try_from(key)
        .map(i32::from_be_bytes)
        .map_err(|_| ValueError::row(format!("a Hudi key of {} bytes", key.len())))
}

/// The hash of Fluss and Paimon: Murmur3 with seed 42, but each of the last 1 to 3 bytes is sign-extended and mixed like
/// a group of its own.
pub fn hash42(bytes: &[u8]) -> i32 {
    let (groups, tail) = bytes.as_chunks();
    let hash = mix_groups(42, groups);
    let hash = tail
        .iter()
        .fold(hash, |hash, &byte| mix_hash(hash, i32::from(byte as i8) as u32));
    finish(hash ^ bytes.len() as u32)
}

/// `MurmurHash3` x86 32 with seed 0: the hash of Iceberg.
pub fn murmur3_32(bytes: &[u8]) -> i32 {
    let (groups, tail) = bytes.as_chunks();
    let hash = mix_groups(0, groups);
    let last = tail
        .iter()
        .rev()
        .fold(0, |last, &byte| (last << 8) | u32::from(byte));
    finish(hash ^ mix_group(last) ^ bytes.len() as u32)
}

/// The second mixing of Fluss's function: 0 to `i32::MAX`.
pub const fn intmix(hash: i32) -> i32 {
    match finish(mix_hash(0, hash as u32) ^ 4).checked_abs() {
        Some(mixed) => mixed,
        None => 0,
    }
}

fn mix_groups(seed: u32, groups: &[[u8; 4]]) -> u32 {
    groups
        .iter()
        .fold(seed, |hash, group| mix_hash(hash, u32::from_le_bytes(*group)))
}

const fn mix_group(group: u32) -> u32 {
    group
        .wrapping_mul(0xCC9E_2D51)
        .rotate_left(15)
        .wrapping_mul(0x1B87_3593)
}

const fn mix_hash(hash: u32, group: u32) -> u32 {
    (hash ^ mix_group(group))
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xE654_6B64)
}

const fn finish(mut hash: u32) -> i32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85EB_CA6B);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xC2B2_AE35);
    (hash ^ (hash >> 16)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_sign_extended() {
        assert_eq!(hash42(&[0xba]), -1_771_758_016);
        assert_eq!(intmix(-1_771_758_016), 594_770_252);
    }

    #[test]
    fn keys_without_a_bucket_are_refused() {
        for function in [
            BucketFunction::Fluss,
            BucketFunction::Iceberg,
            BucketFunction::Hudi,
        ] {
            assert!(function.bucket(&[], 3).is_err());
        }
        assert_eq!(BucketFunction::Paimon.bucket(&[], 1024), Ok(BucketId(348)));
        assert!(BucketFunction::Fluss.bucket(&[1], 0).is_err());
        assert!(BucketFunction::Hudi.bucket(&[1], 3).is_err());
    }
}
