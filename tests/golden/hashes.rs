//! `hashes.json`.

use fluss_core::row::{BucketFunction, hash42, intmix};

use crate::vectors::{check_buckets, each, hex};

#[test]
fn hashes_choose_buckets() {
    each("hashes.json", 54, |vector| {
        let bytes = hex(&vector["bytes"]);
        let hash = hash42(&bytes);
        assert_eq!(i64::from(hash), vector["murmur_seed42"].as_i64().unwrap());
        assert_eq!(
            i64::from(intmix(hash)),
            vector["int_mix_of_murmur"].as_i64().unwrap()
        );
        check_buckets(BucketFunction::Fluss, &bytes, &vector["fluss_buckets"]);
        check_buckets(BucketFunction::Paimon, &bytes, &vector["paimon_buckets"]);
        check_buckets(BucketFunction::Iceberg, &bytes, &vector["iceberg_buckets"]);
    });
}
