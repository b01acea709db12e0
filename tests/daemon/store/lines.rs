//! Whose turn it is: fairness, priorities, moves and the loaded model, in numbers.

use super::{Make, TTL, at, claim, completed, drain, id, limits, new, none, params, put, submit};
use fresco_api::{ModelId, Params, Priority};
use fresco_daemon::queue::store::{Changed, JobStore, NewJob, Spot, Submission};

/// A period after which a job moves up, in seconds.
const AGEING: u64 = 300;

pub async fn run(make: Make) {
    newcomer(&*make(limits()).await).await;
    shares(&*make(limits()).await).await;
    priorities(&*make(limits()).await).await;
    ageing(&*make(limits()).await).await;
    low(&*make(limits()).await).await;
    moves(&*make(limits()).await).await;
    gaps(&*make(limits()).await).await;
    models(&*make(limits()).await).await;
    newcomer_with_another_model(&*make(limits()).await).await;
    pause(&*make(limits()).await).await;
}

fn named(name: &str, priority: Priority) -> NewJob {
    NewJob { priority, ..new(name) }
}

fn of_model(name: &str, model: &str) -> NewJob {
    NewJob { params: Params { model: model.into(), ..params() }, ..new(name) }
}

async fn flood(store: &dyn JobStore, jobs: usize) {
    for number in 0..jobs {
        put(store, "flood", new(&format!("f{number:03}"))).await;
    }
}

/// Claims, and ends what was claimed.
async fn next(store: &dyn JobStore, second: u64, loaded: Option<&str>) -> String {
    let loaded = loaded.map(ModelId::from);
    let lease = store.claim(at(second), TTL, loaded).await.expect("stores").expect("a job");
    store.finish(&lease, completed(&lease.job.0), at(second), none()).await.expect("stores");
    lease.job.0
}

/// A newcomer waits at most two jobs behind a flood of 500, however long that one has been waiting.
async fn newcomer(store: &dyn JobStore) {
    flood(store, 500).await;
    for second in 0..20 {
        next(store, second, None).await;
    }
    let hours = 20 * 3_600;
    let running = claim(store, hours).await.expect("a job");
    put(store, "new", new("n")).await;
    let mut waited = 1;
    while claim(store, hours).await.expect("a job").job != id("n") {
        waited += 1;
    }
    assert!(waited <= 2, "the newcomer waited for {waited} jobs");
    store.finish(&running, completed("x"), at(hours), none()).await.expect("stores");
}

/// Two who always have work get the same work done, whatever its size.
async fn shares(store: &dyn JobStore) {
    for number in 0..40 {
        put(store, "small", new(&format!("s{number:02}"))).await;
        let large = Params { steps: params().steps * 4, ..params() };
        put(store, "large", NewJob { params: large, ..new(&format!("l{number:02}")) }).await;
    }
    let mut small = 0;
    for second in 0..25 {
        small += usize::from(next(store, second, None).await.starts_with('s'));
    }
    assert!((19..=21).contains(&small), "{small} of 25 are small, 20 have the same work as the 5 others");
}

async fn priorities(store: &dyn JobStore) {
    for (name, priority) in
        [("low", Priority::Low), ("first", Priority::Normal), ("second", Priority::Normal), ("high", Priority::High)]
    {
        put(store, "me", named(name, priority)).await;
    }
    assert_eq!(store.prioritise(&id("second"), Priority::High).await.expect("stores"), Changed::Done);
    let line = store.line(9, at(1)).await.expect("stores");
    assert_eq!(line, ["high", "second", "first", "low"].map(id));
    assert_eq!(drain(store, 1).await, ["high", "second", "first", "low"]);
    assert!(matches!(store.prioritise(&id("low"), Priority::High).await.expect("stores"), Changed::Not(_)));
    assert_eq!(store.prioritise(&id("none"), Priority::High).await.expect("stores"), Changed::Unknown);
}

/// Somebody who goes on asking for other things does not starve their own low jobs.
async fn ageing(store: &dyn JobStore) {
    put(store, "me", named("low", Priority::Low)).await;
    for (second, name) in [(0, "a"), (AGEING - 1, "b"), (AGEING, "c")] {
        let submission = Submission { owner: "me".to_owned(), key: None, batch: None, jobs: vec![new(name)] };
        store.submit(submission, at(second)).await.expect("stores");
        let expected = if second < AGEING { name } else { "low" };
        assert_eq!(next(store, second, None).await, expected, "after {second} seconds");
    }
}

