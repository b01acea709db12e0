//! What the page does with pictures that come in: read, shown, painted on.

use super::Desk;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fresco_api::{ApiError, limits};
use fresco_web::{
    form::Field,
    inputs::{Input, Start},
};
use js_sys::Uint8Array;
use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

/// The largest file that is read; the daemon takes no larger body.
const MOST_BYTES: f64 = 20e6;

/// Which of the form's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that is started from.
    Picture,
    /// The one whose style is taken.
    Style,
}

impl Which {
    /// Its id on the page.
    pub fn id(self) -> &'static str {
        match self {
            Which::Picture => "picture-file",
            Which::Style => "style-file",
        }
    }
}

impl Desk {
    /// One of the form's pictures.
    pub fn input(self, which: Which) -> Option<Input> {
        self.inputs.with(|inputs| match which {
            Which::Picture => inputs.picture.clone(),
            Which::Style => inputs.style.clone(),
        })
    }

    /// Chooses what the next picture starts from. The size is then the picture's own unless one is typed.
    pub fn start_from(self, start: Start) {
        self.inputs.update(|inputs| {
            inputs.start = start;
            inputs.strength.clear();
        });
        if start == Start::Words {
            if let Some(model) = self.model.get_untracked() {
                self.form.update(|form| form.fill(&model));
            }
        } else {
            self.form.update(|form| {
                form.set(Field::Width, String::new());
                form.set(Field::Height, String::new());
            });
        }
    }

    /// Reads a file that was chosen or dropped.
    pub fn read_picture(self, which: Which, file: File) {
        if file.size() > MOST_BYTES {
            let words = format!("{} is too large: {:.0} MB are the most", file.name(), MOST_BYTES / 1e6);
            return self.studio.update(|studio| studio.refuse(ApiError::field("image", words)));
        }
        spawn_local(async move {
            let Ok(buffer) = JsFuture::from(file.array_buffer()).await else { return };
            let bytes = Uint8Array::new(&buffer).to_vec();
            let url = format!("data:{};base64,{}", file.type_(), STANDARD.encode(bytes));
            self.put(which, Input { url, name: file.name(), width: 0, height: 0 });
        });
    }

    /// Starts from the picture that is shown.
    pub fn start_from_shown(self) {
        let shown = self.studio.with_untracked(|studio| studio.picture().cloned());
        if let Some(shown) = shown {
            let name = shown.file_name();
            if self.inputs.with_untracked(|inputs| inputs.start == Start::Words) {
                self.start_from(Start::Picture);
            }
            self.put(Which::Picture, Input { url: shown.source, name, width: 0, height: 0 });
        }
    }

    /// The browser has looked at a picture: its size in pixels.
    pub fn measured(self, which: Which, width: u32, height: u32) {
        let too_long = width.max(height) > limits::MAX_INPUT_SIDE;
        if too_long || u64::from(width) * u64::from(height) > limits::MAX_PIXELS {
            self.clear(which);
            let words = format!("The picture is too large: {width} × {height} pixels");
            return self.studio.update(|studio| studio.refuse(ApiError::field("image", words)));
        }
        self.inputs.update(|inputs| {
            let slot = if which == Which::Picture { &mut inputs.picture } else { &mut inputs.style };
            if let Some(input) = slot {
                (input.width, input.height) = (width, height);
            }
        });
    }

    /// The browser cannot show a file.
    pub fn no_picture(self, which: Which) {
        let name = untrack(|| self.input(which)).map(|input| input.name).unwrap_or_default();
        self.clear(which);
        let words = format!("{name} is no picture that this browser can read");
        self.studio.update(|studio| studio.refuse(ApiError::field("image", words)));
    }

    /// Takes a picture out of the form.
    pub fn clear(self, which: Which) {
        self.inputs.update(|inputs| match which {
            Which::Picture => (inputs.picture, inputs.mask) = (None, None),
            Which::Style => inputs.style = None,
        });
    }

    /// What was painted, as a data URL; nothing when all was taken away.
    pub fn painted(self, mask: Option<String>) {
        self.inputs.update(|inputs| inputs.mask = mask);
    }

    fn put(self, which: Which, input: Input) {
        self.inputs.update(|inputs| match which {
            Which::Picture => (inputs.picture, inputs.mask) = (Some(input), None),
            Which::Style => inputs.style = Some(input),
        });
    }
}
