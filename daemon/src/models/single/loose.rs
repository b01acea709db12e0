//! Parts of a model as single files that lie near it, as ComfyUI and stable-diffusion.cpp want them: autoencoder and
//! text encoders beside a file that holds only the denoiser.

use crate::models::{ModelFiles, at_once, library::is_weights};
use fresco_diffusion::weights::{
    self, Listing,
    checkpoint::{Family, Kind, Part, listings, recognise},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Folders beside a model's own folder in which people keep such files.
const NEIGHBOURS: [&str; 5] = ["vae", "VAE", "text_encoders", "clip", "text_encoder"];
/// So many files near a model are looked at.
const MOST_FILES: usize = 64;

/// A file that holds parts of models, and no denoiser.
pub(super) struct Loose {
    path: PathBuf,
    parts: BTreeMap<Part, Listing>,
}

/// What a denoiser needs of its other parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub family: Family,
    /// Width of the prompt's states.
    pub context: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
}

/// Every such file in the folders of a model's file and near them, by path. Reads headers.
pub(super) fn near(model: &Path, folders: &[PathBuf]) -> Vec<Loose> {
    let beside = |folder: &PathBuf| {
        let parent = folder.parent().map(Path::to_owned);
        NEIGHBOURS.iter().filter_map(move |name| Some(parent.as_ref()?.join(name))).collect::<Vec<_>>()
    };
    let own = model.canonicalize().ok();
    let all = folders.iter().flat_map(|folder| std::iter::once(folder.clone()).chain(beside(folder)));
    let mut paths: Vec<PathBuf> = all.flat_map(|folder| weights_in(&folder)).collect();
    paths.retain(|path| path.canonicalize().ok() != own);
    paths.dedup();
    paths.truncate(MOST_FILES);
    paths.into_iter().filter_map(|path| Some(Loose { parts: parts(&path)?, path })).collect()
}

fn weights_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is =
        |path: &PathBuf| path.is_file() && path.file_name().is_some_and(|name| is_weights(&name.to_string_lossy()));
    let mut paths: Vec<PathBuf> = entries.filter(is).collect();
    paths.sort();
    paths
}

/// The parts in a file that holds no denoiser; nothing where it is another kind of file, or damaged.
fn parts(path: &Path) -> Option<BTreeMap<Part, Listing>> {
    let (folder, name) = ModelFiles::of_file(path);
    let header = at_once(weights::header(&folder, &name)).ok()?;
    if recognise(&header.tensors) != Kind::Model {
        return None;
    }
    let parts = listings(&name, &header.tensors).ok()?;
    let denoises = parts.contains_key(&Part::Unet) || parts.contains_key(&Part::Transformer);
    (!denoises && !parts.is_empty()).then_some(parts)
}

/// The first file with a part that fits.
pub(super) fn choose(loose: &[Loose], wanted: Part, needs: Needs) -> Option<&Path> {
    let fits = |file: &&Loose| file.parts.get(&wanted).is_some_and(|listing| file.fits(wanted, listing, needs));
    loose.iter().find(fits).map(|file| file.path.as_path())
}

impl Loose {
    fn fits(&self, part: Part, listing: &Listing, needs: Needs) -> bool {
        let side = |name: &str, axis: usize| listing.shape(name).and_then(|shape| shape.get(axis)).copied();
        match part {
            Part::Vae => {
                // The autoencoders of 1 and XL have the same shapes and other latents: only their names tell.
                let name = self.path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
                let four = needs.latent_channels == 4;
                side("decoder.conv_in.weight", 1) == Some(needs.latent_channels)
                    && (!four || name.contains("xl") == (needs.family == Family::Sdxl))
            }
            Part::TextEncoder => {
                let width = match needs.family {
                    Family::Sd1 | Family::Sd2 => needs.context,
                    // CLIP-L beside bigG.
                    Family::Sdxl | Family::Sd3 => 768,
                };
                side("text_model.final_layer_norm.weight", 0) == Some(width)
            }
            // Its width is how it was recognised.
            Part::TextEncoder2 => true,
            Part::TextEncoder3 => side("shared.weight", 1) == Some(needs.context),
            Part::Unet | Part::Transformer => false,
        }
    }
}
