//! What a picture is made from besides words: a picture to start from, a mask, a picture whose style is taken.

use fresco_api::{AnyRequest, ApiError, ImageRequest, Img2img, Inpaint, Mode, ModelInfo, Request, StyleTransfer};

/// What the next picture starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Nothing but words.
    #[default]
    Words,
    /// A picture, all of which may change.
    Picture,
    /// A picture, of which the painted part is made anew.
    Repaint,
    /// A picture that is to look like another one.
    Style,
}

impl Start {
    /// Every choice, in the page's order.
    pub const ALL: [Start; 4] = [Start::Words, Start::Picture, Start::Repaint, Start::Style];

    /// The name that the choice has on the page.
    pub fn id(self) -> &'static str {
        match self {
            Start::Words => "words",
            Start::Picture => "picture",
            Start::Repaint => "repaint",
            Start::Style => "style",
        }
    }

    /// The words for people.
    pub fn label(self) -> &'static str {
        match self {
            Start::Words => "Words only",
            Start::Picture => "A picture",
            Start::Repaint => "Repaint a part",
            Start::Style => "Another style",
        }
    }

    /// The strength's name in a request, and what the page writes there first.
    pub fn strength(self) -> (&'static str, &'static str) {
        match self {
            Start::Words | Start::Picture => ("strength", "0.75"),
            Start::Repaint => ("inpaintingStrength", "1"),
            Start::Style => ("styleStrength", "0.8"),
        }
    }
}

/// A picture of the user's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The file as a data URL.
    pub url: String,
    /// The file's name.
    pub name: String,
    /// Pixels, once the browser has looked at it.
    pub width: u32,
    /// Pixels, once the browser has looked at it.
    pub height: u32,
}

/// The pictures and numbers of the form that words do not need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// What is started from.
    pub start: Start,
    /// The picture that is started from.
    pub picture: Option<Input>,
    /// The picture whose style is taken.
    pub style: Option<Input>,
    /// What is made anew, white on black, as a data URL.
    pub mask: Option<String>,
    /// How much changes, as it is typed; empty is the usual.
    pub strength: String,
    /// How much of the content stays, as it is typed; empty is the usual.
    pub content: String,
}

impl Inputs {
    /// The request of the chosen kind, with every bound that can be told here.
    ///
    /// # Errors
    /// The first field that cannot be used, by its wire name.
    pub fn request(&self, image: ImageRequest, model: &ModelInfo) -> Result<AnyRequest, ApiError> {
        let (name, _) = self.start.strength();
        let strength = share(name, &self.strength)?;
        match self.start {
            Start::Words => {
                image.resolve(model, 0)?;
                Ok(image.into())
            }
            Start::Picture => {
                let init_image = self.url("initImage", self.picture.as_ref())?;
                self.checked(Request { image, mode: Img2img { init_image, strength, resize_mode: None } }, model)
            }
            Start::Repaint => {
                let picture = self.url("image", self.picture.as_ref())?;
                let painted = || ApiError::field("mask", "Paint over what is to be made anew");
                let mask = Some(self.mask.clone().ok_or_else(painted)?);
                let mode = Inpaint { image: picture, mask, inpainting_strength: strength, ..Inpaint::default() };
                self.checked(Request { image, mode }, model)
            }
            Start::Style => {
                let content_image = self.url("contentImage", self.picture.as_ref())?;
                let style_image = self.url("styleImage", self.style.as_ref())?;
                let content_strength = share("contentStrength", &self.content)?;
                let style_strength = strength;
                let mode =
                    StyleTransfer { content_image, style_image, style_strength, content_strength, resize_mode: None };
                self.checked(Request { image, mode }, model)
            }
        }
    }

    fn checked<M: Mode>(&self, request: Request<M>, model: &ModelInfo) -> Result<AnyRequest, ApiError>
    where
        AnyRequest: From<Request<M>>,
    {
        let size = self.picture.as_ref().map_or((0, 0), |picture| (picture.width, picture.height));
        request.resolve(model, 0, size)?;
        Ok(request.into())
    }

    fn url(&self, field: &str, picture: Option<&Input>) -> Result<String, ApiError> {
        let what = if field == "styleImage" { "Choose the picture whose style is taken" } else { "Choose a picture" };
        picture.map(|picture| picture.url.clone()).ok_or_else(|| ApiError::field(field, what))
    }
}

/// A number from 0 to 1, or nothing.
fn share(field: &str, text: &str) -> Result<Option<f32>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| ApiError::field(field, format!("{field} must be a number, not {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_api::published::Published;

    fn model() -> ModelInfo {
        Published::find("sd-turbo").and_then(Published::info).expect("an entry")
    }

    fn inputs(start: Start) -> Inputs {
        let input =
            |name: &str| Some(Input { url: format!("data:{name}"), name: name.into(), width: 640, height: 512 });
        let mask = Some("data:mask".to_owned());
        Inputs { start, picture: input("a"), style: input("b"), mask, ..Inputs::default() }
    }

    fn image() -> ImageRequest {
        ImageRequest { prompt: "a tent".into(), ..ImageRequest::default() }
    }

    #[test]
    fn each_start_becomes_its_request() {
        let request = |start: Start| inputs(start).request(image(), &model()).expect("is accepted");
        assert!(matches!(request(Start::Words), AnyRequest::Text2img(_)));
        assert!(matches!(request(Start::Picture), AnyRequest::Img2img(r) if r.mode.init_image == "data:a"));
        assert!(
            matches!(request(Start::Repaint), AnyRequest::Inpaint(r) if r.mode.mask.as_deref() == Some("data:mask"))
        );
        assert!(matches!(request(Start::Style), AnyRequest::StyleTransfer(r) if r.mode.style_image == "data:b"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let cases = [
            ("initImage", Inputs { picture: None, ..inputs(Start::Picture) }),
            ("mask", Inputs { mask: None, ..inputs(Start::Repaint) }),
            ("styleImage", Inputs { style: None, ..inputs(Start::Style) }),
            ("strength", Inputs { strength: "much".into(), ..inputs(Start::Picture) }),
            ("strength", Inputs { strength: "NaN".into(), ..inputs(Start::Picture) }),
            ("inpaintingStrength", Inputs { strength: "1.5".into(), ..inputs(Start::Repaint) }),
            ("contentStrength", Inputs { content: "-1".into(), ..inputs(Start::Style) }),
        ];
        for (field, inputs) in cases {
            let error = inputs.request(image(), &model()).expect_err(field);
            assert_eq!(error.field.as_deref(), Some(field));
        }
        assert!(inputs(Start::Words).request(ImageRequest::default(), &model()).is_err(), "words need words");
        assert!(inputs(Start::Style).request(ImageRequest::default(), &model()).is_ok(), "a style needs none");
    }
}