/// Low lets other people go first, but gets a turn each period.
async fn low(store: &dyn JobStore) {
    flood(store, 50).await;
    for number in 0..3 {
        put(store, "kind", named(&format!("k{number}"), Priority::Low)).await;
    }
    let mut turns = Vec::new();
    for turn in 0..40u64 {
        let second = turn * AGEING / 10;
        if next(store, second, None).await.starts_with('k') {
            turns.push(turn);
        }
    }
    assert_eq!(turns, [10, 20, 30]);
}

async fn moves(store: &dyn JobStore) {
    for name in ["a", "b", "c", "d"] {
        submit(store, name).await;
    }
    put(store, "you", new("x")).await;
    put(store, "me", named("h", Priority::High)).await;
    let to = async |name: &str, spot: Spot| store.move_to(&id(name), spot).await.expect("stores");
    assert_eq!(to("d", Spot::First).await, Changed::Done);
    assert_eq!(to("a", Spot::Last).await, Changed::Done);
    assert_eq!(to("c", Spot::Before(id("b"))).await, Changed::Done);
    assert_eq!(to("a", Spot::Before(id("h"))).await, Changed::Done, "it takes the other's priority");
    assert_eq!(to("a", Spot::Before(id("x"))).await, Changed::Unknown, "not in other people's lines");
    assert_eq!(to("a", Spot::Before(id("a"))).await, Changed::Done);
    assert_eq!(to("none", Spot::First).await, Changed::Unknown);
    store.cancel(&id("x"), at(1), none()).await.expect("stores");
    assert!(matches!(to("x", Spot::First).await, Changed::Not(_)));
    assert_eq!(drain(store, 1).await, ["a", "h", "d", "c", "b"]);
}

/// Between two jobs there is always room for another, and who comes next still comes last.
async fn gaps(store: &dyn JobStore) {
    submit(store, "first").await;
    submit(store, "last").await;
    let names: Vec<String> = (0..40).map(|number| format!("m{number:02}")).collect();
    for name in &names {
        submit(store, name).await;
        let moved = store.move_to(&id(name), Spot::Before(id("last"))).await.expect("stores");
        assert_eq!(moved, Changed::Done);
    }
    submit(store, "z").await;
    let order = drain(store, 1).await;
    assert_eq!(order[0], "first");
    assert_eq!(order[1..41], names);
    assert_eq!(order[41..], ["last", "z"]);
}

/// Jobs of the loaded model go first, but overtake nobody more than eight times.
async fn models(store: &dyn JobStore) {
    put(store, "me", of_model("other", "b")).await;
    for number in 0..12 {
        put(store, "me", of_model(&format!("a{number:02}"), "a")).await;
    }
    let mut order = Vec::new();
    for second in 0..13 {
        order.push(next(store, second, Some("a")).await);
    }
    assert_eq!(order.iter().position(|name| name == "other"), Some(8));
    assert!(order[..8].is_sorted() && order[9..].is_sorted());
}

/// A newcomer whose model is not loaded waits no longer than any other.
async fn newcomer_with_another_model(store: &dyn JobStore) {
    for number in 0..100 {
        put(store, "flood", of_model(&format!("f{number:03}"), "a")).await;
    }
    for second in 0..5 {
        next(store, second, Some("a")).await;
    }
    let loaded = || Some(ModelId::from("a"));
    store.claim(at(6), TTL, loaded()).await.expect("stores").expect("a job");
    put(store, "new", of_model("n", "b")).await;
    let mut waited = 1;
    while store.claim(at(6), TTL, loaded()).await.expect("stores").expect("a job").job != id("n") {
        waited += 1;
    }
    assert!(waited <= 2, "the newcomer waited for {waited} jobs");
}

async fn pause(store: &dyn JobStore) {
    submit(store, "a").await;
    let running = claim(store, 1).await.expect("a job");
    submit(store, "b").await;
    store.pause(true).await.expect("stores");
    assert!(store.status().await.expect("stores").paused);
    assert!(claim(store, 2).await.is_none());
    store.finish(&running, completed("a"), at(2), none()).await.expect("stores");
    store.pause(false).await.expect("stores");
    assert_eq!(claim(store, 3).await.map(|lease| lease.job), Some(id("b")));
}
