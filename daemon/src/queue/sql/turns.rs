//! Whose turn it is, and the lease that it gets.

use super::rows::{inputs, parsed};
use crate::queue::{
    policy::{self, Head, LOOK_BACK, MOST_OVERTAKEN},
    store::Lease,
};
use fresco_api::{JobId, ModelId};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::collections::{HashMap, VecDeque};

/// The first job of every line, with its owner's turns.
const HEADS: &str = "SELECT j.id, j.owner, j.priority, j.place, j.since, j.cost, j.model, coalesce(o.due, 0) AS due, \
     coalesce(o.served, 0) AS served FROM lines l \
     JOIN jobs j ON j.id = (SELECT id FROM jobs WHERE status = 'queued' AND owner = l.owner AND priority = l.priority \
     ORDER BY place LIMIT 1) \
     LEFT JOIN owners o ON o.name = l.owner WHERE l.waiting > 0";
/// The first jobs of one line.
const LINE: &str = "SELECT j.id, j.owner, j.priority, j.place, j.since, j.cost, j.model, coalesce(o.due, 0) AS due, \
     coalesce(o.served, 0) AS served FROM jobs j LEFT JOIN owners o ON o.name = j.owner \
     WHERE j.status = 'queued' AND j.owner = ? AND j.priority = ? ORDER BY j.place LIMIT ?";

fn head(row: &SqliteRow) -> Result<(Head, String), sqlx::Error> {
    let head = Head {
        owner: row.try_get("owner")?,
        priority: policy::priority(row.try_get("priority")?),
        place: row.try_get("place")?,
        since: row.try_get("since")?,
        cost: row.try_get("cost")?,
        model: ModelId(row.try_get("model")?),
        due: row.try_get("due")?,
        served: row.try_get("served")?,
    };
    Ok((head, row.try_get("id")?))
}

async fn heads(connection: &mut SqliteConnection) -> Result<Vec<(Head, String)>, sqlx::Error> {
    sqlx::query(HEADS).fetch_all(connection).await?.iter().map(head).collect()
}

async fn line_of(connection: &mut SqliteConnection, of: &Head, limit: i64) -> Result<Vec<(Head, String)>, sqlx::Error> {
    let query = sqlx::query(LINE).bind(&of.owner).bind(policy::level(of.priority)).bind(limit);
    query.fetch_all(connection).await?.iter().map(head).collect()
}

/// Takes the job whose turn it is, from `now` to `until`.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    now: i64,
    until: i64,
    loaded: Option<&ModelId>,
) -> Result<Option<Lease>, sqlx::Error> {
    let sql = "SELECT paused, clock FROM queue";
    let (paused, clock): (bool, i64) = sqlx::query_as(sql).fetch_one(&mut *connection).await?;
    if paused {
        return Ok(None);
    }
    let (heads, ids): (Vec<Head>, Vec<String>) = heads(connection).await?.into_iter().unzip();
    let Some(turn) = policy::choose(&heads, clock, now, loaded) else { return Ok(None) };
    let first = (heads[turn.index].clone(), ids[turn.index].clone());
    let (head, id) = with_model(connection, first, loaded).await?;
    let sql = "INSERT INTO owners (name, due, served) VALUES (?, ?, ?) \
               ON CONFLICT (name) DO UPDATE SET due = excluded.due, served = excluded.served";
    let due = head.start(clock).saturating_add(head.cost);
    sqlx::query(sql).bind(&head.owner).bind(due).bind(now).execute(&mut *connection).await?;
    let sql = "UPDATE queue SET tokens = tokens + 1, clock = ? RETURNING tokens";
    let token: i64 = sqlx::query_scalar(sql).bind(turn.clock).fetch_one(&mut *connection).await?;
    let sql = "UPDATE jobs SET status = 'processing', token = ?, lease = ?, started = ?, attempts = attempts + 1 \
               WHERE id = ? AND status = 'queued' RETURNING request, params, attempts";
    let query = sqlx::query(sql).bind(token).bind(until).bind(now).bind(&id);
    let row = query.fetch_one(&mut *connection).await?;
    Ok(Some(Lease {
        owner: head.owner,
        request: parsed(row.try_get("request")?)?,
        params: parsed(row.try_get("params")?)?,
        inputs: inputs(connection, &id).await?,
        token,
        attempt: row.try_get("attempts")?,
        job: JobId(id),
    }))
}

/// The job of a line that goes first: its first one, or one further back whose model is loaded, unless the first one
/// was overtaken too often.
async fn with_model(
    connection: &mut SqliteConnection,
    first: (Head, String),
    loaded: Option<&ModelId>,
) -> Result<(Head, String), sqlx::Error> {
    if loaded.is_none_or(|loaded| *loaded == first.0.model) {
        return Ok(first);
    }
    let sql = "SELECT overtaken FROM jobs WHERE id = ?";
    let overtaken: i64 = sqlx::query_scalar(sql).bind(&first.1).fetch_one(&mut *connection).await?;
    if overtaken >= MOST_OVERTAKEN {
        return Ok(first);
    }
    let line = line_of(connection, &first.0, LOOK_BACK).await?;
    let Some(other) = line.into_iter().find(|(head, _)| loaded == Some(&head.model)) else { return Ok(first) };
    let sql = "UPDATE jobs SET overtaken = overtaken + 1 WHERE id = ?";
    sqlx::query(sql).bind(&first.1).execute(connection).await?;
    Ok(other)
}

/// The first jobs that would be claimed from now on, were no other to come.
pub(super) async fn line(connection: &mut SqliteConnection, limit: usize, now: i64) -> Result<Vec<JobId>, sqlx::Error> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut clock: i64 = sqlx::query_scalar("SELECT clock FROM queue").fetch_one(&mut *connection).await?;
    let mut lines: Vec<VecDeque<(Head, String)>> = Vec::new();
    for (head, _) in heads(connection).await? {
        lines.push(line_of(connection, &head, most).await?.into());
    }
    let mut turns: HashMap<String, (i64, i64)> = HashMap::new();
    let mut order = Vec::new();
    while order.len() < limit {
        lines.retain(|line| !line.is_empty());
        let heads: Vec<Head> = lines
            .iter()
            .filter_map(VecDeque::front)
            .map(|(head, _)| {
                let (due, served) = turns.get(&head.owner).copied().unwrap_or((head.due, head.served));
                Head { due, served, ..head.clone() }
            })
            .collect();
        let Some(turn) = policy::choose(&heads, clock, now, None) else { break };
        let head = &heads[turn.index];
        turns.insert(head.owner.clone(), (head.start(clock).saturating_add(head.cost), now));
        clock = turn.clock;
        order.extend(lines[turn.index].pop_front().map(|(_, id)| JobId(id)));
    }
    Ok(order)
}
