/// Why TLS with the other side does not come about, or ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The client does not trust the authority of the server's certificate.
    #[error(
        "the server's certificate is signed by no authority that is trusted: name the certificate of its authority with tls-ca-file"
    )]
    UnknownAuthority,
    /// The server's certificate has expired.
    #[error(
        "the server's certificate has expired: renew it, or set the clock of this machine if that is wrong"
    )]
    Expired,
    /// The time of the server's certificate has not come yet.
    #[error("the server's certificate is not valid yet: set the clock of this machine, or of its authority")]
    NotYetValid,
    /// The server's certificate is not for the host that the client connects to.
    #[error(
        "the server's certificate is not for '{host}' but for {}: connect to a name that it is for",
        names(presented)
    )]
    OtherHost {
        /// The host that the client connects to.
        host: String,
        /// The names and addresses that the certificate is for, as far as they are known.
        presented: Vec<String>,
    },
    /// Something else is wrong with the server's certificate.
    #[error("the server's certificate is not accepted: {0}")]
    Certificate(String),
    /// The server asks for a certificate of the client, which has none.
    #[error(
        "the server asks for a client certificate: name one with user-cert-file, and its key with user-key-file"
    )]
    CertificateWanted,
    /// The server does not accept the certificate of the client.
    #[error(
        "the server does not accept the client certificate ({0}): name one with user-cert-file that its authority signed"
    )]
    CertificateRefused(String),
    /// The other side answers with something else than TLS.
    #[error("the server does not speak TLS: connect without tls=true, or to the port where it does")]
    NotTls,
    /// The server closed the connection before TLS came about.
    #[error("the server closed the connection in the handshake, as servers do that do not speak TLS")]
    Closed,
    /// A file cannot be read, is not what it should be, or does not go with another.
    #[error("{0}")]
    Files(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl TlsFault {
    /// Whether trying again can help. Certificates do not get better by waiting.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

fn names(presented: &[String]) -> String {
    match presented {
        [] => "other names".to_owned(),
        names => names.join(", "),
    }
}
