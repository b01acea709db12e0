//! From a plan to the pictures that it makes. Counted before anything is made: short lists multiply to millions.

use super::{AbVariant, Axis, BatchPlan, BatchRequest, ChainStep, MAX_BATCH, Size};
use crate::{ApiError, ImageRequest};

/// One picture of a batch, before a model's defaults are filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// What tells it from the others.
    pub label: String,
    /// What is asked for.
    pub request: ImageRequest,
    /// When it starts from the picture of the child before it: how much is made anew.
    pub from_previous: Option<f32>,
}

impl BatchRequest {
    /// The batch's pictures in their order; `random_seed` is used when the request has no seed.
    ///
    /// # Errors
    /// The plan is empty, makes more than [`MAX_BATCH`] pictures or has a number out of its bounds. What the
    /// pictures themselves ask for is not looked at.
    pub fn children(&self, random_seed: u64) -> Result<Vec<Child>, ApiError> {
        let seed = self.request.seed.unwrap_or(random_seed);
        let base = ImageRequest { seed: Some(seed), ..self.request.clone() };
        match &self.plan {
            BatchPlan::Seeds { count, seeds } => seeded(&base, seed, *count, seeds),
            BatchPlan::Sweep { axes } => sweep(&base, axes),
            BatchPlan::Variants { styles, sizes } => variants(&base, styles, sizes),
            BatchPlan::Ab { variants } => lettered(&base, variants),
            BatchPlan::Refine { rounds, strength } => {
                check_count("plan.rounds", (*rounds as usize).saturating_add(1))?;
                let rest = ChainStep { strength: Some(*strength), ..ChainStep::default() };
                let mut stages = vec![rest; *rounds as usize + 1];
                stages[0] = ChainStep::default();
                chain(&base, &stages)
            }
            BatchPlan::Chain { stages } => chain(&base, stages),
        }
    }
}

fn check_count(field: &str, count: usize) -> Result<(), ApiError> {
    match count {
        1..=MAX_BATCH => Ok(()),
        0 => Err(ApiError::field(field, "The plan makes no picture")),
        _ => Err(ApiError::field(field, format!("A batch has at most {MAX_BATCH} pictures"))),
    }
}

fn seeded(base: &ImageRequest, first: u64, count: Option<u32>, seeds: &[u64]) -> Result<Vec<Child>, ApiError> {
    let seeds = match (count, seeds) {
        (Some(_), [_, ..]) => return Err(ApiError::field("plan.count", "Say count or seeds, not both")),
        (None, seeds) => {
            check_count("plan.seeds", seeds.len())?;
            seeds.to_vec()
        }
        (Some(count), []) => {
            check_count("plan.count", count as usize)?;
            (0..u64::from(count)).map(|index| first.wrapping_add(index)).collect()
        }
    };
    let child = |seed| plain(format!("seed={seed}"), ImageRequest { seed: Some(seed), ..base.clone() });
    Ok(seeds.into_iter().map(child).collect())
}

fn plain(label: String, request: ImageRequest) -> Child {
    Child { label, request, from_previous: None }
}

fn sweep(base: &ImageRequest, axes: &[Axis]) -> Result<Vec<Child>, ApiError> {
    // Counted before anything is made: a few short lists multiply to millions.
    let count = axes.iter().fold(usize::from(!axes.is_empty()), |count, axis| count.saturating_mul(axis.len()));
    check_count("plan.axes", count)?;
    let mut children = vec![plain(String::new(), base.clone())];
    for axis in axes {
        let next = children.iter().flat_map(|child| (0..axis.len()).map(move |index| axis.apply(child, index)));
        children = next.collect();
    }
    Ok(children)
}

impl Axis {
    fn len(&self) -> usize {
        match self {
            Axis::Prompt(values) => values.len(),
            Axis::Seed(values) => values.len(),
            Axis::Steps(values) => values.len(),
            Axis::GuidanceScale(values) => values.len(),
            Axis::Sampler(values) => values.len(),
            Axis::Scheduler(values) => values.len(),
            Axis::Model(values) => values.len(),
            Axis::Size(values) => values.len(),
        }
    }

