//! What the errors of rustls mean to a client.

use std::io;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::fault::TlsFault;

/// What an error of a stream means to a client; nothing if it is none of TLS.
pub(super) fn of_stream(error: &io::Error, has_certificate: bool) -> Option<TlsFault> {
    let error = error.get_ref()?.downcast_ref()?;
    Some(of(error, has_certificate))
}

/// What an error of a handshake means to a client.
pub(super) fn of_handshake(error: &io::Error, has_certificate: bool) -> TlsFault {
    of_stream(error, has_certificate).unwrap_or_else(|| match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => TlsFault::Closed,
        _ => TlsFault::Failed(error.to_string()),
    })
}

fn of(error: &Error, has_certificate: bool) -> TlsFault {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => of_alert(*alert, has_certificate),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => TlsFault::NotTls,
        error => TlsFault::Failed(error.to_string()),
    }
}

fn of_certificate(error: &CertificateError) -> TlsFault {
    match error {
        // The signature is another's where the authority was made anew, with its old name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        CertificateError::NotValidForNameContext { expected, presented } => TlsFault::OtherHost {
            host: host(expected),
            presented: presented.iter().map(|name| bare(name)).collect(),
        },
        error => TlsFault::Certificate(error.to_string()),
    }
}

/// What the server says when it gives up. Servers say in many ways that they miss a certificate.
fn of_alert(alert: AlertDescription, has_certificate: bool) -> TlsFault {
    let told = || format!("{alert:?}");
    match alert {
        AlertDescription::CertificateRequired => TlsFault::CertificateWanted,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            if has_certificate {
                TlsFault::CertificateRefused(told())
            } else {
                TlsFault::CertificateWanted
            }
        }
        AlertDescription::HandshakeFailure if !has_certificate => TlsFault::Failed(
            "the server gave up the handshake (HandshakeFailure): it has no cipher in common with this client, or asks for a client certificate (user-cert-file)"
                .to_owned(),
        ),
        _ => TlsFault::Failed(format!("the server gave up ({})", told())),
    }
}

/// A host as users write it.
pub(super) fn host(name: &ServerName<'_>) -> String {
    name.to_str().into_owned()
}

/// `DnsName("a")` without what is around the name.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}
