use fluss_core::rights::Principal;

/// Who sends a request, from where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Who they proved to be.
    pub principal: Principal,
    /// The IP address.
    pub host: String,
    /// Whether they are this very process, which may do everything.
    pub is_internal: bool,
}

impl Caller {
    /// Somebody at the other end of a connection.
    pub fn new(principal: Principal, host: impl Into<String>) -> Self {
        Self {
            principal,
            host: host.into(),
            is_internal: false,
        }
    }

    /// The process that the node is in.
    pub fn internal() -> Self {
        Self {
            principal: Principal::anonymous(),
            host: String::new(),
            is_internal: true,
        }
    }
}
