//! Turns, as the store in memory gives them out.

use super::{
    books::{Books, Record, State},
    milliseconds, policy,
};
use crate::{clock::rfc3339, queue::store::Lease};
use fresco_api::{JobId, JobStatus, ModelId};
use policy::Head;
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

impl Books {
    /// The first job of each line, as the policy sees it. Places become ranks among all that wait.
    fn heads(&self, gone: &[JobId], turns: &HashMap<String, (i64, i64)>) -> Vec<(Head, JobId)> {
        let waits = |record: &&Record| record.state == State::Queued && !gone.contains(&record.stored.job.id);
        let mut all: Vec<&Record> = self.records.values().filter(waits).collect();
        all.sort_by(|a, b| a.place.total_cmp(&b.place));
        let mut heads: Vec<(Head, JobId)> = Vec::new();
        for (rank, record) in (0..).zip(all) {
            let (owner, priority) = (&record.stored.owner, record.stored.job.priority);
            if heads.iter().any(|(head, _)| head.owner == *owner && head.priority == priority) {
                continue;
            }
            let (due, served) = turns.get(owner).copied().unwrap_or_default();
            let (cost, model, since) = (policy::cost(&record.params), record.params.model.clone(), record.since);
            let head = Head { owner: owner.clone(), priority, place: rank, since, cost, model, due, served };
            heads.push((head, record.stored.job.id.clone()));
        }
        heads
    }

    pub fn claim(&mut self, now: SystemTime, ttl: Duration, loaded: Option<&ModelId>) -> Option<Lease> {
        if self.paused {
            return None;
        }
        let time = milliseconds(now);
        let (heads, ids): (Vec<Head>, Vec<JobId>) = self.heads(&[], &self.turns).into_iter().unzip();
        let turn = policy::choose(&heads, self.clock, time, loaded)?;
        let head = &heads[turn.index];
        let id = self.with_model(head, ids[turn.index].clone(), loaded);
        self.tokens += 1;
        let record = self.records.get_mut(&id)?;
        let due = head.start(self.clock).saturating_add(policy::cost(&record.params));
        self.clock = turn.clock;
        self.turns.insert(record.stored.owner.clone(), (due, time));
        let until = now + ttl;
        (record.state, record.token, record.until) = (State::Processing, Some(self.tokens), Some(milliseconds(until)));
        let job = &mut record.stored.job;
        job.attempts += 1;
        job.status = JobStatus::Processing;
        job.started_at = Some(rfc3339(now));
        Some(Lease {
            job: id,
            owner: record.stored.owner.clone(),
            request: job.request.clone(),
            params: record.params.clone(),
            inputs: record.inputs.clone(),
            token: self.tokens,
            attempt: job.attempts,
        })
    }

    fn with_model(&mut self, head: &Head, first: JobId, loaded: Option<&ModelId>) -> JobId {
        let overtaken = self.records.get(&first).map_or(0, |record| record.overtaken);
        if loaded.is_none_or(|loaded| *loaded == head.model) || overtaken >= policy::MOST_OVERTAKEN {
            return first;
        }
        let line = self.line_of(&head.owner, head.priority);
        let near = line.into_iter().take(policy::LOOK_BACK as usize);
        let other = near.filter(|record| loaded == Some(&record.params.model)).map(|r| r.stored.job.id.clone()).next();
        if let (Some(_), Some(record)) = (&other, self.records.get_mut(&first)) {
            record.overtaken += 1;
        }
        other.unwrap_or(first)
    }

    pub fn line(&self, limit: usize, now: i64) -> Vec<JobId> {
        let (mut order, mut clock, mut turns) = (Vec::new(), self.clock, self.turns.clone());
        while order.len() < limit {
            let (heads, ids): (Vec<Head>, Vec<JobId>) = self.heads(&order, &turns).into_iter().unzip();
            let Some(turn) = policy::choose(&heads, clock, now, None) else { break };
            let head = &heads[turn.index];
            turns.insert(head.owner.clone(), (head.start(clock).saturating_add(head.cost), now));
            clock = turn.clock;
            order.push(ids[turn.index].clone());
        }
        order
    }
}
