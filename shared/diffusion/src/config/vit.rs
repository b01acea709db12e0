//! A vision transformer that names what a picture shows: `config.json` as transformers writes it for
//! `ViTForImageClassification`, or as timm does.

use super::{count, only, read_json, read_text};
use crate::{LoadError, Source, post::Filter};
use serde::Deserialize;
use std::collections::BTreeMap;

const CONFIG: &str = "config.json";
const SIGHT: &str = "preprocessor_config.json";

/// A classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct VitConfig {
    /// Width of a patch's state.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width between the two linear layers of a block.
    pub wide: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Side of the picture that it sees, in pixels.
    pub side: usize,
    /// Added to the variance in layer norms.
    pub epsilon: f64,
    /// What it can say, in the order of its output.
    pub labels: Vec<String>,
    /// How a picture becomes its input.
    pub sight: Sight,
}

/// How a picture becomes a network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// Subtracted from values in 0 to 1, a channel each.
    pub mean: [f32; 3],
    /// What the difference is divided by.
    pub deviation: [f32; 3],
    /// How it is resized.
    pub filter: Filter,
    /// Whether a picture that is not square loses its longer ends, instead of its proportions.
    pub crops: bool,
}

impl Default for Sight {
    fn default() -> Self {
        Self { mean: [0.5; 3], deviation: [0.5; 3], filter: Filter::Bilinear, crops: false }
    }
}

#[derive(Deserialize)]
struct Transformers {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    image_size: usize,
    patch_size: usize,
    #[serde(default = "tiny")]
    layer_norm_eps: f64,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "yes")]
    qkv_bias: bool,
    #[serde(default)]
    id2label: BTreeMap<usize, String>,
}

#[derive(Default, Deserialize)]
struct Processor {
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    /// Pillow's number.
    resample: Option<u32>,
}

#[derive(Deserialize)]
struct Timm {
    architecture: String,
    label_names: Option<Vec<String>>,
    #[serde(default)]
    global_pool: Option<String>,
    pretrained_cfg: Pretrained,
}

#[derive(Deserialize)]
struct Pretrained {
    mean: [f32; 3],
    std: [f32; 3],
    interpolation: Option<String>,
    crop_mode: Option<String>,
    crop_pct: Option<f32>,
    label_names: Option<Vec<String>>,
    num_classes: Option<usize>,
}

impl VitConfig {
    /// Reads it from the folder's root.
    ///
    /// # Errors
    /// A file is missing or damaged, or asks for something that is not built.
    pub async fn read(source: &impl Source) -> Result<Self, LoadError> {
        let said: serde_json::Value = read_json(source, CONFIG).await?;
        let bad = |error| LoadError::bad(CONFIG, error);
        let config = match said.get("architecture") {
            Some(_) => serde_json::from_value::<Timm>(said).map_err(bad)?.config()?,
            None => {
                let sight = match read_text(source, SIGHT).await? {
                    Some(text) => serde_json::from_slice(&text).map_err(|error| LoadError::bad(SIGHT, error))?,
                    None => Processor::default(),
                };
                serde_json::from_value::<Transformers>(said).map_err(bad)?.config(&sight)?
            }
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), LoadError> {
        count(CONFIG, "hidden_size", self.width, 4096)?;
        count(CONFIG, "num_hidden_layers", self.depth, 64)?;
        count(CONFIG, "num_attention_heads", self.heads, self.width)?;
        count(CONFIG, "intermediate_size", self.wide, 16_384)?;
        count(CONFIG, "image_size", self.side, 1024)?;
        count(CONFIG, "patch_size", self.patch, self.side)?;
        count(CONFIG, "labels", self.labels.len(), 10_000)?;
        if !self.side.is_multiple_of(self.patch) || !self.width.is_multiple_of(self.heads) {
            return Err(LoadError::bad(CONFIG, "patches or heads do not divide what they are parts of"));
        }
        Ok(())
    }

    /// Patches of the picture.
    pub fn patches(&self) -> usize {
        (self.side / self.patch).pow(2)
    }
}

impl Transformers {
    fn config(self, processor: &Processor) -> Result<VitConfig, LoadError> {
        only(CONFIG, "hidden_act", &self.hidden_act, &gelu())?;
        only(CONFIG, "qkv_bias", &self.qkv_bias, &true)?;
        let usual = Sight::default();
        let filter = match processor.resample {
            Some(1) => Filter::Lanczos,
            None | Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(other) => return Err(LoadError::unsupported(SIGHT, format!("resample = {other}"))),
        };
        let sight = Sight {
            mean: processor.image_mean.unwrap_or(usual.mean),
            deviation: processor.image_std.unwrap_or(usual.deviation),
            filter,
            crops: false,
        };
        Ok(VitConfig {
            width: self.hidden_size,
            depth: self.num_hidden_layers,
            heads: self.num_attention_heads,
            wide: self.intermediate_size,
            patch: self.patch_size,
            side: self.image_size,
            epsilon: self.layer_norm_eps,
            labels: self.id2label.into_values().collect(),
            sight,
        })
    }
}

impl Timm {
    /// timm says sizes by a name, as `vit_tiny_patch16_384`: those of Touvron et al. 2021, table 1.
    fn config(self) -> Result<VitConfig, LoadError> {
        let unknown = || LoadError::unsupported(CONFIG, format!("architecture = {:?}", self.architecture));
        let mut parts = self.architecture.split('_');
        let (kind, name, patch, side) = (parts.next(), parts.next(), parts.next(), parts.next());
        let heads = match (kind, name) {
            (Some("vit"), Some("tiny")) => 3,
            (Some("vit"), Some("small")) => 6,
            (Some("vit"), Some("base")) => 12,
            _ => return Err(unknown()),
        };
        let patch = patch.and_then(|part| part.strip_prefix("patch")?.parse().ok()).ok_or_else(unknown)?;
        let side = side.and_then(|part| part.parse().ok()).ok_or_else(unknown)?;
        if let Some(pool) = &self.global_pool {
            only(CONFIG, "global_pool", &pool.as_str(), &"token")?;
        }
        let said = self.pretrained_cfg;
        let filter = match said.interpolation.as_deref() {
            None | Some("bicubic") => Filter::Bicubic,
            Some("bilinear") => Filter::Bilinear,
            Some(other) => return Err(LoadError::unsupported(CONFIG, format!("interpolation = {other:?}"))),
        };
        let crops = said.crop_mode.as_deref() != Some("squash");
        if crops {
            only(CONFIG, "crop_pct", &said.crop_pct.unwrap_or(1.0), &1.0)?;
        }
        let numbered = || (0..said.num_classes.unwrap_or(0).min(10_000)).map(|i| i.to_string()).collect();
        Ok(VitConfig {
            width: 64 * heads,
            depth: 12,
            heads,
            wide: 256 * heads,
            patch,
            side,
            epsilon: 1e-6,
            labels: self.label_names.or(said.label_names).unwrap_or_else(numbered),
            sight: Sight { mean: said.mean, deviation: said.std, filter, crops },
        })
    }
}

fn tiny() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn yes() -> bool {
    true
}
