//! What is done to finished pictures, against Pillow.

use crate::files::golden;
use fresco_api::Post;
use fresco_diffusion::{Device, Picture, post};
use fresco_tests::golden::Golden;

/// The most that a value may differ from Pillow's, which cuts where we round, in steps of 255.
const STEP: u8 = 1;

fn picture(golden: &Golden<'_>, name: &str) -> Picture {
    let [height, width, _] = golden.shape::<3>(name).map(|side| side as u32);
    Picture { width, height, rgb: golden.bytes(name).to_vec() }
}

fn assert_near(name: &str, ours: &Picture, golden: &Golden<'_>, most: u8) {
    let expected = picture(golden, name);
    assert_eq!((ours.width, ours.height), (expected.width, expected.height), "{name}");
    let worst = ours.rgb.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b)).max();
    println!("{name}: off by {worst:?}");
    assert!(worst <= Some(most), "{name}: off by {worst:?}");
    assert_eq!(ours.rgb.len(), expected.rgb.len(), "{name}");
}

pub async fn pictures(_: &Device) {
    let golden = Golden::new(golden!("post.safetensors"));
    let start = picture(&golden, "picture");
    for value in [0.0, 0.4, 1.7] {
        assert_near(&format!("brightness.{value:?}"), &post::brightness(&start, value), &golden, STEP);
    }
    for value in [0.0, 0.5, 1.8] {
        assert_near(&format!("contrast.{value:?}"), &post::contrast(&start, value), &golden, STEP);
    }
    for value in [0.0, 0.5, 2.5] {
        assert_near(&format!("sharpness.{value:?}"), &post::sharpness(&start, value), &golden, STEP);
    }
    for value in [0.3, 1.0, 2.6, 9.0] {
        assert_near(&format!("blur.{value:?}"), &post::gaussian_blur(&start, value), &golden, STEP);
    }
    for (w, h) in [(40, 32), (13, 27), (7, 5), (20, 3)] {
        assert_near(&format!("resize.{w}x{h}"), &post::resize(&start, (w, h)), &golden, STEP);
    }
    let corner = picture(&golden, "corner");
    let four = Post { upscale: Some(4), ..Post::default() };
    assert_near("corner.40x32", &post::apply(corner, &four), &golden, STEP);
}

/// Neutral values change nothing, tiny pictures and wide windows do no harm, the order is the written one.
pub async fn edges(_: &Device) {
    let golden = Golden::new(golden!("post.safetensors"));
    let start = picture(&golden, "picture");
    let neutral =
        Post { upscale: Some(1), brightness: Some(1.0), contrast: Some(1.0), sharpness: Some(1.0), blur: Some(0.0) };
    assert_eq!(post::apply(start.clone(), &neutral), start);
    assert_eq!(post::apply(start.clone(), &Post::default()), start);
    for (width, height) in [(1, 1), (2, 1), (1, 5), (0, 0), (0, 3)] {
        let small = Picture { width, height, rgb: vec![77; (width * height * 3) as usize] };
        let all = Post {
            upscale: Some(4),
            brightness: Some(1.0),
            contrast: Some(2.0),
            sharpness: Some(3.0),
            blur: Some(50.0),
        };
        let done = post::apply(small.clone(), &all);
        assert_eq!((done.width, done.height), (width * 4, height * 4));
        assert!(done.rgb.iter().all(|value| *value == 77), "a plain picture stays plain");
        assert_eq!(post::resize(&small, (3, 2)).rgb.len(), 18);
    }
    let both = Post { upscale: Some(2), blur: Some(3.0), ..Post::default() };
    let by_hand = post::gaussian_blur(&post::resize(&start, (start.width * 2, start.height * 2)), 3.0);
    assert!(post::apply(start, &both) == by_hand, "enlarged first, then blurred");
}
