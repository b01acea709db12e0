//! Random operations on the store in SQLite and on the one in memory: both answer the same, at every step.

use super::{at, completed, following, id, limits, memory, new, none, params, sqlite};
use fresco_api::{ApiError, ErrorCode, ModelId, Params, Priority};
use fresco_daemon::{
    config::QueueLimits,
    queue::store::{Filter, JobStore, Key, Lease, NewJob, Outcome, Spot, Submission},
};
use std::{fmt::Debug, time::Duration};

/// Chance from a seed that is printed: the same seed is the same story (Steele, Lea and Flood, 2014: `SplitMix`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % most
    }

    fn of<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len().max(1) as u64) as usize)
    }
}

/// What has happened so far, in both stores.
struct Story {
    real: std::sync::Arc<dyn JobStore>,
    model: std::sync::Arc<dyn JobStore>,
    chance: Chance,
    names: Vec<String>,
    /// The leases that were given out, also those that have ended.
    leases: Vec<(Lease, Lease)>,
    second: u64,
}

fn same<T: PartialEq + Debug>(what: &str, real: &T, model: &T) {
    assert_eq!(real, model, "{what}");
}

impl Story {
    fn job(&mut self) -> NewJob {
        let name = format!("j{:04}", self.names.len());
        let priority = [Priority::Low, Priority::Normal, Priority::High][self.chance.below(3) as usize];
        let model = if self.chance.below(3) == 0 { "b" } else { "a" };
        let steps = 1 + self.chance.below(20) as u32;
        let before = self.names.last().filter(|_| self.chance.below(5) == 0).cloned();
        self.names.push(name.clone());
        let job = match before {
            Some(before) => following(&name, &before),
            None => new(&name),
        };
        NewJob { priority, params: Params { model: model.into(), steps, ..params() }, input_bytes: 0, ..job }
    }

    async fn submit(&mut self) {
        let job = self.job();
        // A job may follow one that has ended by now or never came: both stores hold it then.
        let owner = ["x", "y", "z"][self.chance.below(3) as usize].to_owned();
        let name = format!("k{}", self.chance.below(6));
        let key = (self.chance.below(4) == 0).then(|| Key { name, body: format!("b{}", self.chance.below(2)) });
        let known = self.real.job(&job.after.clone().unwrap_or_else(|| id("none"))).await.expect("stores").is_some();
        let after = job.after.clone().filter(|_| known);
        let submission = Submission { owner, key, batch: None, jobs: vec![NewJob { after, ..job }] };
        let now = at(self.second);
        let real = self.real.submit(submission.clone(), now).await.expect("stores");
        same("submit", &real, &self.model.submit(submission, now).await.expect("stores"));
    }

    async fn claim(&mut self) {
        let loaded = (self.chance.below(2) == 0).then(|| ModelId::from("a"));
        let (now, ttl) = (at(self.second), Duration::from_secs(30));
        let real = self.real.claim(now, ttl, loaded.clone()).await.expect("stores");
        let model = self.model.claim(now, ttl, loaded).await.expect("stores");
        let shown = |lease: &Option<Lease>| {
            lease.as_ref().map(|lease| (lease.job.clone(), lease.owner.clone(), lease.attempt, lease.inputs.clone()))
        };
        same("claim", &shown(&real), &shown(&model));
        self.leases.extend(real.zip(model));
    }

    async fn work(&mut self) {
        let Some((real, model)) = self.chance.of(&self.leases).cloned() else { return };
        let now = at(self.second);
        match self.chance.below(7) {
            0 => {
                let until = at(self.second + 30);
                let percent = self.chance.below(100) as u8;
                let (a, b) = (
                    self.real.extend(&real, percent, until, none()).await.expect("stores"),
                    self.model.extend(&model, percent, until, none()).await.expect("stores"),
                );
                same("extend", &a, &b);
            }
            1 => {
                let a = self.real.release(&real, now, none()).await.expect("stores");
                same("release", &a, &self.model.release(&model, now, none()).await.expect("stores"));
            }
            other => {
                let outcome = match other {
                    2 => Outcome::Failed(ApiError::new(ErrorCode::Device, "lost")),
                    3 => Outcome::Cancelled,
                    _ => completed(&real.job.0),
                };
                let a = self.real.finish(&real, outcome.clone(), now, none()).await.expect("stores");
                same("finish", &a, &self.model.finish(&model, outcome, now, none()).await.expect("stores"));
            }
        }
    }

