//! Whose turn it is.
//!
//! Owners take turns by virtual time, as in start-time fair queueing (Goyal, Vin and Cheng, 1996): whoever has
//! had the least work done comes next, and somebody new comes in where the line is now, neither behind what
//! others have queued nor with credit for the time before. Priorities order an owner's own jobs; only `low`
//! also lets other owners go first. What waits long moves up, so that nothing waits for ever.

use fresco_api::{ModelId, Params, Priority};

/// A job moves up a priority, and an owner's `low` ones become everybody's equals, after so long. Milliseconds.
pub const AGEING: i64 = 300_000;
/// A job whose model is loaded goes before others of its line at most so often.
pub const MOST_OVERTAKEN: i64 = 8;
/// So far back in its line such a job is looked for.
pub const LOOK_BACK: i64 = 32;

/// The first job of a line: of those that one owner gave one priority.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Whose line it is.
    pub owner: String,
    /// Which of their lines.
    pub priority: Priority,
    /// Its place; smaller is earlier.
    pub place: i64,
    /// Since when it waits, in milliseconds.
    pub since: i64,
    /// Work.
    pub cost: i64,
    /// What it needs.
    pub model: ModelId,
    /// The owner's virtual time.
    pub due: i64,
    /// When the owner was served last, in milliseconds.
    pub served: i64,
}

impl Head {
    /// The owner's virtual time, at least the queue's.
    pub fn start(&self, clock: i64) -> i64 {
        self.due.max(clock)
    }

    /// How urgent it is among its owner's jobs.
    fn urgency(&self, now: i64) -> i64 {
        level(self.priority) + (now.saturating_sub(self.since) / AGEING).clamp(0, 2)
    }

    /// Whether it lets other owners go first.
    fn yields(&self, now: i64) -> bool {
        let unserved = now.saturating_sub(self.since.max(self.served));
        self.priority == Priority::Low && unserved < AGEING
    }
}

/// A turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The index of the line that has it.
    pub index: usize,
    /// The queue's virtual time then. Whoever goes early does not move it: who is due stays due.
    pub clock: i64,
}

/// The line whose turn it is. `clock` is the queue's virtual time, `loaded` the model that the engine has: who needs
/// it may go one turn early.
pub fn choose(heads: &[Head], clock: i64, now: i64, loaded: Option<&ModelId>) -> Option<Turn> {
    let best = |index: &usize| {
        let head = &heads[*index];
        heads.iter().all(|other| other.owner != head.owner || !before(other, head, now))
    };
    let lines: Vec<usize> = (0..heads.len()).filter(best).collect();
    let rank = |index: &&usize| {
        let head = &heads[**index];
        (head.yields(now), head.start(clock), head.place)
    };
    let first = *lines.iter().min_by_key(rank)?;
    let fits = |index: usize| loaded == Some(&heads[index].model);
    let bound = heads[first].start(clock);
    if fits(first) {
        return Some(Turn { index: first, clock: bound });
    }
    let early = lines.iter().filter(|index| {
        let head = &heads[**index];
        let turn = head.start(clock).saturating_sub(head.cost);
        fits(**index) && head.yields(now) == heads[first].yields(now) && turn <= bound
    });
    let index = early.min_by_key(rank).copied().unwrap_or(first);
    Some(Turn { index, clock: bound })
}

/// Whether `a` goes before `b`, of one owner.
fn before(a: &Head, b: &Head, now: i64) -> bool {
    (-a.urgency(now), a.place) < (-b.urgency(now), b.place)
}

/// A priority as a number; larger is more urgent.
pub fn level(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

/// The priority of a number that [`level`] gave.
pub fn priority(level: i64) -> Priority {
    match level {
        ..=0 => Priority::Low,
        1 => Priority::Normal,
        2.. => Priority::High,
    }
}

/// Work of a job, for its owner's turns: pixels times steps, in units of a 64 x 64 picture's step.
pub fn cost(params: &Params) -> i64 {
    let pixels = u64::from(params.width) * u64::from(params.height);
    let work = pixels.saturating_mul(u64::from(params.steps)) / (64 * 64);
    i64::try_from(work.max(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(owner: &str, priority: Priority, place: i64) -> Head {
        let (since, cost, due, served) = (0, 10, 0, 0);
        Head { owner: owner.to_owned(), priority, place, since, cost, model: "a".into(), due, served }
    }

    fn turn(heads: &[Head], clock: i64, now: i64, loaded: Option<&ModelId>) -> Option<usize> {
        choose(heads, clock, now, loaded).map(|turn| turn.index)
    }

    #[test]
    fn ones_own_urgent_jobs_go_first_and_old_ones_move_up() {
        let lines = [head("x", Priority::Low, 1), head("x", Priority::Normal, 2), head("x", Priority::High, 3)];
        assert_eq!(turn(&lines, 0, 0, None), Some(2));
        // After one period the low one is normal; the others are as new as before.
        let fresh = |place| Head { since: AGEING, ..head("x", Priority::Normal, place) };
        assert_eq!(turn(&[head("x", Priority::Low, 1), fresh(2)], 0, AGEING, None), Some(0));
        assert_eq!(turn(&[head("x", Priority::Low, 1), fresh(2)], 0, AGEING - 1, None), Some(1));
    }

    #[test]
    fn high_is_no_way_past_other_owners_and_low_lets_them_go() {
        let served = |owner, priority, due| Head { due, ..head(owner, priority, 1) };
        assert_eq!(turn(&[served("x", Priority::High, 20), served("y", Priority::Normal, 10)], 0, 0, None), Some(1));
        let both = [served("x", Priority::Low, 0), served("y", Priority::Normal, 50)];
        assert_eq!(turn(&both, 0, 0, None), Some(1));
        assert_eq!(turn(&both, 0, AGEING, None), Some(0), "but not for ever");
        let again = [Head { served: AGEING, ..both[0].clone() }, both[1].clone()];
        assert_eq!(turn(&again, 0, AGEING, None), Some(1), "one turn a period");
    }

    #[test]
    fn who_comes_anew_has_no_credit() {
        let (old, new) = (Head { due: 1_000, ..head("x", Priority::Normal, 1) }, head("y", Priority::Normal, 2));
        assert_eq!(new.start(990), 990);
        assert_eq!(turn(&[old, new], 990, 0, None), Some(1));
    }

    #[test]
    fn the_loaded_model_goes_one_turn_early_and_no_more() {
        let line = |owner, model: &str, due| Head { due, model: model.into(), ..head(owner, Priority::Normal, 1) };
        let loaded = ModelId("a".to_owned());
        assert_eq!(turn(&[line("x", "a", 10), line("y", "b", 0)], 0, 0, Some(&loaded)), Some(0));
        assert_eq!(turn(&[line("x", "a", 11), line("y", "b", 0)], 0, 0, Some(&loaded)), Some(1));
        assert_eq!(turn(&[line("x", "a", 10), line("y", "b", 0)], 0, 0, None), Some(1));
    }
    #[test]
    fn who_is_passed_over_stays_due() {
        let line = |owner, model: &str, due| Head { due, model: model.into(), ..head(owner, Priority::Normal, 1) };
        let (mut busy, new, loaded) = (line("x", "a", 110), line("y", "b", 0), ModelId("a".to_owned()));
        let first = choose(&[busy.clone(), new.clone()], 100, 0, Some(&loaded)).expect("a turn");
        assert_eq!(first, Turn { index: 0, clock: 100 });
        busy.due += busy.cost;
        assert_eq!(turn(&[busy, new], first.clock, 0, Some(&loaded)), Some(1));
    }
}
