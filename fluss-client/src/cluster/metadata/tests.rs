use bytes::{Buf, BytesMut};
use fluss_rpc::api::{ApiKey, Request};
use fluss_rpc::frame::{DEFAULT_MAX_REQUEST_BYTES, FrameDecoder, encode};
use fluss_rpc::header::{RequestHeader, ResponseHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::ClientOptions;

fn node(id: i32, port: i32) -> proto::PbServerNode {
    proto::PbServerNode {
        node_id: id,
        host: "h".to_owned(),
        port,
        ..Default::default()
    }
}

fn response(table_id: i64, leader: Option<i32>) -> proto::MetadataResponse {
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

async fn listen() -> (TcpListener, ServerAddress) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    (listener, address)
}

/// Takes the next request.
async fn receive(stream: &mut TcpStream, buf: &mut BytesMut) -> RequestHeader {
    loop {
        let mut decoder = FrameDecoder::new(DEFAULT_MAX_REQUEST_BYTES);
        if let Some(mut frame) = decoder.decode(buf).unwrap() {
            return RequestHeader::decode(&mut frame).unwrap();
        }
        assert_ne!(stream.read_buf(buf).await.unwrap(), 0, "the client hung up");
    }
}

/// Answers the next request, which must be of this kind.
async fn answer<R: Request>(stream: &mut TcpStream, buf: &mut BytesMut, message: &R::Response) {
    let header = receive(stream, buf).await;
    respond::<R>(stream, &header, message).await;
}

/// Answers a request, which must be of this kind.
async fn respond<R: Request>(stream: &mut TcpStream, header: &RequestHeader, message: &R::Response) {
    assert_eq!(header.api_key, R::API.number());
    let request_id = header.request_id;
    let success = ResponseHeader::Success { request_id };
    let mut frame = encode(&success, message, DEFAULT_MAX_REQUEST_BYTES).unwrap();
    let bytes = frame.copy_to_bytes(frame.remaining());
    stream.write_all(&bytes).await.unwrap();
}

/// What a server says that has metadata.
fn versions() -> proto::ApiVersionsResponse {
    proto::ApiVersionsResponse {
        api_versions: vec![proto::PbApiVersion {
            api_key: ApiKey::GetMetadata.number().into(),
            min_version: 0,
            max_version: 0,
        }],
        ..Default::default()
    }
}

/// Serves one client, with these answers when it asks for metadata.
async fn serve(listener: TcpListener, answers: impl IntoIterator<Item = proto::MetadataResponse>) {
    let mut stream = listener.accept().await.unwrap().0;
    let mut buf = BytesMut::new();
    answer::<proto::ApiVersionsRequest>(&mut stream, &mut buf, &versions()).await;
    for response in answers {
        answer::<proto::MetadataRequest>(&mut stream, &mut buf, &response).await;
    }
}

/// Metadata that begins with these servers, and is very patient with each.
fn metadata<const N: usize>(bootstrap: [&ServerAddress; N]) -> Metadata {
    let bootstrap: Vec<_> = bootstrap.into_iter().cloned().collect();
    let mut options = ClientOptions::new(bootstrap.clone());
    options.connect_timeout = Duration::from_secs(600);
    Metadata::new(Arc::new(Servers::new(&mut options)), bootstrap)
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_while_another_answers() {
    let (_silent, silent_address) = listen().await;
    let (listener, address) = listen().await;
    let metadata = metadata([&silent_address, &address]);
    let known = async {
        tokio::join!(
            metadata.refresh(None, &[], 0),
            serve(listener, [response(7, Some(1))])
        )
        .0
    };
    let known = tokio::time::timeout(Duration::from_secs(60), known).await;
    let known = known.expect("the second is asked").unwrap();
    assert_eq!(known.tablets().len(), 2);
}

#[tokio::test]
async fn a_new_connection_begins_with_the_question() {
    let (listener, address) = listen().await;
    let metadata = metadata([&address]);
    let server = async {
        let (mut stream, mut buf) = (listener.accept().await.unwrap().0, BytesMut::new());
        // Both have come before any is answered.
        let first = receive(&mut stream, &mut buf).await;
        let second = receive(&mut stream, &mut buf).await;
        respond::<proto::ApiVersionsRequest>(&mut stream, &first, &versions()).await;
        respond::<proto::MetadataRequest>(&mut stream, &second, &response(7, Some(1))).await;
    };
    let known = async { tokio::join!(metadata.refresh(None, &[], 0), server).0 };
    let known = tokio::time::timeout(Duration::from_secs(60), known).await;
    assert_eq!(known.expect("the question came").unwrap().tablets().len(), 2);
}

#[tokio::test]
async fn who_is_connected_is_asked_before_servers_that_are_not() {
    let (bootstrap, address) = listen().await;
    let (tablet, tablet_address) = listen().await;
    let named = proto::MetadataResponse {
        tablet_servers: vec![proto::PbServerNode {
            host: tablet_address.host.clone(),
            ..node(0, tablet_address.port.into())
        }],
        ..Default::default()
    };
    let metadata = metadata([&address]);
    let asked = async {
        let known = metadata.refresh(None, &[], 0).await.unwrap();
        metadata.refresh(None, &[], known.generation()).await.unwrap();
    };
    tokio::join!(asked, serve(bootstrap, [named.clone(), named]));
    let came = tablet.into_std().unwrap().accept();
    assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn when_no_server_can_be_asked_a_failure_is_told() {
    let (first, first_address) = listen().await;
    let (last, last_address) = listen().await;
    drop((first, last));
    let metadata = metadata([&first_address, &last_address]);
    let error = metadata.refresh(None, &[], 0).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error}");
    let asked = error.context().server.as_ref();
    assert!(
        asked == Some(&first_address) || asked == Some(&last_address),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_fresh_for_a_moment() {
    assert!(!Topology::default().is_fresh());
    let topology = Topology::default().merged(&response(7, Some(1)));
    assert!(topology.is_fresh());
    tokio::time::advance(FRESH).await;
    assert!(!topology.is_fresh());
}
