use super::*;

pub(in crate::cluster) fn node(id: i32, port: i32) -> proto::PbServerNode {
    proto::PbServerNode {
        node_id: id,
        host: "h".to_owned(),
        port,
        ..Default::default()
    }
}

pub(in crate::cluster) fn response(table_id: i64, leader: Option<i32>) -> proto::MetadataResponse {
    proto::MetadataResponse {
        coordinator_server: Some(node(0, 1)),
        tablet_servers: vec![node(0, 10), node(1, 11), node(2, 70_000)],
        table_metadata: vec![proto::PbTableMetadata {
            table_path: proto::PbTablePath {
                database_name: "d".to_owned(),
                table_name: "t".to_owned(),
            },
            table_id,
            bucket_metadata: vec![proto::PbBucketMetadata {
                leader_id: leader,
                ..Default::default()
            }],
            ..Default::default()
        }],
        partition_metadata: Vec::new(),
    }
}

#[test]
fn a_leader_is_known_while_it_is_alive() {
    let bucket = TableBucket::new(TableId(7), BucketId(0));
    let topology = Topology::default().merged(&response(7, Some(1)));
    assert_eq!(topology.leader(&bucket).unwrap().port, 11);
    assert_eq!(topology.generation(), 1);
    assert_eq!(topology.merged(&response(7, None)).leader(&bucket), None);
    assert_eq!(topology.merged(&response(7, Some(9))).leader(&bucket), None);
}

#[test]
fn a_server_whose_connection_was_lost_leads_nothing_until_somebody_tells() {
    let (bucket, path) = (
        TableBucket::new(TableId(7), BucketId(0)),
        TablePath::new("d", "t"),
    );
    let topology = Topology::default().merged(&response(7, Some(1)));
    let server = topology.leader(&bucket).unwrap().clone();
    assert!(!topology.doubts_any(&path, &[]));
    let doubting = topology.doubting(&server);
    assert_eq!(doubting.leader(&bucket), None);
    assert_eq!(doubting.last_leader(&bucket), Some(&server));
    assert!(doubting.doubts_any(&path, &[]));
    // Whoever tells of another table says nothing of this one.
    let mut other = response(8, Some(1));
    other.table_metadata[0].table_path.table_name = "u".to_owned();
    let told_of_another = doubting.merged(&other);
    assert_eq!(told_of_another.leader(&bucket), None);
    assert!(told_of_another.doubts_any(&path, &[]));
    let of_another = TableBucket::new(TableId(8), BucketId(0));
    assert_eq!(told_of_another.leader(&of_another), Some(&server));
    let told = told_of_another.merged(&response(7, Some(1)));
    assert_eq!(told.leader(&bucket), Some(&server));
    assert!(!told.doubts_any(&path, &[]));
}

#[test]
fn a_table_created_again_forgets_the_buckets_of_the_former() {
    let topology = Topology::default()
        .merged(&response(7, Some(1)))
        .merged(&response(8, Some(0)));
    assert_eq!(topology.tables.get(&TablePath::new("d", "t")), Some(&TableId(8)));
    assert_eq!(topology.leader(&TableBucket::new(TableId(7), BucketId(0))), None);
}

#[test]
fn a_dropped_partition_is_forgotten_and_one_created_again_has_another_id() {
    let (table, name) = (TableId(7), PartitionName::from("p".to_owned()));
    let partition = |id| proto::MetadataResponse {
        partition_metadata: vec![proto::PbPartitionMetadata {
            table_id: table.get(),
            partition_name: name.to_string(),
            partition_id: id,
            bucket_metadata: vec![proto::PbBucketMetadata {
                leader_id: Some(1),
                ..Default::default()
            }],
            bucket_count: None,
        }],
        ..response(7, None)
    };
    let bucket = |id| TableBucket::in_partition(table, PartitionId(id), BucketId(0));
    let topology = Topology::default().merged(&partition(3));
    assert_eq!(topology.partition(table, &name), Some(PartitionId(3)));
    assert!(topology.leader(&bucket(3)).is_some() && !topology.covers(&[PartitionId(4)]));
    let dropped = topology.without(&[PartitionId(3)]);
    assert!(dropped.is_gone(&bucket(3)) && dropped.covers(&[PartitionId(3)]));
    assert_eq!(
        (dropped.partition(table, &name), dropped.leader(&bucket(3))),
        (None, None)
    );
    let again = dropped.merged(&partition(4));
    assert_eq!(again.partition(table, &name), Some(PartitionId(4)));
    assert!(again.is_gone(&bucket(3)) && !again.is_gone(&bucket(4)));
}

#[test]
fn an_impossible_port_is_no_server() {
    let topology = Topology::default().merged(&response(7, Some(2)));
    assert_eq!(topology.tablets().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_fresh_for_a_moment() {
    assert!(!Topology::default().is_fresh());
    let topology = Topology::default().merged(&response(7, Some(1)));
    assert!(topology.is_fresh());
    tokio::time::advance(FRESH).await;
    assert!(!topology.is_fresh());
}
