//! A diffusers folder on disk: its files, and what the catalogue says about it.

use super::{
    Model, ModelFiles,
    library::{Manifest, ManifestFile},
};
use fresco_api::{ApiError, ErrorCode, ModelFile, ModelId, ModelInfo, limits};
use fresco_diffusion::{Facts, FamilyName, LoadError, Pipeline, SourceError};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Component, Path, PathBuf},
};

/// The file by which a folder shows that it is a model.
pub(super) const INDEX: &str = "model_index.json";
/// What its maker says about it, when there is such a file.
pub(super) const INFO: &str = "fresco.json";
/// A catalogue entry is no longer than this.
const INFO_BYTES: u64 = 64 << 10;
/// No single piece of a model that is read at once is larger.
const PIECE_BYTES: u64 = 16 << 30;

/// A folder whose files can be read and nothing outside it.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The files below `path`.
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        length(&self.path(file)?, file)
    }

    pub(super) fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        part(&self.path(file)?, file, range)
    }

    /// The files that a fetch put here, with what it checked them by.
    pub(super) fn listed(&self) -> Option<Vec<ModelFile>> {
        let file = |file: ManifestFile| {
            let digest = |kind: &str| (file.checked == kind).then(|| file.digest.clone());
            ModelFile { sha256: digest("sha256"), git: digest("git sha1"), path: file.path, size: file.size }
        };
        Some(Manifest::read(&self.0)?.files.into_iter().map(file).collect())
    }

    /// Names come from files of the model itself, which may be anybody's: none may lead out of the folder.
    fn path(&self, file: &str) -> Result<PathBuf, SourceError> {
        let inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        if file.is_empty() || !inside || file.contains(['\\', '\0']) {
            return Err(SourceError::new(file, "leads out of the model's folder"));
        }
        Ok(self.0.join(file))
    }
}

/// The length in bytes of the file at `path`, which errors call `file`; nothing where there is none.
pub(super) fn length(path: &Path, file: &str) -> Result<Option<u64>, SourceError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(SourceError::new(file, "is not a file")),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(SourceError::new(file, error)),
    }
}

/// Some bytes of the file at `path`, which errors call `file`.
pub(super) fn part(path: &Path, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
    let wanted = range.end.saturating_sub(range.start);
    // Asked before memory is taken: a damaged header may ask for anything.
    let whole = length(path, file)?.ok_or_else(|| SourceError::new(file, "is missing"))?;
    if range.end > whole || wanted > PIECE_BYTES {
        return Err(SourceError::new(file, "ends too early"));
    }
    let mut bytes = Vec::new();
    let mut read = || -> io::Result<()> {
        let mut opened = File::open(path)?;
        opened.seek(SeekFrom::Start(range.start))?;
        bytes.reserve_exact(usize::try_from(wanted).map_err(io::Error::other)?);
        opened.take(wanted).read_to_end(&mut bytes)?;
        Ok(())
    };
    read().map_err(|error| SourceError::new(file, error))?;
    if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(SourceError::new(file, "ends too early")) }
}

/// Looks at a folder's configuration.
pub(super) fn open(path: &Path, id: ModelId) -> Result<Model, ApiError> {
    let folder = Folder::at(path);
    if !path.is_dir() {
        let message = format!("{} is not a folder", path.display());
        return Err(ApiError::new(ErrorCode::UnknownModel, message).at("model"));
    }
    let files = ModelFiles::Folder(folder.clone());
    let facts = super::at_once(Pipeline::inspect(&files))?;
    let written = written_info(&folder)?;
    let info = match written {
        Some(info) => {
            let (bytes, latent_factor) = (facts.bytes, facts.side_multiple);
            let max_side = facts.longest_side.map_or(info.max_side, |longest| longest.min(info.max_side));
            let info = ModelInfo { id, bytes, latent_factor, max_side, ..info };
            able(info, facts)
        }
        None => derived_info(id, facts, "A model folder on this machine".to_owned()),
    };
    info.check().map_err(|reason| LoadError::Bad { file: INFO.to_owned(), reason })?;
    Ok(Model { info, files })
}

