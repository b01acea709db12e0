//! Writes of many callers in few transactions.
//!
//! A commit waits for the disk, and while it does the next writes gather; then they all go into one
//! transaction, each in a savepoint of its own.

use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{mpsc, oneshot};

/// Most writes of one transaction: the first of them waits for the last.
const MOST: usize = 64;

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// One of its statements failed.
    #[error(transparent)]
    Statement(#[from] sqlx::Error),
    /// The transaction that it was in failed as a whole.
    #[error("the transaction failed: {0}")]
    Commit(String),
    /// The transaction did not begin, or the writer has ended.
    #[error("the database takes no writes")]
    Closed,
}

/// Says a write's end to its caller; with a reason when the transaction failed.
type Tell = Box<dyn FnOnce(Option<String>) + Send>;
/// A write that nobody knows the answer's type of. It says whether it is to be kept.
type Work = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, (bool, Tell)> + Send>;

/// Puts writes one after the other.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::UnboundedSender<Work>,
}

impl Writer {
    /// Starts the task that writes; it ends with the last handle.
    pub fn start(pool: SqlitePool) -> Self {
        let (queue, inbox) = mpsc::unbounded_channel();
        tokio::spawn(attend(pool, inbox));
        Self { queue }
    }

    pub async fn write<T, W>(&self, work: W) -> Result<T, WriteError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            async move {
                let done = work(connection).await;
                let keep = done.is_ok();
                let tell: Tell = Box::new(move |broken| {
                    let answer = match broken {
                        None => done.map_err(WriteError::from),
                        Some(reason) => Err(WriteError::Commit(reason)),
                    };
                    // Whoever asked may be gone by now.
                    _ = reply.send(answer);
                });
                (keep, tell)
            }
            .boxed()
        });
        self.queue.send(work).map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }
}

async fn attend(pool: SqlitePool, mut inbox: mpsc::UnboundedReceiver<Work>) {
    let mut group = Vec::with_capacity(MOST);
    while inbox.recv_many(&mut group, MOST).await > 0 {
        let mut told = Vec::with_capacity(group.len());
        let committed = together(&pool, &mut group, &mut told).await;
        let broken = committed.err().map(|error| error.to_string());
        if let Some(reason) = &broken {
            tracing::error!("a transaction failed: {reason}");
        }
        // What did not even begin is dropped, which tells its caller that it was not written.
        group.clear();
        for tell in told {
            tell(broken.clone());
        }
    }
}

/// One transaction of everything in `group`. What to say to whom is in `told`.
async fn together(pool: &SqlitePool, group: &mut Vec<Work>, told: &mut Vec<Tell>) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for work in group.drain(..) {
        told.push(one(&mut transaction, work).await?);
    }
    transaction.commit().await
}

async fn one(transaction: &mut Transaction<'static, Sqlite>, work: Work) -> Result<Tell, sqlx::Error> {
    let mut savepoint = Connection::begin(&mut **transaction).await?;
    let (keep, tell) = work(&mut savepoint).await;
    if keep {
        savepoint.commit().await?;
    } else {
        savepoint.rollback().await?;
    }
    Ok(tell)
}

#[cfg(test)]
mod tests {
    use crate::data::{Database, WriteError};
    use futures_util::{FutureExt, future::join_all};
    use std::path::PathBuf;

    /// A folder of a test's own, emptied.
    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("fresco-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        path
    }

    async fn put(data: &Database, number: i64) -> Result<(), WriteError> {
        data.write(move |connection| {
            async move {
                sqlx::query("INSERT INTO numbers VALUES (?)").bind(number).execute(connection).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    #[tokio::test]
    async fn what_fails_is_undone_alone_and_the_rest_is_kept() {
        let home = folder("writer");
        let data = Database::open(&home).await.expect("a database");
        sqlx::query("CREATE TABLE numbers (number INTEGER PRIMARY KEY)").execute(data.writer()).await.expect("a table");
        // All at once, each number twice.
        let written = join_all((0..200).map(|index| put(&data, index % 100))).await;
        assert_eq!(written.iter().filter(|written| written.is_ok()).count(), 100);
        assert!(written.iter().all(|written| !matches!(written, Err(WriteError::Commit(_) | WriteError::Closed))));
        data.close().await;
        let again = Database::open(&home).await.expect("the same database");
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM numbers").fetch_one(again.reader()).await.expect("a count");
        assert_eq!(count, 100);
        again.close().await;
        _ = std::fs::remove_dir_all(home);
    }

    #[tokio::test]
    async fn a_write_is_not_cut_off_by_who_asked_for_it() {
        let home = folder("cut-off");
        let data = Database::open(&home).await.expect("a database");
        sqlx::query("CREATE TABLE numbers (number INTEGER PRIMARY KEY)").execute(data.writer()).await.expect("a table");
        // Polled once, which hands it in, and dropped.
        assert!(put(&data, 1).now_or_never().is_none());
        put(&data, 2).await.expect("is written");
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM numbers").fetch_one(data.reader()).await.expect("a count");
        assert_eq!(count, 2);
        data.close().await;
        _ = std::fs::remove_dir_all(home);
    }

    #[tokio::test]
    async fn one_program_has_a_folder_alone() {
        let home = folder("alone");
        let first = super::super::alone(&home).expect("a file").expect("the first has it");
        assert!(super::super::alone(&home).expect("a file").is_none());
        drop(first);
        assert!(super::super::alone(&home).expect("a file").is_some());
        _ = std::fs::remove_dir_all(home);
    }
}
