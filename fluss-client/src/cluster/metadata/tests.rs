use bytes::{Buf, BytesMut};
use fluss_rpc::api::{ApiKey, Request};
use fluss_rpc::frame::{DEFAULT_MAX_REQUEST_BYTES, FrameDecoder, encode};
use fluss_rpc::header::{RequestHeader, ResponseHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::topology::tests::{node, response};
use super::*;
use crate::config::ClientOptions;

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

/// Refuses a request as a coordinator of 0.9.1 does that is not ready.
async fn refuse(stream: &mut TcpStream, request_id: i32) {
    let error = proto::ErrorResponse {
        error_code: ErrorCode::UNKNOWN_SERVER_ERROR.number(),
        error_message: Some("not initialized yet".to_owned()),
    };
    let header = ResponseHeader::Error { request_id };
    let mut frame = encode(&header, &error, DEFAULT_MAX_REQUEST_BYTES).unwrap();
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

/// Serves one client, with these answers when it asks for metadata. The connection is open until what is returned is dropped.
async fn serve(
    listener: &TcpListener,
    answers: impl IntoIterator<Item = proto::MetadataResponse>,
) -> TcpStream {
    let mut stream = listener.accept().await.unwrap().0;
    let mut buf = BytesMut::new();
    answer::<proto::ApiVersionsRequest>(&mut stream, &mut buf, &versions()).await;
    for response in answers {
        answer::<proto::MetadataRequest>(&mut stream, &mut buf, &response).await;
    }
    stream
}

/// Metadata that names one tablet server.
fn naming(id: i32, address: &ServerAddress) -> proto::MetadataResponse {
    proto::MetadataResponse {
        tablet_servers: vec![proto::PbServerNode {
            host: address.host.clone(),
            ..node(id, address.port.into())
        }],
        ..Default::default()
    }
}

/// Metadata that begins with these servers, and is very patient with each.
fn metadata<const N: usize>(bootstrap: [&ServerAddress; N]) -> Metadata {
    let bootstrap: Vec<_> = bootstrap.into_iter().cloned().collect();
    let mut options = ClientOptions::new(bootstrap.clone());
    options.connect_timeout = Duration::from_mins(10);
    let known = Arc::default();
    Metadata::new(Arc::new(Servers::new(&mut options, &known)), known, &options)
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_while_another_answers() {
    let (_silent, silent_address) = listen().await;
    let (listener, address) = listen().await;
    let metadata = metadata([&silent_address, &address]);
    let known = async {
        tokio::join!(
            metadata.refresh(None, &[], 0),
            serve(&listener, [response(7, Some(1))])
        )
        .0
    };
    let known = tokio::time::timeout(Duration::from_mins(1), known).await;
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
    let known = tokio::time::timeout(Duration::from_mins(1), known).await;
    assert_eq!(known.expect("the question came").unwrap().tablets().len(), 2);
}

#[tokio::test]
async fn who_is_connected_is_asked_before_servers_that_are_not() {
    let (bootstrap, address) = listen().await;
    let (tablet, tablet_address) = listen().await;
    let named = naming(0, &tablet_address);
    let metadata = metadata([&address]);
    let asked = async {
        let known = metadata.refresh(None, &[], 0).await.unwrap();
        metadata.refresh(None, &[], known.generation()).await.unwrap();
    };
    tokio::join!(asked, serve(&bootstrap, [named.clone(), named]));
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

#[tokio::test]
async fn a_server_that_is_not_ready_is_not_believed_while_another_is() {
    let (starting, starting_address) = listen().await;
    let (listener, address) = listen().await;
    let metadata = metadata([&starting_address, &address]);
    let refuses = async {
        loop {
            let (mut stream, mut buf) = (starting.accept().await.unwrap().0, BytesMut::new());
            answer::<proto::ApiVersionsRequest>(&mut stream, &mut buf, &versions()).await;
            let request_id = receive(&mut stream, &mut buf).await.request_id;
            refuse(&mut stream, request_id).await;
        }
    };
    let answers = async {
        let _open = serve(&listener, [response(7, Some(1))]).await;
        std::future::pending().await
    };
    let known = async {
        tokio::select! {
            known = metadata.refresh(None, &[], 0) => known,
            () = refuses => unreachable!(),
            never = answers => never,
        }
    };
    let known = tokio::time::timeout(Duration::from_mins(1), known).await;
    assert_eq!(known.expect("both answer").unwrap().tablets().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_ready_may_be_so_soon() {
    let (starting, address) = listen().await;
    let metadata = metadata([&address]);
    let refuses = async {
        let (mut stream, mut buf) = (starting.accept().await.unwrap().0, BytesMut::new());
        answer::<proto::ApiVersionsRequest>(&mut stream, &mut buf, &versions()).await;
        let request_id = receive(&mut stream, &mut buf).await.request_id;
        refuse(&mut stream, request_id).await;
        stream
    };
    let (refreshed, _open) = tokio::join!(metadata.refresh(None, &[], 0), refuses);
    let error = refreshed.unwrap_err();
    assert!(error.is_retriable(), "{error}");
    assert!(error.to_string().contains("not initialized yet"), "{error}");
}

#[tokio::test]
async fn where_another_server_is_a_new_connection_is_opened() {
    let (listener, address) = listen().await;
    let metadata = metadata([&address]);
    let asked = async {
        let mut generation = 0;
        for _ in 0..3 {
            generation = metadata
                .refresh(None, &[], generation)
                .await
                .unwrap()
                .generation();
        }
    };
    let serving = async {
        let open = serve(&listener, [naming(0, &address), naming(1, &address)]).await;
        (open, serve(&listener, [naming(1, &address)]).await)
    };
    let both = async { tokio::join!(asked, serving) };
    let both = tokio::time::timeout(Duration::from_mins(1), both).await;
    both.expect("the third question came by a second connection");
}
