//! `AUTHENTICATE` (`rpc.md` §5).

use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use fluss_rpc::sasl::{Mechanism, PlainToken};

use super::session::Session;
use crate::error::Failure;

/// The protocol of a client that does not log in.
const WITHOUT_LOGIN: &str = "PLAINTEXT";

/// Checks a password, which takes long on purpose, and longer for who has failed before. The first login of a connection stands: what comes after it changes
/// nothing (`rpc.md` §5.3), and one client takes the empty challenge of its success for a question.
pub(super) async fn authenticate(
    session: Arc<Session>,
    request: proto::AuthenticateRequest,
) -> Result<proto::AuthenticateResponse, Failure> {
    let refused = |message: String| Failure::new(ErrorCode::AUTHENTICATE_EXCEPTION, message);
    if !session.node.admin.asks_for_login() {
        let asked = request.protocol.eq_ignore_ascii_case(WITHOUT_LOGIN);
        return asked
            .then(done)
            .ok_or_else(|| refused("nobody has to log in here".to_owned()));
    }
    if request.protocol != Mechanism::Plain.name() {
        return Err(refused(format!("mechanism {} is not offered", request.protocol)));
    }
    if session.is_known() {
        return session.caller().map(|_| done());
    }
    let token = PlainToken::parse(&request.token).map_err(|error| refused(error.to_string()))?;
    let of_check = session.clone();
    let everybody = move || of_check.node.admin.everybody();
    let known = session.node.logins.verify(everybody, token, session.host());
    session.log_in(known.await?)?;
    Ok(proto::AuthenticateResponse {
        challenge: Some(Bytes::new()),
    })
}

/// There is nothing left to ask.
fn done() -> proto::AuthenticateResponse {
    proto::AuthenticateResponse { challenge: None }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use fluss_rpc::net::{ConnectOptions, Connection, RequestError, ServerAddress};

    use super::*;
    use crate::security::user_line;
    use crate::{Node, NodeOptions, Storage, Users};

    const NO_CHALLENGE: Result<Option<Bytes>, ErrorCode> = Ok(None);
    const REFUSED: Result<Option<Bytes>, ErrorCode> = Err(ErrorCode::AUTHENTICATE_EXCEPTION);

    /// A client that has said nothing about itself yet, and the node that listens to it.
    async fn stranger(users: Option<Users>) -> (Connection, Node) {
        let mut options = NodeOptions::new(Storage::Memory);
        options.users = users;
        let node = Node::open(options).unwrap();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let address = node.listen(any_port).await.unwrap();
        let server = ServerAddress::new(address.ip().to_string(), address.port());
        let connection = Connection::connect(&server, &ConnectOptions::default()).await;
        (connection.unwrap(), node)
    }

    fn code(error: RequestError) -> ErrorCode {
        match error {
            RequestError::Server { code, .. } => code,
            other => panic!("no answer of the server: {other}"),
        }
    }

    async fn say(connection: &Connection, protocol: &str, token: &str) -> Result<Option<Bytes>, ErrorCode> {
        let request = proto::AuthenticateRequest {
            protocol: protocol.to_owned(),
            token: Bytes::from(token.to_owned()),
        };
        let answer = connection.request(&request).await;
        answer.map(|answer| answer.challenge).map_err(code)
    }

    async fn is_answered(connection: &Connection) -> Result<(), ErrorCode> {
        let request = proto::ListDatabasesRequest::default();
        connection.request(&request).await.map(drop).map_err(code)
    }

    #[tokio::test]
    async fn the_first_login_of_a_connection_stands() {
        let users = Users::parse(&user_line("root", "secret").unwrap()).unwrap();
        let (connection, _node) = stranger(Some(users)).await;
        assert_eq!(is_answered(&connection).await, REFUSED.map(drop));
        assert_eq!(say(&connection, "PLAIN", "\0root\0wrong").await, REFUSED);
        assert_eq!(say(&connection, "PLAIN", "").await, REFUSED);
        assert_eq!(say(&connection, "PLAINTEXT", "").await, REFUSED);
        let accepted = say(&connection, "PLAIN", "\0root\0secret").await;
        assert_eq!(accepted, Ok(Some(Bytes::new())));
        for token in ["", "\0root\0wrong", "\0nobody\0secret"] {
            assert_eq!(say(&connection, "PLAIN", token).await, NO_CHALLENGE, "{token:?}");
        }
        assert_eq!(is_answered(&connection).await, Ok(()));
    }

    #[tokio::test]
    async fn where_nobody_logs_in_only_that_can_be_said() {
        let (connection, _node) = stranger(None).await;
        assert_eq!(say(&connection, "plaintext", "").await, NO_CHALLENGE);
        assert_eq!(say(&connection, "PLAIN", "\0root\0secret").await, REFUSED);
        assert_eq!(is_answered(&connection).await, Ok(()));
    }
}