fn written_info(folder: &Folder) -> Result<Option<ModelInfo>, LoadError> {
    let bad = |reason: String| LoadError::Bad { file: INFO.to_owned(), reason };
    match folder.len(INFO)? {
        None => Ok(None),
        Some(length) if length > INFO_BYTES => Err(bad("is too long".to_owned())),
        Some(length) => {
            let text = folder.read(INFO, 0..length)?;
            serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.to_string()))
        }
    }
}

/// Defaults that suit the model's family; the configuration does not say them.
pub(super) fn derived_info(id: ModelId, facts: Facts, description: String) -> ModelInfo {
    let factor = facts.side_multiple.max(facts.latent_factor).max(1);
    let whole = |side: u32| (side.min(limits::MAX_SIDE) / factor).max(1) * factor;
    let (default_steps, default_guidance) = match facts.family {
        _ if is_distilled(&id.0) => (4, 0.0),
        FamilyName::StableDiffusion => (20, 7.5),
        FamilyName::StableDiffusionXl => (30, 5.0),
        FamilyName::StableDiffusion3 => (28, 4.5),
    };
    let info = ModelInfo {
        name: id.0.clone(),
        id,
        description,
        latent_factor: factor,
        min_side: whole(facts.native_side / 4),
        max_side: whole(facts.native_side.saturating_mul(2).min(facts.longest_side.unwrap_or(limits::MAX_SIDE))),
        default_side: whole(facts.native_side),
        default_steps,
        default_guidance,
        bytes: facts.bytes,
        ..ModelInfo::default()
    };
    able(info, facts)
}

/// Distilled models are told by their name alone: their configuration is the teacher's.
pub(super) fn is_distilled(name: &str) -> bool {
    name.to_lowercase().contains("turbo")
}

/// An entry with what the model's files say it can do.
fn able(info: ModelInfo, facts: Facts) -> ModelInfo {
    ModelInfo {
        default_sampler: facts.sampler,
        samplers: facts.samplers,
        flow: facts.flow,
        needs_mask: facts.extra_channels > 0,
        no_style: !facts.takes_style,
        ..info
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_api::Sampler;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = Folder(std::env::temp_dir());
        for name in ["", "..", "../x", "a/../../x", "/etc/passwd", "a\\..\\x", "a\0b"] {
            let error = folder.read(name, 0..1).expect_err(name);
            assert!(error.reason.contains("folder"), "{name:?}: {error}");
        }
    }

    #[test]
    fn the_name_tells_a_distilled_model() {
        let (sampler, samplers) = (Sampler::Plms, Sampler::ALL.to_vec());
        let facts = Facts { latent_factor: 8, native_side: 512, bytes: 1, sampler, samplers, ..Facts::default() };
        let turbo = derived_info("SD-Turbo".into(), facts.clone(), String::new());
        assert_eq!((turbo.default_steps, turbo.default_guidance), (4, 0.0));
        let bounded = Facts { side_multiple: 16, longest_side: Some(768), ..facts.clone() };
        let bounded = derived_info("sd3".into(), bounded, String::new());
        assert_eq!((bounded.latent_factor, bounded.max_side), (16, 768));
        let plain = derived_info("sd15".into(), facts.clone(), String::new());
        assert_eq!(plain.default_sampler, Sampler::Plms);
        assert_eq!((plain.default_steps, plain.default_side, plain.max_side), (20, 512, 1024));
        assert!(!plain.needs_mask && !plain.flow);
        let able = Facts { extra_channels: 5, flow: true, family: FamilyName::StableDiffusion3, ..facts };
        let able = derived_info("x".into(), able, String::new());
        assert!(able.needs_mask && able.flow && able.no_style && able.default_steps == 28);
    }
}
