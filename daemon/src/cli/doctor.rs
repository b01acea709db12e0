//! `fresco doctor`.

use super::{Problem, say};
use crate::{
    config::model_path,
    engine::{
        DeviceChoice,
        device::{Finding, choose, regret},
    },
    models::Catalogue,
};
use clap::Args;
use std::path::Path;

/// Show the devices on this machine, which one is used, and why.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Judge as if this had been asked for: auto, cpu, vulkan, cuda or metal.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
}

impl Doctor {
    pub(super) fn run(self, home: &Path) -> Result<(), Problem> {
        say(format_args!("fresco {}", env!("CARGO_PKG_VERSION")));
        let there = if home.is_dir() { "" } else { " (not there yet)" };
        say(format_args!("home: {}{there}", home.display()));
        let entries = Catalogue::new(home, Vec::new()).searching(home, model_path()).list();
        let usable = entries.iter().flatten().count();
        say(format_args!("models: {usable} usable, {} broken", entries.len() - usable));
        say("devices, best first:");
        let verdicts = choose(self.device);
        for verdict in &verdicts {
            say(format_args!("  {}: {}", verdict.name(), verdict.finding));
        }
        for (name, built) in [("cuda", cfg!(feature = "cuda")), ("vulkan", cfg!(feature = "vulkan"))] {
            if !built {
                say(format_args!("  {name} is not part of this build"));
            }
        }
        let chosen = verdicts.iter().find(|verdict| verdict.finding == Finding::Chosen);
        let chosen = chosen.ok_or_else(|| Problem::failed(regret(self.device, &verdicts)))?;
        say(format_args!("models run on {}", chosen.name()));
        Ok(())
    }
}
