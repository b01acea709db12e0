//! Whose a request is: by the address that it comes from, until there are accounts.

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use fresco_api::{ApiError, ErrorCode};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The name that goes with their jobs.
    pub name: String,
    /// Whether they sit at this machine.
    local: bool,
}

impl Owner {
    fn new(address: IpAddr) -> Self {
        let address = match address.to_canonical() {
            // One machine, whichever protocol it speaks.
            IpAddr::V6(v6) if v6.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            other => other,
        };
        Self { name: address.to_string(), local: address.is_loopback() }
    }

    /// Whether they may change what belongs to `owner`.
    ///
    /// # Errors
    /// When they are somebody else, and do not sit at the machine.
    pub fn may_change(&self, owner: &str) -> Result<(), ApiError> {
        if self.local || self.name == owner {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::Forbidden, "The job belongs to somebody else"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Owner {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self::new(peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(address: &str) -> Owner {
        Owner::new(address.parse().expect("an address"))
    }

    #[test]
    fn one_machine_is_one_owner() {
        assert_eq!(owner("::1"), owner("127.0.0.1"));
        assert_eq!(owner("::ffff:192.168.1.5"), owner("192.168.1.5"));
        assert_ne!(owner("127.0.0.2"), owner("127.0.0.1"));
    }

    #[test]
    fn only_the_owner_and_the_machine_itself_change_a_job() {
        let (here, there) = (owner("127.0.0.1"), owner("192.168.1.5"));
        assert!(here.may_change("192.168.1.5").is_ok() && there.may_change("192.168.1.5").is_ok());
        assert_eq!(there.may_change("192.168.1.6").expect_err("is refused").code, ErrorCode::Forbidden);
        assert!(there.may_change("127.0.0.1").is_err());
    }
}
