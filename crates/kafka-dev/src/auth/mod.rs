//! Who may connect and what they may do: users, SASL, access rules. No sockets.

pub(crate) mod acl;
mod base64;
pub(crate) mod credentials;
pub(crate) mod sasl;
pub(crate) mod scram;

use std::collections::BTreeMap;
use std::time::Duration;

/// A user as configured.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) password: String,
    /// Whether access rules do not apply to it.
    pub(crate) is_super: bool,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("is_super", &self.is_super).finish_non_exhaustive()
    }
}

/// Users by name; SASL is asked for once there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Users {
    pub(crate) by_name: BTreeMap<String, User>,
    /// After how long a connection has to authenticate again (KIP-368).
    pub(crate) session_lifetime: Option<Duration>,
}

impl Users {
    pub(crate) fn is_required(&self) -> bool {
        !self.by_name.is_empty()
    }

    pub(crate) fn password(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(|user| user.password.as_str())
    }

    /// Whether access rules apply to this principal (`User:name`).
    pub(crate) fn is_super(&self, principal: &str) -> bool {
        let name = principal.strip_prefix("User:").unwrap_or(principal);
        self.by_name.get(name).is_some_and(|user| user.is_super)
    }
}
