//! What a loaded model is given for a run besides LoRAs, and what is done to its picture: learned words, a fast decoder,
//! an upscaler.

use super::{EngineError, Progress};
use crate::models::{
    Catalogue, Extras, ModelFiles,
    words::{self, WordFile},
};
use fresco_diffusion::{Device, FastDecoder, Output, Pipeline, Upscaler};
use std::path::{Path, PathBuf};

/// What a model has at the moment.
#[derive(Default)]
pub(super) struct Worn {
    words: Vec<WordFile>,
    decoder: Option<(PathBuf, FastDecoder)>,
}

impl Worn {
    /// Gives the model what a run wants, and takes away what it does not. With `previews`, a pulled TAESD shows the
    /// run where nothing else was said.
    pub async fn change(
        &mut self,
        pipeline: &mut Pipeline,
        extras: &Extras,
        catalogue: &Catalogue,
        previews: bool,
    ) -> Result<(), EngineError> {
        if self.words != extras.words {
            pipeline.set_words(words::read(&extras.words).await?)?;
            self.words.clone_from(&extras.words);
        }
        let said = extras.fast_decoder.clone().map(|path| (path, FastDecoder::Everything));
        let shown = || Some((catalogue.preview_decoder(pipeline.facts().family)?, FastDecoder::Previews));
        let wanted = if previews { said.or_else(shown) } else { said };
        if self.decoder == wanted {
            return Ok(());
        }
        pipeline.clear_fast_decoder();
        self.decoder = None;
        if let Some((path, used)) = &wanted {
            let (folder, file) = ModelFiles::of_file(path);
            match (pipeline.load_fast_decoder(&folder, &file, *used).await, used) {
                (Ok(()), _) => {}
                // Previews are no reason to make no picture.
                (Err(error), FastDecoder::Previews) => tracing::warn!("no previews by {file}: {error}"),
                (Err(error), FastDecoder::Everything) => return Err(error.into()),
            }
        }
        self.decoder = wanted;
        Ok(())
    }
}

/// The picture enlarged by a network.
pub(super) async fn enlarged(
    output: Output,
    upscaler: &Path,
    device: &Device,
    progress: &mut Progress,
) -> Result<Output, EngineError> {
    let (folder, file) = ModelFiles::of_file(upscaler);
    let network = Upscaler::load(&folder, &file, device).await?;
    Ok(Output { picture: network.enlarge(&output.picture, progress).await?, ..output })
}