    /// A child with this axis' value at `index`, which is one of its own.
    fn apply(&self, child: &Child, index: usize) -> Child {
        let mut request = child.request.clone();
        let said = match self {
            Axis::Prompt(values) => {
                request.prompt.clone_from(&values[index]);
                format!("prompt={}", index + 1)
            }
            Axis::Seed(values) => {
                request.seed = Some(values[index]);
                format!("seed={}", values[index])
            }
            Axis::Steps(values) => {
                request.steps = Some(values[index]);
                format!("steps={}", values[index])
            }
            Axis::GuidanceScale(values) => {
                request.guidance_scale = Some(values[index]);
                format!("guidanceScale={}", values[index])
            }
            Axis::Sampler(values) => {
                request.sampler = Some(values[index]);
                format!("sampler={}", values[index].sampler)
            }
            Axis::Scheduler(values) => {
                request.scheduler = Some(values[index]);
                format!("scheduler={}", values[index])
            }
            Axis::Model(values) => {
                request.model = Some(values[index].clone());
                format!("model={}", values[index])
            }
            Axis::Size(values) => {
                let Size { width, height } = values[index];
                (request.width, request.height) = (Some(width), Some(height));
                format!("size={width}x{height}")
            }
        };
        let label = if child.label.is_empty() { said } else { format!("{}, {said}", child.label) };
        plain(label, request)
    }
}

fn variants(base: &ImageRequest, styles: &[String], sizes: &[Size]) -> Result<Vec<Child>, ApiError> {
    if styles.is_empty() && sizes.is_empty() {
        return Err(ApiError::field("plan.styles", "Name styles or sizes"));
    }
    check_count("plan.styles", styles.len().max(1).saturating_mul(sizes.len().max(1)))?;
    let styles = if styles.is_empty() { vec![None] } else { styles.iter().map(Some).collect() };
    let sizes = if sizes.is_empty() { vec![None] } else { sizes.iter().copied().map(Some).collect() };
    let pairs = styles.into_iter().flat_map(|style| sizes.iter().map(move |size| (style, *size)));
    let child = |(style, size): (Option<&String>, Option<Size>)| {
        let mut request = base.clone();
        let mut label = Vec::new();
        if let Some(style) = style {
            request.prompt = styled(&base.prompt, style);
            label.push(style.chars().take(60).collect::<String>());
        }
        if let Some(Size { width, height }) = size {
            (request.width, request.height) = (Some(width), Some(height));
            label.push(format!("{width}x{height}"));
        }
        plain(label.join(", "), request)
    };
    Ok(pairs.map(child).collect())
}

/// A prompt in a style.
fn styled(prompt: &str, style: &str) -> String {
    if prompt.contains("{style}") { prompt.replace("{style}", style) } else { format!("{prompt}, {style}") }
}

fn lettered(base: &ImageRequest, variants: &[AbVariant]) -> Result<Vec<Child>, ApiError> {
    check_count("plan.variants", variants.len())?;
    let child = |(index, change): (usize, &AbVariant)| {
        let change = change.clone();
        let request = ImageRequest {
            prompt: change.prompt.unwrap_or_else(|| base.prompt.clone()),
            negative_prompt: change.negative_prompt.unwrap_or_else(|| base.negative_prompt.clone()),
            steps: change.steps.or(base.steps),
            guidance_scale: change.guidance_scale.or(base.guidance_scale),
            sampler: change.sampler.or(base.sampler),
            model: change.model.or_else(|| base.model.clone()),
            seed: change.seed.or(base.seed),
            ..base.clone()
        };
        plain(letters(index), request)
    };
    Ok(variants.iter().enumerate().map(child).collect())
}

/// A to Z, then AA, AB and so on.
fn letters(index: usize) -> String {
    let last = char::from(b'A' + (index % 26) as u8);
    match index / 26 {
        0 => last.to_string(),
        before => letters(before - 1) + &last.to_string(),
    }
}

