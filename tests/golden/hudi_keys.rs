//! `hudi_keys_1_0_snapshot.json`.

use fluss_core::row::{BucketFunction, KeyFormat};

use crate::keys::encode;
use crate::vectors::{check_buckets, each, hex};

#[test]
fn hudi_keys_choose_their_buckets() {
    each("hudi_keys_1_0_snapshot.json", 17, |vector| {
        let key = encode(vector, KeyFormat::Hudi).expect("refused");
        assert_eq!(key, hex(&vector["key"]));
        check_buckets(BucketFunction::Hudi, &key, &vector["buckets"]);
    });
}
