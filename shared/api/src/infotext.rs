//! The text in which AUTOMATIC1111 and its kin write down how a picture was made: written, and read from any file.
//!
//! The prompt, a line `Negative prompt: …` where there is one, and a last line of `Name: value` pairs; a value with a
//! comma, a colon or a line break is quoted as JSON quotes strings.

use crate::{Edit, ImageRequest, ModelId, Params, Rng, SamplerName, Setting, SigmaSchedule};
use std::str::FromStr;

/// No more of a text is read, in bytes: two of the longest prompts fit.
const MOST_BYTES: usize = 64 << 10;
/// No more settings are read.
const MOST_SETTINGS: usize = 200;
/// A last line with fewer settings belongs to the prompt.
const FEWEST_SETTINGS: usize = 3;
/// No name of a setting is longer, in characters.
const LONGEST_NAME: usize = 60;
const NEGATIVE: &str = "Negative prompt:";

/// The text, taken apart. Any text is one: what makes no sense is prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Infotext {
    /// What the picture shows.
    pub prompt: String,
    /// What it should not show.
    pub negative_prompt: String,
    /// The settings in their order.
    pub settings: Vec<Setting>,
}

impl Params {
    /// The parameters as text. What the text form has no word for is missing: what is done to the finished picture,
    /// and the pictures it started from.
    pub fn infotext(&self) -> String {
        let mut settings = vec![("Steps", self.steps.to_string()), ("Sampler", self.sampler.label().to_owned())];
        if !self.scheduler.is_default() {
            settings.push(("Schedule type", self.scheduler.label().to_owned()));
        }
        settings.extend([
            ("CFG scale", self.guidance_scale.to_string()),
            ("Seed", self.seed.to_string()),
            ("Size", format!("{}x{}", self.width, self.height)),
            ("Model", self.model.0.clone()),
        ]);
        match &self.edit {
            Some(Edit::Img2img { strength, .. }) => settings.push(("Denoising strength", strength.to_string())),
            Some(Edit::Inpaint { inpainting_strength, mask_blur, .. }) => {
                settings.push(("Denoising strength", inpainting_strength.to_string()));
                settings.push(("Mask blur", mask_blur.to_string()));
            }
            Some(Edit::StyleTransfer { .. }) | None => {}
        }
        if let Some(clip_skip) = self.clip_skip {
            settings.push(("Clip skip", clip_skip.to_string()));
        }
        if self.eta != 0.0 {
            settings.push(("Eta", self.eta.to_string()));
        }
        if self.rng == Rng::Cpu {
            // The other generator goes without saying: it is the one that the text form comes from.
            settings.push(("RNG", "CPU".to_owned()));
        }
        settings.push(("Version", concat!("Fresco ", env!("CARGO_PKG_VERSION")).to_owned()));
        let line = settings.iter().map(|(name, value)| format!("{name}: {}", quoted(value)));
        let line = line.collect::<Vec<_>>().join(", ");
        match self.negative_prompt.as_str() {
            "" => format!("{}\n{line}", self.prompt),
            negative => format!("{}\n{NEGATIVE} {negative}\n{line}", self.prompt),
        }
    }
}

impl Infotext {
    /// Takes a text apart. Never fails; of a very long text only the beginning is read.
    pub fn parse(text: &str) -> Self {
        let text = beginning(text, MOST_BYTES).trim();
        let (before, last) = text.rsplit_once('\n').unwrap_or(("", text));
        let mut settings = settings(last);
        let mut words = before;
        if settings.len() < FEWEST_SETTINGS {
            settings.clear();
            words = text;
        }
        let mut parsed = Self { settings, ..Self::default() };
        let mut negative = false;
        for line in words.lines().map(str::trim) {
            let rest = line.strip_prefix(NEGATIVE).filter(|_| !negative);
            negative |= rest.is_some();
            let part = if negative { &mut parsed.negative_prompt } else { &mut parsed.prompt };
            if !part.is_empty() {
                part.push('\n');
            }
            part.push_str(rest.map_or(line, str::trim));
        }
        parsed
    }

    /// A setting's value, by its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
    }

    /// The request that makes the picture again, as far as the text says. What cannot be read is left out; what is out
    /// of bounds stays, and is refused by name when it is sent.
    pub fn request(&self) -> ImageRequest {
        let size = self.get("Size").and_then(|size| size.split_once('x'));
        let (width, height) = size.map_or((None, None), |(w, h)| (w.trim().parse().ok(), h.trim().parse().ok()));
        let sampler = self.value::<SamplerName>("Sampler");
        let finite = |name: &str| self.value::<f32>(name).filter(|number| number.is_finite());
        ImageRequest {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            width,
            height,
            steps: self.value("Steps"),
            guidance_scale: finite("CFG scale"),
            sampler,
            scheduler: self.value::<SigmaSchedule>("Schedule type").filter(|schedule| !schedule.is_default()),
            eta: finite("Eta").filter(|eta| *eta != 0.0),
            rng: self.rng(),
            clip_skip: self.value("Clip skip"),
            seed: self.value("Seed"),
            model: self.get("Model").filter(|name| !name.is_empty()).map(ModelId::from),
            ..ImageRequest::default()
        }
    }

    /// Whose random numbers: A1111 says it only where they are not those of a GPU.
    fn rng(&self) -> Option<Rng> {
        match self.get("RNG") {
            Some("CPU") => Some(Rng::Cpu),
            Some("GPU" | "NV") => Some(Rng::Gpu),
            Some(_) => None,
            None => {
                let version = self.get("Version")?;
                ["v1.", "f", "Fresco"].iter().any(|known| version.starts_with(known)).then_some(Rng::Gpu)
            }
        }
    }

    fn value<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }
}

/// At most so many bytes of a text, cut between characters.
fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// A value as the text form has it.
fn quoted(value: &str) -> String {
    if !value.contains([',', ':', '\n', '"']) {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            letter if letter.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

/// The settings of a line, as far as it has any.
fn settings(line: &str) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && found.len() < MOST_SETTINGS {
        let Some((name, after)) = rest.split_once(':') else { break };
        // What stands before the last comma had no colon: it is no setting.
        let name = name.rsplit(',').next().unwrap_or_default().trim();
        let (value, after) = value(after.trim_start());
        let known = |letter: char| letter.is_alphanumeric() || " _-/()[]+.".contains(letter);
        if !name.is_empty() && name.chars().count() <= LONGEST_NAME && name.chars().all(known) {
            found.push(Setting { name: name.to_owned(), value });
        }
        rest = after.trim_start();
    }
    found
}

/// A value and what follows its comma.
fn value(text: &str) -> (String, &str) {
    if let Some((value, after)) = text.strip_prefix('"').and_then(unquoted) {
        return (value, after.trim_start().strip_prefix(',').unwrap_or(after));
    }
    let (value, after) = text.split_once(',').unwrap_or((text, ""));
    (value.trim().to_owned(), after)
}

/// What stands before the closing quotation mark, and what after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                'u' => {
                    let digits = text.get(at + 2..at + 6)?;
                    // Half of a pair stands for nothing by itself.
                    let letter = u32::from_str_radix(digits, 16).ok()?;
                    value.push(char::from_u32(letter).unwrap_or(char::REPLACEMENT_CHARACTER));
                    letters.nth(3)?;
                }
                other => value.push(other),
            },
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests;