    async fn edit(&mut self) {
        let Some(name) = self.chance.of(&self.names).cloned() else { return };
        let (id, now) = (id(&name), at(self.second));
        match self.chance.below(6) {
            0 => {
                let a = self.real.cancel(&id, now, none()).await.expect("stores");
                same("cancel", &a, &self.model.cancel(&id, now, none()).await.expect("stores"));
            }
            1 => {
                let a = self.real.retry(&id, now).await.expect("stores");
                same("retry", &a, &self.model.retry(&id, now).await.expect("stores"));
            }
            2 => {
                let priority = [Priority::Low, Priority::Normal, Priority::High][self.chance.below(3) as usize];
                let a = self.real.prioritise(&id, priority).await.expect("stores");
                same("priority", &a, &self.model.prioritise(&id, priority).await.expect("stores"));
            }
            3 | 4 => {
                let other = self.chance.of(&self.names).cloned().unwrap_or_default();
                let spot = match self.chance.below(3) {
                    0 => Spot::First,
                    1 => Spot::Last,
                    _ => Spot::Before(super::id(&other)),
                };
                let a = self.real.move_to(&id, spot.clone()).await.expect("stores");
                same("move", &a, &self.model.move_to(&id, spot).await.expect("stores"));
            }
            _ => {
                let a = self.real.forget(&id).await.expect("stores");
                same("forget", &a, &self.model.forget(&id).await.expect("stores"));
            }
        }
    }

    async fn step(&mut self) {
        self.second += self.chance.below(40);
        match self.chance.below(20) {
            0..6 => self.submit().await,
            6..10 => self.claim().await,
            10..15 => self.work().await,
            15..18 => self.edit().await,
            18 => {
                let all = self.chance.below(4) == 0;
                let now = at(self.second);
                let a = self.real.sweep(now, all).await.expect("stores");
                same("sweep", &a, &self.model.sweep(now, all).await.expect("stores"));
            }
            _ => {
                let paused = self.chance.below(3) == 0;
                self.real.pause(paused).await.expect("stores");
                self.model.pause(paused).await.expect("stores");
            }
        }
    }

    /// Everything that can be asked has the same answer.
    async fn compare(&self) {
        let filter = || Filter { limit: 10_000, ..Filter::default() };
        let jobs = self.real.newest(filter()).await.expect("stores");
        same("jobs", &jobs, &self.model.newest(filter()).await.expect("stores"));
        let (status, other) = (self.real.status().await.expect("stores"), self.model.status().await.expect("stores"));
        same("status", &status, &other);
        let line = self.real.line(20, at(self.second)).await.expect("stores");
        same("line", &line, &self.model.line(20, at(self.second)).await.expect("stores"));
        if let Some(job) = jobs.first() {
            let stored = self.real.job(&job.id).await.expect("stores");
            same("stored", &stored, &self.model.job(&job.id).await.expect("stores"));
        }
    }
}

#[tokio::test]
async fn the_stores_agree_whatever_happens() {
    let (stories, steps) = if std::env::var_os("FRESCO_LONG_TESTS").is_some() { (40, 2_000) } else { (4, 400) };
    for seed in 1..=stories {
        println!("story {seed}");
        let limits = QueueLimits { waiting: 30, history_jobs: 25, ..limits() };
        let (real, model) = (sqlite(limits).await, memory(limits).await);
        let (chance, names, leases) = (Chance(seed), Vec::new(), Vec::new());
        let mut story = Story { real, model, chance, names, leases, second: 0 };
        for step in 0..steps {
            story.step().await;
            if step % 10 == 0 {
                story.compare().await;
            }
        }
        story.compare().await;
    }
}
