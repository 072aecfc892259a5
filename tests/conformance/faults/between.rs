//! What stands between a client and its servers, and says other things than they do.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use fluss_client::{ClientOptions, ServerAddress};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::header::{Header, RequestHeader, ResponseHeader};
use fluss_rpc::net::{InProcess, Receive, Transport};
use fluss_rpc::proto;
use fluss_rpc::sync::Mutex;
use prost::Message;

use super::answers::dial;

/// Says what becomes of requests and answers.
pub(super) trait Between: Send + Sync + 'static {
    /// Looks at a request before its server does.
    fn on_request(&self, request: RequestHeader, body: Bytes) -> Then;

    /// Looks at what a server has answered, and may change it.
    fn on_answer(&self, _request: RequestHeader, body: Bytes) -> Bytes {
        body
    }
}

/// What becomes of a request.
pub(super) enum Then {
    /// The server gets it.
    Pass,
    /// This is its answer.
    Answer(Bytes),
    /// It is refused as a whole.
    Refuse(ErrorCode),
}

impl Then {
    pub(super) fn answer(message: &impl Message) -> Self {
        Self::Answer(message.encode_to_vec().into())
    }
}

/// Puts somebody between a client and its servers.
pub(super) fn put(options: &mut ClientOptions, between: Arc<dyn Between>) {
    let way = std::mem::take(&mut options.transport);
    options.transport = Transport::in_process(Dialer { way, between });
}

struct Dialer {
    way: Transport,
    between: Arc<dyn Between>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

impl InProcess for Dialer {
    fn dial(&self, server: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive> {
        let asked: Arc<Mutex<HashMap<i32, RequestHeader>>> = Arc::default();
        let answers = Arc::new(Answers {
            client: client.clone(),
            asked: asked.clone(),
            between: self.between.clone(),
        });
        Arc::new(Requests {
            server: dial(&self.way, server, answers),
            client,
            asked,
            between: self.between.clone(),
        })
    }
}

struct Requests {
    server: Arc<dyn Receive>,
    client: Arc<dyn Receive>,
    asked: Arc<Mutex<HashMap<i32, RequestHeader>>>,
    between: Arc<dyn Between>,
}

impl Receive for Requests {
    fn receive(&self, frame: Bytes) {
        let mut body = frame.clone();
        let request = RequestHeader::decode(&mut body).unwrap();
        let request_id = request.request_id;
        match self.between.on_request(request, body) {
            Then::Pass => {
                self.asked.lock().insert(request_id, request);
                self.server.receive(frame);
            }
            Then::Answer(answer) => {
                let header = ResponseHeader::Success { request_id };
                self.client.receive(framed(header, answer));
            }
            Then::Refuse(code) => {
                let refusal = proto::ErrorResponse {
                    error_code: code.number(),
                    error_message: None,
                };
                let header = ResponseHeader::Error { request_id };
                self.client
                    .receive(framed(header, refusal.encode_to_vec().into()));
            }
        }
    }

    fn end(&self) {
        self.server.end();
    }
}

struct Answers {
    client: Arc<dyn Receive>,
    asked: Arc<Mutex<HashMap<i32, RequestHeader>>>,
    between: Arc<dyn Between>,
}

impl Receive for Answers {
    fn receive(&self, frame: Bytes) {
        let mut body = frame.clone();
        let header = ResponseHeader::decode(&mut body).unwrap();
        let (ResponseHeader::Success { request_id } | ResponseHeader::Error { request_id }) = header else {
            return self.client.receive(frame);
        };
        let asked = self.asked.lock().remove(&request_id);
        match (header, asked) {
            (ResponseHeader::Success { .. }, Some(request)) => {
                let answer = self.between.on_answer(request, body);
                self.client.receive(framed(header, answer));
            }
            _ => self.client.receive(frame),
        }
    }

    fn end(&self) {
        self.client.end();
    }
}

/// A response without its length field.
fn framed(header: ResponseHeader, message: Bytes) -> Bytes {
    let mut frame = BytesMut::with_capacity(header.encoded_len() + message.len());
    header.encode(&mut frame);
    frame.put(message);
    frame.freeze()
}
