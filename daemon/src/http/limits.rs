//! How often one client may ask: a bucket of tokens for each address that requests come from.

use super::error::Failure;
use crate::config::Rate;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use fresco_api::ErrorCode;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A client that was quiet may ask so many times as often at once: a page has many files.
const BURST: u32 = 4;
/// Clients that are quiet again are forgotten whenever so many requests have come.
const FORGET_EVERY: u32 = 1_024;

/// The buckets; clones are the same.
#[derive(Clone)]
pub(crate) struct Limits(Option<Arc<Buckets>>);

struct Buckets {
    clients: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    loopback: bool,
    asked: AtomicU32,
}

impl Limits {
    /// Full buckets; without a rate nobody is limited.
    pub fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|Rate { per_second, loopback }| {
            let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1));
            let clients = RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
            Arc::new(Buckets { clients, clock: DefaultClock::default(), loopback, asked: AtomicU32::new(0) })
        }))
    }

    /// Takes a token; how long to wait when there is none.
    fn take(&self, client: IpAddr) -> Result<(), Duration> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        let client = client.to_canonical();
        if client.is_loopback() && !buckets.loopback {
            return Ok(());
        }
        if buckets.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            buckets.clients.retain_recent();
        }
        let taken = buckets.clients.check_key(&network(client));
        taken.map_err(|not_yet| not_yet.wait_time_from(buckets.clock.now()))
    }
}

/// What counts as one client: of IPv6, where one machine has 2^64 addresses, those together.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Answers 429 to a client that asks too often.
pub(super) async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let Some(Err(wait)) = peer.map(|peer| limits.take(peer)) else { return next.run(request).await };
    let message = "Too many requests. Try again later";
    let mut response = Failure::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Busy, message).into_response();
    // Whole seconds, and never none.
    let seconds = wait.as_secs() + 1;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_second: u32, loopback: bool) -> Limits {
        Limits::new(NonZeroU32::new(per_second).map(|per_second| Rate { per_second, loopback }))
    }

    fn taken(limits: &Limits, client: &str, times: usize) -> usize {
        let client: IpAddr = client.parse().expect("an address");
        (0..times).filter(|_| limits.take(client).is_ok()).count()
    }

    #[test]
    fn each_client_has_a_bucket_of_its_own() {
        let limits = limits(5, false);
        assert!((20..=21).contains(&taken(&limits, "192.168.1.5", 100)));
        assert!(taken(&limits, "::ffff:192.168.1.5", 10) <= 1, "the same machine");
        assert_eq!(taken(&limits, "192.168.1.6", 10), 10);
        let both = taken(&limits, "2001:db8::1", 15) + taken(&limits, "2001:db8::2", 15);
        assert!((20..=21).contains(&both), "one network");
        assert_eq!(taken(&limits, "2001:db8:0:1::1", 10), 10);
        let wait = limits.take("192.168.1.5".parse().expect("an address")).expect_err("is empty");
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(200), "{wait:?}");
    }

    #[test]
    fn the_machine_itself_is_limited_only_where_that_is_said() {
        assert_eq!(taken(&limits(1, false), "127.0.0.1", 1_000), 1_000);
        assert_eq!(taken(&limits(1, true), "127.0.0.1", 1_000), 4);
        assert_eq!(taken(&limits(0, true), "192.168.1.5", 1_000), 1_000, "no rate, no limit");
    }

    #[test]
    fn clients_that_are_quiet_are_forgotten() {
        let limits = limits(1_000_000, false);
        for client in 0..5_000u32 {
            _ = limits.take(IpAddr::V4(client.into()));
        }
        let known = limits.0.as_ref().map_or(0, |buckets| buckets.clients.len());
        assert!(known <= FORGET_EVERY as usize + 1, "{known} clients");
    }
}
