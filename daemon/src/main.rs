//! The `fresco` command: parse, log, run, and one line when something is wrong.

use clap::Parser;
use fresco_daemon::cli::{self, Cli};
use std::{io::IsTerminal, panic, process::ExitCode, time::Duration};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no mistakes.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return cli::Problem::from(error).report(),
    };
    log(cli.log_level());
    quiet_panics();
    fresco_daemon::tls::install();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return cli::Problem::failed(format!("the runtime cannot be started: {error}")).report(),
    };
    let ended = runtime.block_on(cli.run());
    // Whatever still reads a disk must not hold the command up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.report(),
    }
}

/// Logs go to stderr; `RUST_LOG` overrides the level.
fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let stderr = std::io::stderr;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    log.with_ansi(stderr().is_terminal()).init();
}

/// A panic becomes one line of the log. The engine's are caught there and reported by their job.
fn quiet_panics() {
    panic::set_hook(Box::new(|info| {
        if std::thread::current().name() == Some(fresco_daemon::engine::THREAD) {
            tracing::debug!("{info}");
        } else {
            tracing::error!("{info}");
        }
    }));
}
