//! `<lora:name:0.8>`: low-rank adaptations (Hu et al. 2021) that a prompt asks for.

/// A LoRA that a prompt names.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraTag {
    /// Its name, as written.
    pub name: String,
    /// Weight in the denoiser; finite, 1 when none is given.
    pub weight: f32,
    /// Weight in the text encoders: the same unless the tag has two, of which it is the first.
    pub text_weight: f32,
}

const OPEN: &str = "<lora:";

/// The text without its tags, and the tags. What only looks like one stays in the text.
pub fn take(text: &str) -> (String, Vec<LoraTag>) {
    let (mut kept, mut tags) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let inside = &rest[at + OPEN.len()..];
        let tag = inside.find('>').and_then(|end| Some((read(&inside[..end])?, &inside[end + 1..])));
        match tag {
            Some((tag, after)) => {
                kept.push_str(&rest[..at]);
                tags.push(tag);
                rest = after;
            }
            None => {
                kept.push_str(&rest[..at + OPEN.len()]);
                rest = inside;
            }
        }
    }
    kept.push_str(rest);
    (kept, tags)
}

/// `name`, `name:weight` or `name:text weight:weight`.
fn read(inside: &str) -> Option<LoraTag> {
    let mut fields = inside.split(':').map(str::trim);
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let numbers: Option<Vec<f32>> = fields.map(|field| field.parse().ok().filter(|x: &f32| x.is_finite())).collect();
    let (text_weight, weight) = match numbers?.as_slice() {
        [] => (1.0, 1.0),
        [both] => (*both, *both),
        [text, model] => (*text, *model),
        _ => return None,
    };
    Some(LoraTag { name, weight, text_weight })
}
