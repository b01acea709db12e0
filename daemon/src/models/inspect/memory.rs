//! How much memory a picture takes, under settings that take ever less. Estimates, from headers and configuration.

use super::{Part, Role};
use crate::models::ModelFiles;
use fresco_diffusion::{
    Part as Use, Pipeline, Precision,
    fit::{Need, Outline, Savings, Work},
};
use futures_executor::block_on;
use serde::Serialize;

/// What a picture takes under one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The setting.
    pub savings: Savings,
    /// Whether the engine takes it by itself; the others are for somebody to decide on.
    pub automatic: bool,
    /// The bytes.
    #[serde(flatten)]
    pub need: Need,
}

/// A model as memory sees it, from its parts; `files` are those of a whole model, where there is one.
pub fn outline(parts: &[Part], files: Option<&ModelFiles>) -> Outline {
    let facts = files.and_then(|files| block_on(Pipeline::inspect(files)).ok());
    let transformer = parts.iter().any(|part| part.name == "transformer");
    Outline {
        parts: parts.iter().map(|part| (purpose(part.role), part.footprint)).collect(),
        work: facts.map_or_else(|| Work::guessed(transformer), |facts| facts.work),
    }
}

fn purpose(role: Role) -> Use {
    match role {
        Role::TextEncoder => Use::Text,
        Role::Denoiser => Use::Denoiser,
        Role::Vae | Role::Other => Use::Autoencoder,
    }
}

/// What a picture of `size` takes with guidance, for each setting, the most generous first; with `precision` only the
/// settings of that precision.
pub fn lines(outline: &Outline, size: (u32, u32), precision: Option<Precision>) -> Vec<Line> {
    let own = outline.ladder().into_iter().map(|savings| (savings, true));
    let mut lines: Vec<Line> = Vec::new();
    for (savings, automatic) in own.chain(outline.beyond().map(|savings| (savings, false))) {
        let savings = Savings { precision: precision.unwrap_or(savings.precision), ..savings };
        if lines.iter().all(|line| line.savings != savings) {
            lines.push(Line { savings, automatic, need: outline.need(size, savings) });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{inspect::published, published::Published};

    #[test]
    fn each_setting_takes_less() {
        for id in ["sd-turbo", "sd-1.5", "sdxl-base", "sd3.5-large"] {
            let entry = Published::find(id).expect("an entry");
            let side = entry.defaults.as_ref().expect("defaults").side;
            let outline = outline(&published(entry), None);
            let peaks = |precision| -> Vec<u64> {
                lines(&outline, (side, side), precision).iter().map(|line| line.need.peak).collect()
            };
            let all = peaks(None);
            assert!(all.is_sorted_by(|more, less| more >= less), "{id}: {all:?}");
            assert!(all[0] > 2 * all[4] && all[6] > 1 << 29, "{id}: {all:?}");
            assert!(peaks(Some(Precision::F32)).len() < all.len(), "{id}");
        }
    }

    #[test]
    fn the_embedded_model_is_outlined_by_its_own_configuration() {
        let parts = super::super::folder(&ModelFiles::Embedded).expect("its weights");
        let known = outline(&parts, Some(&ModelFiles::Embedded));
        assert!(known.is_narrow() && known.work != Work::guessed(false));
        let facts = block_on(Pipeline::inspect(&ModelFiles::Embedded)).expect("a model");
        let savings = Savings::default();
        assert_eq!(known.need((256, 256), savings), facts.outline().need((256, 256), savings));
    }
}
