//! How a client proves who it is: `rpc.md` §5.
//!
//! The exchange is a step machine: a challenge goes in, a token comes out. PLAIN is the only mechanism of the
//! servers; it sends user and password in the clear, in one step.

use std::fmt;

use bytes::Bytes;
use sasl::client::Mechanism as _;
use sasl::client::mechanisms::Plain;

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mechanism {
    /// User and password, RFC 4616.
    #[default]
    Plain,
}

impl Mechanism {
    /// The name on the wire. It is upper-case: servers fail on `plain`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who a client claims to be, and the proof. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// How the claim is proved.
    pub mechanism: Mechanism,
    /// The name of the user.
    pub username: String,
    /// The password of the user.
    pub password: String,
}

impl Credentials {
    /// A user and a password, to be sent by PLAIN.
    pub fn plain(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            mechanism: Mechanism::Plain,
            username: username.into(),
            password: password.into(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .field("password", &"***")
            .finish()
    }
}

/// The client's side of an exchange.
///
/// Send [`initial`](Self::initial) first, then give each answer to [`step`](Self::step), until it says
/// [`Step::Done`]. An exchange that the server refused may be begun again on the same connection.
pub struct Exchange {
    mechanism: Plain,
}

/// What an [`Exchange`] wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The client is authenticated.
    Done,
    /// This token is to be sent.
    Send(Bytes),
}

impl Exchange {
    /// Begins an exchange.
    ///
    /// # Errors
    ///
    /// Credentials that no server could accept: an empty user or password, or one with a NUL in it.
    pub fn new(credentials: &Credentials) -> Result<Self, SaslError> {
        check(Part::Username, &credentials.username)?;
        check(Part::Password, &credentials.password)?;
        Ok(Self {
            mechanism: Plain::new(&*credentials.username, &*credentials.password),
        })
    }

    /// The name to send as `protocol`.
    pub fn mechanism(&self) -> &str {
        self.mechanism.name()
    }

    /// The first token.
    pub fn initial(&mut self) -> Bytes {
        self.mechanism.initial().into()
    }

    /// Takes the `challenge` of an answer. PLAIN has said everything with its first token: whether the server sends
    /// no challenge or an empty one, both mean that it agrees.
    ///
    /// # Errors
    ///
    /// A challenge that is not empty, which PLAIN cannot answer.
    pub fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError> {
        match challenge {
            None | Some([]) => Ok(Step::Done),
            Some(_) => Err(SaslError::UnexpectedChallenge),
        }
    }
}

/// What a client sent by PLAIN, for the server that has to check it. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainToken {
    /// The name of the user.
    pub username: String,
    /// The password of the user.
    pub password: String,
}

impl PlainToken {
    /// Reads `[authzid] NUL username NUL password`, where the first part is empty or repeats the user.
    pub fn parse(token: &[u8]) -> Result<Self, SaslError> {
        let token = str::from_utf8(token).map_err(|_| SaslError::MalformedToken)?;
        let parts: Vec<&str> = token.split('\0').collect();
        let [authzid, username, password] = parts[..] else {
            return Err(SaslError::MalformedToken);
        };
        check(Part::Username, username)?;
        check(Part::Password, password)?;
        if !authzid.is_empty() && authzid != username {
            return Err(SaslError::OtherIdentity);
        }
        Ok(Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainToken")
            .field("username", &self.username)
            .field("password", &"***")
            .finish()
    }
}

fn check(part: Part, value: &str) -> Result<(), SaslError> {
    if value.is_empty() {
        return Err(SaslError::Empty(part));
    }
    if value.contains('\0') {
        return Err(SaslError::Nul(part));
    }
    Ok(())
}

/// A part of the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The name of the user.
    Username,
    /// The password of the user.
    Password,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Username => "user name",
            Self::Password => "password",
        })
    }
}

/// An exchange that cannot succeed. It never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A part of the credentials is empty.
    #[error("the {0} is empty")]
    Empty(Part),
    /// A part of the credentials has a NUL in it, which PLAIN uses to separate them.
    #[error("the {0} contains a NUL character")]
    Nul(Part),
    /// The server asks for more than the mechanism can say.
    #[error("the server sent a challenge that PLAIN does not know")]
    UnexpectedChallenge,
    /// A token is not three parts of UTF-8.
    #[error("the token is not an authorization id, a user name and a password")]
    MalformedToken,
    /// A token asks to act as another user.
    #[error("the authorization id is not the user name")]
    OtherIdentity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_takes_one_step() {
        let mut exchange = Exchange::new(&Credentials::plain("root", "root-secret")).unwrap();
        assert_eq!(exchange.mechanism(), "PLAIN");
        assert_eq!(exchange.initial(), &b"\0root\0root-secret"[..]);
        assert_eq!(exchange.step(Some(&[])), Ok(Step::Done));
        assert_eq!(exchange.step(None), Ok(Step::Done));
        assert_eq!(exchange.step(Some(b"more")), Err(SaslError::UnexpectedChallenge));
    }

    #[test]
    fn hopeless_credentials_are_refused_before_they_are_sent() {
        let refusal = |username, password| Exchange::new(&Credentials::plain(username, password)).err();
        assert_eq!(refusal("", "secret"), Some(SaslError::Empty(Part::Username)));
        assert_eq!(refusal("root", ""), Some(SaslError::Empty(Part::Password)));
        assert_eq!(refusal("ro\0ot", "secret"), Some(SaslError::Nul(Part::Username)));
        assert_eq!(refusal("root", "sec\0ret"), Some(SaslError::Nul(Part::Password)));
        assert_eq!(refusal("root", "secret"), None);
    }

    #[test]
    fn a_server_reads_what_a_client_sends() {
        let mut exchange = Exchange::new(&Credentials::plain("jürgen", "pass wörd")).unwrap();
        let token = PlainToken::parse(&exchange.initial()).unwrap();
        assert_eq!(
            (token.username.as_str(), token.password.as_str()),
            ("jürgen", "pass wörd")
        );
        assert!(PlainToken::parse(b"root\0root\0secret").is_ok());
    }

    #[test]
    fn a_server_refuses_other_tokens() {
        for (token, error) in [
            (&b""[..], SaslError::MalformedToken),
            (b"root\0secret", SaslError::MalformedToken),
            (b"\0root\0sec\0ret", SaslError::MalformedToken),
            (b"\0\xff\0secret", SaslError::MalformedToken),
            (b"\0\0secret", SaslError::Empty(Part::Username)),
            (b"\0root\0", SaslError::Empty(Part::Password)),
            (b"alice\0root\0secret", SaslError::OtherIdentity),
        ] {
            assert_eq!(PlainToken::parse(token), Err(error));
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let credentials = Credentials::plain("root", "hunter2");
        let token = PlainToken {
            username: "root".into(),
            password: "hunter2".into(),
        };
        for printed in [format!("{credentials:?}"), format!("{token:?}")] {
            assert!(
                printed.contains("root") && !printed.contains("hunter2"),
                "{printed}"
            );
        }
    }
}
