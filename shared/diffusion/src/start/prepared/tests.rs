//! Pictures of odd shapes and what becomes of them.

use super::*;
use fresco_api::Sampler;

fn params(edit: Edit) -> Params {
    Params {
        prompt: "x".into(),
        negative_prompt: String::new(),
        width: 64,
        height: 64,
        steps: 8,
        guidance_scale: 3.0,
        sampler: Sampler::Euler,
        seed: 1,
        model: "m".into(),
        edit: Some(edit),
        ..Params::default()
    }
}

/// A picture whose every pixel is another.
fn input(width: u32, height: u32) -> Input {
    let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, (x * y) as u8])).collect();
    Input { picture: Picture { width, height, rgb }, alpha: None }
}

/// White from column `from` on.
fn right(width: u32, height: u32, from: u32) -> Input {
    let rgb = (0..width * height).flat_map(|i| [if i % width >= from { 255 } else { 0 }; 3]).collect();
    Input { picture: Picture { width, height, rgb }, alpha: None }
}

fn inpaint() -> Edit {
    Edit::Inpaint {
        image: String::new(),
        mask: None,
        inpainting_strength: 1.0,
        mask_blur: 0.0,
        only_masked_padding: None,
        outpaint: Outpaint::default(),
        resize_mode: ResizeMode::Stretch,
    }
}

fn field(edit: Edit, inputs: Vec<Input>) -> Option<String> {
    Prepared::new(&params(edit), inputs).expect_err("is refused").field
}

#[test]
fn white_and_transparent_places_are_the_same_mask() {
    let alpha: Vec<u8> = (0..64 * 64).map(|i| if i % 64 >= 40 { 0 } else { 255 }).collect();
    let clear = Input { alpha: Some(alpha), ..input(64, 64) };
    let white = Prepared::new(&params(inpaint()), vec![input(64, 64), right(64, 64, 40)]).expect("a white mask");
    let mask = Prepared::new(&params(inpaint()), vec![input(64, 64), clear.clone()]).expect("a transparent mask");
    let own = Prepared::new(&params(inpaint()), vec![clear]).expect("a transparent picture");
    assert_eq!(white.mask, mask.mask);
    assert_eq!(white.mask, own.mask);
    assert_eq!((white.picture.clone(), white.picture), (input(64, 64).picture, own.picture));
}

#[test]
fn a_mask_of_half_the_size_is_enlarged_and_one_of_another_shape_refused() {
    let small = Prepared::new(&params(inpaint()), vec![input(64, 64), right(32, 32, 16)]).expect("a small mask");
    let large = Prepared::new(&params(inpaint()), vec![input(64, 64), right(64, 64, 32)]).expect("a mask");
    assert_eq!(small.mask, large.mask);
    assert_eq!(field(inpaint(), vec![input(64, 64), right(64, 32, 16)]).as_deref(), Some("mask"));
    assert_eq!(field(inpaint(), vec![input(64, 64), right(64, 64, 64)]).as_deref(), Some("mask"));
    assert_eq!(field(inpaint(), vec![input(64, 64)]).as_deref(), Some("mask"));
}

#[test]
fn only_the_masked_region_is_worked_on_and_the_rest_is_as_it_was() {
    let Edit::Inpaint { image, mask, inpainting_strength, mask_blur, outpaint, resize_mode, .. } = inpaint() else {
        return;
    };
    let only_masked_padding = Some(4);
    let edit =
        Edit::Inpaint { image, mask, inpainting_strength, mask_blur, only_masked_padding, outpaint, resize_mode };
    let prepared = Prepared::new(&params(edit), vec![input(200, 150), right(200, 150, 190)]).expect("a region");
    let region = prepared.frame.as_ref().expect("a frame").region;
    // The whole height is masked, so the region is as wide as it is high.
    assert_eq!(region, Region { left: 50, top: 0, width: 150, height: 150 });
    assert_eq!((prepared.picture.width, prepared.picture.height), (64, 64));
    let painted = Picture { width: 64, height: 64, rgb: vec![9; 64 * 64 * 3] };
    let whole = prepared.finish(painted);
    assert_eq!((whole.width, whole.height), (200, 150));
    for (i, (new, old)) in whole.rgb.chunks_exact(3).zip(input(200, 150).picture.rgb.chunks_exact(3)).enumerate() {
        assert_eq!(new, if i % 200 >= 190 { [9; 3].as_slice() } else { old }, "pixel {i}");
    }
}

#[test]
fn a_soft_edge_of_a_larger_canvas_lies_inside_the_picture() {
    let Edit::Inpaint { image, mask, inpainting_strength, only_masked_padding, resize_mode, .. } = inpaint() else {
        return;
    };
    let (mask_blur, outpaint) = (4.0, Outpaint { left: 24, ..Outpaint::default() });
    let edit =
        Edit::Inpaint { image, mask, inpainting_strength, mask_blur, only_masked_padding, outpaint, resize_mode };
    let prepared = Prepared::new(&params(edit), vec![input(40, 64)]).expect("a canvas");
    let row = prepared.mask.expect("a mask").repaint[..64].to_vec();
    assert!(row[..24].iter().all(|value| *value == 255), "{row:?}");
    assert!((1..128).contains(&row[25]) && row[34..].iter().all(|value| *value == 0), "{row:?}");
}

#[test]
fn pictures_that_do_not_belong_to_the_parameters_are_refused() {
    for inputs in [vec![], vec![input(8, 8), input(8, 8), input(8, 8)]] {
        assert!(Prepared::new(&params(inpaint()), inputs).is_err());
    }
    let short = Input { picture: Picture { width: 8, height: 8, rgb: vec![0; 5] }, alpha: None };
    assert!(Prepared::new(&params(inpaint()), vec![short]).is_err());
}

#[test]
fn a_mask_thinner_than_its_blur_is_still_painted() {
    let line = |padding: Option<u32>| Edit::Inpaint {
        image: String::new(),
        mask: None,
        inpainting_strength: 1.0,
        mask_blur: 16.0,
        only_masked_padding: padding,
        outpaint: Outpaint::default(),
        resize_mode: ResizeMode::Stretch,
    };
    let inputs = || vec![input(64, 64), right(64, 64, 63)];
    let mask = Prepared::new(&params(line(None)), inputs()).expect("a line").mask.expect("a mask");
    assert!((0..64).all(|y| mask.at(63, y) && !mask.at(40, y)), "the line is made anew and nothing far from it");
    let prepared = Prepared::new(&params(line(Some(4))), inputs()).expect("a region");
    let painted = prepared.finish(Picture { width: 64, height: 64, rgb: vec![200; 64 * 64 * 3] });
    let (old, new) = (i32::from(inputs()[0].picture.rgb[63 * 3]), i32::from(painted.rgb[63 * 3]));
    assert!((200 - new).abs() * 2 <= (200 - old).abs() + 2, "half of the line at least is new: {old} became {new}");
}

#[test]
fn a_mask_of_one_pixel_has_no_other_pictures_shape() {
    assert_eq!(field(inpaint(), vec![input(64, 48), right(1, 1, 0)]).as_deref(), Some("mask"));
    assert!(same_shape((1_000, 667), (3, 2)) && same_shape((512, 341), (1024, 683)));
    assert!(!same_shape((64, 48), (1, 1)) && !same_shape((100, 80), (10, 10)));
}
