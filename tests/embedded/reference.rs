//! The same model run by diffusers with the same seed gives the same picture.

use crate::model::{generate, info};
use fresco_api::{ImageRequest, Params};
use fresco_tests::golden::Golden;

fn runs() -> Vec<Params> {
    let runs: Vec<ImageRequest> =
        serde_json::from_str(include_str!("../goldens/embedded.json")).expect("the golden is whole");
    runs.iter().map(|run| run.resolve(&info(), 0).expect("the request is fine")).collect()
}

#[test]
fn pictures_are_those_of_diffusers() {
    let golden = Golden::new(include_bytes!("../goldens/embedded.safetensors"));
    for (i, params) in runs().iter().enumerate() {
        let ours = generate(params).picture;
        let expected = golden.bytes(&format!("image.{i}"));
        assert_eq!(ours.rgb.len(), expected.len(), "picture {i}");
        let worst = ours.rgb.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
        println!("picture {i}: off by {worst:?} of 255");
        assert!(worst <= Some(2), "picture {i} is off by {worst:?}");
    }
}

/// The seed matters, and so does every word.
#[test]
fn other_seeds_and_prompts_give_other_pictures() {
    let params = &runs()[0];
    let first = generate(params).picture;
    assert_eq!(first, generate(params).picture, "the same request gives the same picture");
    assert_ne!(first, generate(&Params { seed: params.seed + 1, ..params.clone() }).picture);
    assert_ne!(first, generate(&Params { prompt: params.prompt.replace("red", "blue"), ..params.clone() }).picture);
}
