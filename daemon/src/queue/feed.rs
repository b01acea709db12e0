//! The events of all jobs in one stream for each owner.
//!
//! Numbers are microseconds since 1970, each larger than the one before, so that they go on growing after a restart.
//! The last few thousand events are kept; whoever was away longer is told from the store what has ended
//! meanwhile and what still lives.

use fresco_api::{FeedEvent, JobEvent, JobId};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

/// Events of all owners that are kept.
const KEPT: usize = 4_096;
/// An end may be on the disk a little before its event is numbered.
const MARGIN: Duration = Duration::from_secs(2);

/// The newest events of all jobs.
pub(super) struct Feed {
    ring: Mutex<Ring>,
    changed: watch::Sender<()>,
}

struct Ring {
    events: VecDeque<Entry>,
    last: u64,
    /// Everything after this number is in the ring.
    floor: u64,
}

struct Entry {
    number: u64,
    owner: Arc<str>,
    event: FeedEvent,
}

/// What an owner is told next.
pub(super) enum Heard {
    /// This event, with its number.
    Event(u64, Box<FeedEvent>),
    /// The listener was away too long: the store knows what it missed since then; from here on the ring has all.
    Missed {
        /// From when on the store is to be asked.
        since: SystemTime,
        /// The number after which the ring is complete.
        floor: u64,
    },
    /// Nothing yet.
    NotYet,
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Feed {
    pub fn new() -> Self {
        let floor = now();
        let ring = Ring { events: VecDeque::new(), last: floor, floor };
        Self { ring: Mutex::new(ring), changed: watch::Sender::new(()) }
    }

    /// Adds an event.
    pub fn push(&self, owner: &Arc<str>, job: &JobId, event: JobEvent) {
        let mut ring = self.ring();
        let number = now().max(ring.last + 1);
        ring.last = number;
        if matches!(event, JobEvent::Preview { .. }) {
            // An older preview is of no use any more, and it is what takes memory.
            let older =
                |entry: &Entry| entry.event.job == *job && matches!(entry.event.event, JobEvent::Preview { .. });
            if let Some(index) = ring.events.iter().rposition(older) {
                ring.events.remove(index);
            }
        }
        ring.events.push_back(Entry { number, owner: owner.clone(), event: FeedEvent { job: job.clone(), event } });
        if ring.events.len() > KEPT
            && let Some(oldest) = ring.events.pop_front()
        {
            ring.floor = oldest.number;
        }
        drop(ring);
        self.changed.send_replace(());
    }

    /// The number of the newest event.
    pub fn last(&self) -> u64 {
        self.ring().last
    }

    /// The owner's first event after a number.
    pub fn after(&self, owner: &str, number: u64) -> Heard {
        let ring = self.ring();
        if number < ring.floor {
            let since = SystemTime::UNIX_EPOCH + Duration::from_micros(number);
            return Heard::Missed {
                since: since.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH),
                floor: ring.floor,
            };
        }
        let begin = ring.events.partition_point(|entry| entry.number <= number);
        match ring.events.iter().skip(begin).find(|entry| &*entry.owner == owner) {
            Some(entry) => Heard::Event(entry.number, Box::new(entry.event.clone())),
            None => Heard::NotYet,
        }
    }

    /// Hears of every change from now on.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_hears_their_own_in_order_and_hears_of_a_gap() {
        let feed = Feed::new();
        let (x, y): (Arc<str>, Arc<str>) = ("x".into(), "y".into());
        let begin = feed.last();
        for step in 0..10 {
            feed.push(if step % 2 == 0 { &x } else { &y }, &JobId("j".into()), JobEvent::Step { step, of: 10 });
        }
        let (mut number, mut heard) = (begin, Vec::new());
        while let Heard::Event(at, event) = feed.after("x", number) {
            assert!(at > number);
            number = at;
            heard.push(event.event);
        }
        assert_eq!(heard.len(), 5);
        assert!(matches!(feed.after("nobody", begin), Heard::NotYet));
        for step in 0..KEPT as u32 {
            feed.push(&y, &JobId("j".into()), JobEvent::Step { step, of: 10 });
        }
        assert!(matches!(feed.after("x", begin), Heard::Missed { .. }));
    }

    #[test]
    fn only_the_newest_preview_of_a_job_is_kept() {
        let feed = Feed::new();
        let x: Arc<str> = "x".into();
        let begin = feed.last();
        for image in ["a", "b", "c"] {
            feed.push(&x, &JobId("j".into()), JobEvent::Preview { image: image.into() });
        }
        let Heard::Event(number, event) = feed.after("x", begin) else { panic!("there is one") };
        assert_eq!(event.event, JobEvent::Preview { image: "c".into() });
        assert!(matches!(feed.after("x", number), Heard::NotYet));
    }
}
