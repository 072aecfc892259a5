//! `API_VERSIONS` and `AUTHENTICATE` (`rpc.md` §4, §5).

use bytes::Bytes;
use fluss_rpc::api::ApiKey;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto;
use fluss_rpc::sasl::{Mechanism, PlainToken};

use super::dispatch::OFFERED;
use super::session::Session;
use crate::error::Failure;

/// What is offered. A node is coordinator and tablet server in one, and leaves open which of them it is.
#[expect(clippy::unnecessary_wraps, reason = "it is one of the handlers")]
pub(super) fn api_versions(
    _: &Session,
    _: proto::ApiVersionsRequest,
) -> Result<proto::ApiVersionsResponse, Failure> {
    let offered = |api: &ApiKey| {
        let versions = api.versions()?;
        Some(proto::PbApiVersion {
            api_key: api.number().into(),
            min_version: (*versions.start()).into(),
            max_version: (*versions.end()).into(),
        })
    };
    Ok(proto::ApiVersionsResponse {
        api_versions: OFFERED.iter().filter_map(offered).collect(),
        server_type: None,
    })
}

/// Checks a password, which takes long on purpose.
pub(super) fn authenticate(
    session: &Session,
    request: proto::AuthenticateRequest,
) -> Result<proto::AuthenticateResponse, Failure> {
    let refused = |message: String| Failure::new(ErrorCode::AUTHENTICATE_EXCEPTION, message);
    if request.protocol != Mechanism::Plain.name() {
        return Err(refused(format!("mechanism {} is not offered", request.protocol)));
    }
    let token = PlainToken::parse(&request.token).map_err(|error| refused(error.to_string()))?;
    let users = session.node.users.as_ref();
    let users = users.ok_or_else(|| refused("nobody has to log in here".to_owned()))?;
    session.log_in(users.verify(&token)?);
    Ok(proto::AuthenticateResponse {
        challenge: Some(Bytes::new()),
    })
}
