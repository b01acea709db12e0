//! `fresco models pull`.

use super::human;
use crate::{
    cli::{Problem, say},
    config::model_path,
    models::{
        hub::{Hub, Listed, Settings, Watch},
        library::Library,
        published::{Precision, Published},
        pull::{Follow, Plan, pull},
    },
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{io::IsTerminal, path::Path};

/// Fetch a model.
#[derive(Debug, Args)]
pub(in crate::cli) struct Pull {
    /// The model, as `fresco models list` shows it.
    id: String,
    /// Half-precision weights (fp16), or those first published (full).
    #[arg(long, default_value_t = Precision::Fp16)]
    precision: Precision,
    /// The most bytes a second, such as 500k or 20M.
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    max_rate: Option<u32>,
    /// Files fetched at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    at_once: u8,
}

impl Pull {
    pub(super) async fn run(self, home: &Path) -> Result<(), Problem> {
        let settings = Settings {
            at_once: usize::from(self.at_once),
            max_rate: self.max_rate.unwrap_or_default(),
            ..Settings::from_env()?
        };
        if let Some(entry) = Published::find(&self.id).filter(|entry| entry.repository.is_some()) {
            let repository = entry.repository.as_deref().unwrap_or_default();
            say(format_args!(
                "{} from {} ({repository}); licence: {}",
                entry.id, settings.endpoint, entry.licence.name
            ));
        }
        let library = Library::new(home, model_path());
        let (hub, show) = (Hub::new(settings)?, Show::new());
        let pulled = tokio::select! {
            pulled = pull(&library, &hub, &self.id, self.precision, &show) => pulled,
            Ok(()) = tokio::signal::ctrl_c() => {
                show.bar.finish_and_clear();
                return Err(Problem::interrupted());
            }
        };
        show.bar.finish_and_clear();
        let pulled = pulled?;
        let state = if pulled.was_there { "is there already" } else { "is installed" };
        say(format_args!("{} {state}: {}", pulled.manifest.id, pulled.place.display()));
        Ok(())
    }
}

/// A bar on a terminal, and one line a file everywhere.
struct Show {
    bar: ProgressBar,
}

impl Show {
    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        // The template is ours; a wrong one is drawn the default way.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    fn line(&self, line: String) {
        self.bar.suspend(|| say(line));
    }
}

impl Watch for Show {
    fn started(&self, file: &Listed, have: u64) {
        if have > 0 {
            self.line(format!("{}: goes on at {} of {}", file.path, human(have), human(file.size)));
        }
    }

    fn advanced(&self, _: &Listed, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn restarted(&self, file: &Listed, lost: u64) {
        self.bar.set_position(self.bar.position().saturating_sub(lost));
        self.line(format!("{}: begins anew", file.path));
    }

    fn finished(&self, file: &Listed, cached: bool) {
        let how = if cached { "there already" } else { "fetched" };
        self.line(format!("{}: {how}, {}, checked by {}", file.path, human(file.size), file.digest));
    }
}

impl Follow for Show {
    fn planned(&self, plan: Plan) {
        let Plan { files, bytes, missing } = plan;
        self.bar.set_length(missing);
        self.line(format!("{files} files, {}; {} to fetch", human(bytes), human(missing)));
    }
}

/// `500k`, `20M` or plain bytes, in powers of 1000.
fn rate(text: &str) -> Result<u32, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']).map(|digits| (digits, 1_000)) {
        Some(found) => found,
        None => text.strip_suffix(['m', 'M']).map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let number = digits.trim().parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    number.filter(|number| *number >= 1_000).ok_or_else(|| "must be 1k to 4000M bytes a second".to_owned())
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rates_are_read() {
        let good = [("5000", 5_000), ("500k", 500_000), ("20M", 20_000_000), ("1K", 1_000)];
        assert!(good.iter().all(|(text, bytes)| rate(text) == Ok(*bytes)));
        assert!(["", "0", "-1", "5G", "M", "5000M", "999"].iter().all(|text| rate(text).is_err()));
    }
}
