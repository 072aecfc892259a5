//! The other end of a connection, moved by the test step by step.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

use super::super::{ConnectError, ConnectOptions, Connection, ServerAddress};
use crate::api::{ApiKey, Request, ServerRole};
use crate::frame::{FrameDecoder, encode};
use crate::header::{RequestHeader, ResponseHeader};
use crate::proto::{ApiVersionsResponse, ErrorResponse, PbApiVersion};

const LIMIT: usize = 1 << 30;

#[derive(Debug)]
pub(super) struct Server<S = DuplexStream> {
    stream: S,
    buf: BytesMut,
}

/// A request as the server sees it.
pub(super) struct Received {
    pub(super) header: RequestHeader,
    body: Bytes,
}

impl Received {
    pub(super) fn id(&self) -> i32 {
        self.header.request_id
    }

    pub(super) fn body<R: Request>(&self) -> R {
        assert_eq!(self.header.api_key, R::API.number());
        R::decode(self.body.clone()).unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Server<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buf: BytesMut::new(),
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// The next request, or `None` when the client has closed the connection between two requests.
    pub(super) async fn next(&mut self) -> Option<Received> {
        loop {
            if let Some(mut body) = FrameDecoder::new(LIMIT).decode(&mut self.buf).unwrap() {
                return Some(Received {
                    header: RequestHeader::decode(&mut body).unwrap(),
                    body,
                });
            }
            if self.stream.read_buf(&mut self.buf).await.unwrap_or(0) == 0 {
                assert!(
                    self.buf.is_empty(),
                    "the client stopped in the middle of a request"
                );
                return None;
            }
        }
    }

    pub(super) async fn receive(&mut self) -> Received {
        self.next().await.expect("the client closed the connection")
    }

    async fn respond(&mut self, header: ResponseHeader, message: &impl Message) {
        let mut frame = encode(&header, message, LIMIT).unwrap();
        self.raw(&frame.copy_to_bytes(frame.remaining())).await;
    }

    pub(super) async fn reply(&mut self, request_id: i32, message: &impl Message) {
        self.respond(ResponseHeader::Success { request_id }, message)
            .await;
    }

    pub(super) async fn refuse(&mut self, request_id: i32, error_code: i32, text: Option<&str>) {
        let message = ErrorResponse {
            error_code,
            error_message: text.map(Into::into),
        };
        self.respond(ResponseHeader::Error { request_id }, &message).await;
    }

    pub(super) async fn give_up(&mut self, error_code: i32) {
        let message = ErrorResponse {
            error_code,
            error_message: None,
        };
        self.respond(ResponseHeader::ServerFailure, &message).await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Answers the first request of every connection.
    pub(super) async fn welcome(&mut self, role: Option<ServerRole>) {
        let request = self.receive().await;
        assert_eq!(request.header.api_key, ApiKey::ApiVersions.number());
        self.reply(request.id(), &versions(role)).await;
    }
}

/// What a server of 0.9.1 says of itself, as far as this crate uses it.
pub(super) fn versions(role: Option<ServerRole>) -> ApiVersionsResponse {
    let offered = |api: &ApiKey| {
        let versions = api.versions()?;
        let (min_version, max_version) = ((*versions.start()).into(), (*versions.end()).into());
        Some(PbApiVersion {
            api_key: api.number().into(),
            min_version,
            max_version,
        })
    };
    // A node has no role.
    let is_listed = |api: &&ApiKey| api.number() < 1060 || role.is_none() && api.is_of_node();
    let listed = ApiKey::ALL.iter().filter(is_listed);
    let server_type = role.map(ServerRole::server_type);
    ApiVersionsResponse {
        api_versions: listed.filter_map(offered).collect(),
        server_type,
    }
}

pub(super) fn address() -> ServerAddress {
    ServerAddress::new("test", 9123)
}

/// A ready connection over a pipe that holds `capacity` bytes each way.
pub(super) async fn connected(capacity: usize, options: &ConnectOptions) -> (Connection, Server) {
    let serve = async |server: &mut Server| server.welcome(Some(ServerRole::Tablet)).await;
    let (connection, server) = handshake(capacity, options, serve).await;
    (connection.unwrap(), server)
}

/// A handshake with a server that does as told; the server's end stays open.
pub(super) async fn handshake(
    capacity: usize,
    options: &ConnectOptions,
    serve: impl AsyncFnOnce(&mut Server),
) -> (Result<Connection, ConnectError>, Server) {
    let (near, far) = duplex(capacity);
    let mut server = Server::new(far);
    let address = address();
    let (connection, ()) = tokio::join!(Connection::handshake(near, &address, options), serve(&mut server));
    (connection, server)
}