fn chain(base: &ImageRequest, stages: &[ChainStep]) -> Result<Vec<Child>, ApiError> {
    check_count("plan.stages", stages.len())?;
    let child = |(index, stage): (usize, &ChainStep)| {
        let request = ImageRequest {
            width: stage.size.map(|size| size.width).or(base.width),
            height: stage.size.map(|size| size.height).or(base.height),
            steps: stage.steps.or(base.steps),
            model: stage.model.clone().or_else(|| base.model.clone()),
            ..base.clone()
        };
        let from_previous = (index > 0).then(|| stage.strength.unwrap_or(0.5));
        Child { label: format!("stage {}", index + 1), request, from_previous }
    };
    if stages.first().is_some_and(|stage| stage.strength.is_some()) {
        return Err(ApiError::field("plan.stages", "The first stage starts from the prompt alone and has no strength"));
    }
    Ok(stages.iter().enumerate().map(child).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn children(plan: Value) -> Result<Vec<Child>, ApiError> {
        let body = json!({"request": {"prompt": "a tent", "seed": 7}, "plan": plan});
        serde_json::from_value::<BatchRequest>(body).expect("parses").children(1)
    }

    fn labels(plan: Value) -> Vec<String> {
        children(plan).expect("a plan").into_iter().map(|child| child.label).collect()
    }

    fn refused(plan: Value) -> Option<String> {
        children(plan).expect_err("is refused").field
    }

    #[test]
    fn seeds_count_on_from_the_first_or_are_listed() {
        assert_eq!(labels(json!({"type": "seeds", "count": 3})), ["seed=7", "seed=8", "seed=9"]);
        assert_eq!(labels(json!({"type": "seeds", "seeds": [5, 1]})), ["seed=5", "seed=1"]);
        assert_eq!(refused(json!({"type": "seeds", "seeds": [5], "count": 2})).as_deref(), Some("plan.count"));
        assert_eq!(refused(json!({"type": "seeds"})).as_deref(), Some("plan.seeds"));
        assert_eq!(refused(json!({"type": "seeds", "count": 4_000_000_000u32})).as_deref(), Some("plan.count"));
    }

    #[test]
    fn a_sweep_is_the_product_of_its_lists() {
        let plan = json!({"type": "sweep", "axes": [
            {"field": "steps", "values": [4, 8]},
            {"field": "guidanceScale", "values": [1.0, 2.5, 4.0]},
        ]});
        let made = children(plan).expect("a plan");
        assert_eq!(made.len(), 6);
        assert_eq!((made[1].label.as_str(), made[1].request.steps), ("steps=4, guidanceScale=2.5", Some(4)));
        assert!(made.iter().all(|child| child.request.seed == Some(7)));
        let huge: Vec<Value> = (0..20).map(|_| json!({"field": "seed", "values": vec![1; 1_000]})).collect();
        assert_eq!(refused(json!({"type": "sweep", "axes": huge})).as_deref(), Some("plan.axes"));
        assert_eq!(refused(json!({"type": "sweep", "axes": []})).as_deref(), Some("plan.axes"));
        let empty = json!({"type": "sweep", "axes": [{"field": "steps", "values": []}]});
        assert_eq!(refused(empty).as_deref(), Some("plan.axes"));
    }

    #[test]
    fn every_style_comes_in_every_size() {
        let sizes = json!([{"width": 64, "height": 64}, {"width": 64, "height": 96}]);
        let made = children(json!({"type": "variants", "styles": ["oil", "ink"], "sizes": sizes})).expect("a plan");
        let said: Vec<&str> = made.iter().map(|child| child.label.as_str()).collect();
        assert_eq!(said, ["oil, 64x64", "oil, 64x96", "ink, 64x64", "ink, 64x96"]);
        assert_eq!(made[2].request.prompt, "a tent, ink");
        assert_eq!(styled("a {style} of a tent", "etching"), "a etching of a tent");
    }

    #[test]
    fn variants_have_letters_and_one_seed() {
        let plan = json!({"type": "ab", "variants": [{}, {"steps": 9}, {"prompt": "a boat"}]});
        let made = children(plan).expect("a plan");
        assert_eq!(made.iter().map(|child| child.label.as_str()).collect::<Vec<_>>(), ["A", "B", "C"]);
        assert_eq!((made[1].request.steps, made[2].request.prompt.as_str()), (Some(9), "a boat"));
        assert_eq!(
            (letters(25), letters(26), letters(27), letters(701), letters(702)),
            ("Z".into(), "AA".into(), "AB".into(), "ZZ".into(), "AAA".into())
        );
    }

    #[test]
    fn a_chain_starts_from_the_prompt_and_goes_on_from_its_picture() {
        let made = children(json!({"type": "refine", "rounds": 2, "strength": 0.4})).expect("a plan");
        assert_eq!(made.iter().map(|child| child.from_previous).collect::<Vec<_>>(), [None, Some(0.4), Some(0.4)]);
        let plan =
            json!({"type": "chain", "stages": [{"steps": 4}, {"steps": 20, "size": {"width": 128, "height": 128}}]});
        let made = children(plan).expect("a plan");
        assert_eq!((made[0].request.steps, made[0].from_previous), (Some(4), None));
        assert_eq!((made[1].request.width, made[1].from_previous), (Some(128), Some(0.5)));
        assert_eq!(refused(json!({"type": "chain", "stages": []})).as_deref(), Some("plan.stages"));
        assert_eq!(refused(json!({"type": "chain", "stages": [{"strength": 0.5}]})).as_deref(), Some("plan.stages"));
        assert_eq!(
            refused(json!({"type": "refine", "rounds": u32::MAX, "strength": 0.4})).as_deref(),
            Some("plan.rounds")
        );
    }
}
