//! The database: one SQLite file in the data folder, which outlives crashes of the program and, where the disk
//! keeps its word about `fsync`, of the machine.
//!
//! One connection writes, several read. What writes goes through [`Database::write`] where it can: it puts
//! writes that come at the same time into one transaction, whose end is one `fsync` for all of them.

mod writer;

pub use writer::WriteError;

use futures_util::future::BoxFuture;
use sqlx::{
    ConnectOptions, SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};
use writer::Writer;

/// The file's name in the data folder.
const FILE: &str = "fresco.db";
/// Every step from an empty file to today's tables. What has been published is never changed, only added to.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "jobs", include_str!("../../migrations/0001_jobs.sql")),
    (2, "images", include_str!("../../migrations/0002_images.sql")),
];
/// Connections that read at the same time.
const READERS: u32 = 4;
/// How long a connection waits for another one's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The data folder cannot be made.
    #[error("{}: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is no database, or another program has it.
    #[error("{}: {error}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        error: sqlx::Error,
    },
    /// The file was written by another version of this program.
    #[error("{}: {error}", file.display())]
    Migrate {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: sqlx::migrate::MigrateError,
    },
}

/// A handle of the database; clones are the same.
#[derive(Clone)]
pub struct Database {
    reader: SqlitePool,
    writer: SqlitePool,
    queue: Writer,
}

impl Database {
    /// Opens the database in a data folder; makes both where they are not there yet.
    ///
    /// # Errors
    /// When the folder cannot be made or the file cannot be used.
    pub async fn open(home: &Path) -> Result<Self, DatabaseError> {
        let folder = |error| DatabaseError::Folder { folder: home.to_owned(), error };
        fs::create_dir_all(home).map_err(folder)?;
        let file = home.join(FILE);
        let open = |error| DatabaseError::Open { file: file.clone(), error };
        // Connections are kept: opening one parses the whole schema.
        const NEVER: Option<Duration> = None;
        let pool = |size| SqlitePoolOptions::new().max_connections(size).idle_timeout(NEVER).max_lifetime(NEVER);
        let writer = pool(1).connect_with(writing(&file)).await.map_err(open)?;
        let mut migrator = migrator();
        // An older program reads a newer file as long as it knows the tables it uses.
        migrator.set_ignore_missing(true);
        migrator.run(&writer).await.map_err(|error| DatabaseError::Migrate { file: file.clone(), error })?;
        let reader = pool(READERS).connect_with(reading(&file)).await.map_err(open)?;
        Ok(Self { reader, queue: Writer::start(writer.clone()), writer })
    }

    /// Connections that only read. What they see is as old as their statement.
    pub fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// The one connection that writes. A transaction of one's own on it begins with `BEGIN IMMEDIATE`.
    pub fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Runs `work` in a transaction, and returns when it is on the disk. It shares the transaction with what
    /// others write at the same time, but not their fate: what fails is undone alone. A caller that goes away
    /// does not cut it off.
    ///
    /// # Errors
    /// When a statement or the commit fails; nothing has changed then.
    pub async fn write<T, W>(&self, work: W) -> Result<T, WriteError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        self.queue.write(work).await
    }

    /// Ends every connection, the written file first brought up to date.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// The right to take a data folder for one's own as long as it is held; `None` when another program has it.
///
/// # Errors
/// When the folder or the file cannot be made.
pub fn alone(home: &Path) -> std::io::Result<Option<File>> {
    fs::create_dir_all(home)?;
    let file = File::options().create(true).write(true).truncate(false).open(home.join("fresco.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn reading(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE).disable_statement_logging().read_only(true)
}

fn writing(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // In a write-ahead log this is one fsync a commit: what was said to be accepted is on the disk.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .disable_statement_logging()
}

fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}
