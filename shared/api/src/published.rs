//! Models that can be fetched: what each is, under which licence, and which files of its repository it needs.
//!
//! The entries are data, in `published/published.json`.

mod select;

pub use select::{Chosen, select};

use crate::{ModelId, ModelInfo, Sampler, limits};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::LazyLock};

/// The entries as they are written.
const DATA: &str = include_str!("published/published.json");

/// Read once; a test holds the data to its form.
static ENTRIES: LazyLock<Vec<Published>> = LazyLock::new(|| serde_json::from_str(DATA).unwrap_or_default());

/// A published model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Published {
    /// The name to pull it by and to put into requests.
    pub id: ModelId,
    /// The name for people.
    pub name: String,
    /// One honest sentence about it.
    pub description: String,
    /// `owner/name` on the hub; none for a model inside the program.
    pub repository: Option<String>,
    /// The branch, tag or commit that is fetched.
    #[serde(default = "main_branch")]
    pub revision: String,
    /// What may be done with it.
    pub licence: Licence,
    /// What it is a kind of.
    pub family: Family,
    /// What a request gets that leaves something out; none for what makes no picture by itself.
    pub defaults: Option<Defaults>,
    /// Folders with weights, each with its configuration; `.` is the repository's own folder.
    pub components: Vec<Component>,
    /// Folders and files of the repository that have no weights.
    #[serde(default)]
    pub configuration: Vec<String>,
    /// Files whose content is known here; the hub must list the same.
    #[serde(default)]
    pub pinned: Vec<Pinned>,
    /// What can run it.
    pub engines: Vec<Engine>,
}

/// Terms of use.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Licence {
    /// Its name.
    pub name: String,
    /// Whether the hub asks for consent before it gives the files.
    pub gated: bool,
}

/// Models of one family have the same parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Stable Diffusion 1.x: CLIP-L and a UNet.
    Sd1,
    /// Stable Diffusion 2.x and SD-Turbo: OpenCLIP-H and a UNet.
    Sd2,
    /// Stable Diffusion XL: two CLIP encoders and a UNet.
    Sdxl,
    /// Stable Diffusion 3.x: two CLIP encoders, T5 and an MMDiT.
    Sd3,
    /// A tiny autoencoder for previews.
    Taesd,
}

/// Where a model can run, as far as its size and parts allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// A browser's tab: what fits a wasm32 heap tensor by tensor, and a common GPU.
    Browser,
    /// The daemon's own device.
    Daemon,
}

/// What a request gets that leaves something out.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Defaults {
    /// Denoising steps.
    pub steps: u32,
    /// Guidance scale; 0 for distilled models.
    pub guidance: f32,
    /// Width and height in pixels.
    pub side: u32,
    /// The sampler's wire name. A name, because a published model may want one that this program does not have.
    pub sampler: String,
}

/// A part of a model with weights of its own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    /// The folder in the repository.
    pub folder: String,
    /// About how many parameters it has, by its published architecture.
    pub parameters: u64,
}

/// A file whose content is known.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pinned {
    /// Its path in the repository.
    pub path: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Which weights of those that a repository has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Half precision where the repository has it, otherwise what it has.
    #[default]
    Fp16,
    /// The weights as they were trained or first published.
    Full,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Fp16 => "fp16",
            Precision::Full => "full",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "fp16" | "f16" | "half" => Ok(Precision::Fp16),
            "full" | "fp32" | "f32" => Ok(Precision::Full),
            _ => Err("precision must be fp16 or full".to_owned()),
        }
    }
}

impl Published {
    /// Every entry, in the order in which a list shows them.
    pub fn all() -> &'static [Published] {
        &ENTRIES
    }

    /// An entry by its name.
    pub fn find(id: &str) -> Option<&'static Published> {
        Self::all().iter().find(|entry| entry.id.0.eq_ignore_ascii_case(id))
    }

    /// Whether a tab can run it.
    pub fn in_browser(&self) -> bool {
        self.engines.contains(&Engine::Browser)
    }

    /// About how many numbers its weights have.
    pub fn parameters(&self) -> u64 {
        self.components.iter().map(|component| component.parameters).sum()
    }

    /// About how many bytes its weights have: two a parameter in half precision, four in full.
    pub fn about_bytes(&self, precision: Precision) -> u64 {
        // The third generation is published in half precision only.
        let wide = precision == Precision::Full && self.family != Family::Sd3;
        self.parameters() * if wide { 4 } else { 2 }
    }

    /// The catalogue's entry for it once it is installed; none for what makes no picture by itself.
    pub fn info(&self) -> Option<ModelInfo> {
        let defaults = self.defaults.as_ref()?;
        Some(ModelInfo {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            demo: false,
            latent_factor: 8,
            min_side: defaults.side / 4,
            max_side: (defaults.side * 2).min(limits::MAX_SIDE),
            default_side: defaults.side,
            default_steps: defaults.steps,
            default_guidance: defaults.guidance,
            default_sampler: defaults.sampler.parse().unwrap_or_default(),
            samplers: Sampler::ALL.to_vec(),
            ..ModelInfo::default()
        })
    }
}

fn main_branch() -> String {
    "main".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_has_its_form() {
        let entries: Vec<Published> = serde_json::from_str(DATA).expect("published.json has the form of Published");
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.0.as_str()).collect();
        let expected = [
            "fresco-tiny",
            "sd-turbo",
            "sd-1.5",
            "sd-2.1",
            "sdxl-turbo",
            "sdxl-base",
            "sd3.5-medium",
            "sd3.5-large",
            "sd3.5-large-turbo",
            "taesd",
            "taesdxl",
            "taesd3",
        ];
        assert_eq!(ids, expected);
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Published::find("SD-Turbo").map(|entry| entry.id.0.as_str()), Some("sd-turbo"));
        assert!(Published::find("sd9").is_none());
    }

    #[test]
    fn a_tab_is_offered_what_it_can_run() {
        let ids: Vec<&str> =
            Published::all().iter().filter(|entry| entry.in_browser()).map(|entry| entry.id.0.as_str()).collect();
        assert!(ids.contains(&"sd-turbo") && !ids.contains(&"sd3.5-large"), "{ids:?}");
        assert_eq!(Published::find("sd-turbo").expect("an entry").parameters(), 1_289_952_427);
    }
}
