//! Whether a model fits, by arithmetic: devices of any size, without one.

use crate::files::{a, b};
use fresco_diffusion::{
    Device, Part, Pipeline, Precision, Tiling,
    fit::{Outline, Savings, Wish, Work, human},
    weights::Footprint,
};

const GIB: u64 = 1 << 30;
const SIZE: (u32, u32) = (1024, 1024);

/// A model as large as SDXL, whose files hold 16 bits.
fn large() -> Outline {
    let part = |part, parameters, matrices| (part, Footprint::of_parameters(parameters, matrices));
    Outline {
        parts: vec![
            part(Part::Text, 817_000_000, 100),
            part(Part::Denoiser, 2_567_000_000, 85),
            part(Part::Autoencoder, 84_000_000, 5),
        ],
        work: Work::guessed(false),
    }
}

/// The most generous setting that fits is taken; less memory means more savings, and never more bytes.
pub async fn plans(_: &Device) {
    let outline = large();
    let plan = |room: u64, wish: Wish| outline.plan(SIZE, Some(room), wish);
    let free = Wish::default();
    let (savings, need) = plan(64 * GIB, free).expect("it fits");
    assert_eq!(savings, Savings::default());
    assert!(need.text > 3 * GIB && need.denoiser > 9 * GIB && need.peak > need.resting + need.decode - 1, "{need:?}");
    let mut last = (u64::MAX, 0);
    let mut seen = Vec::new();
    for room in (3..=20).rev().map(|gigabytes| gigabytes * GIB) {
        let Ok((savings, need)) = plan(room, free) else { break };
        assert!(need.peak <= room && need.peak <= last.0, "{need:?} in {room}");
        let rung = outline.ladder().iter().position(|rung| *rung == savings).expect("a rung");
        assert!(rung >= last.1);
        last = (need.peak, rung);
        seen.push(rung);
    }
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3, 4], "every saving has its day");
    // Nobody knows the memory: nothing is refused, and more than 4 GiB of f32 are not tried.
    let (savings, _) = outline.plan(SIZE, None, free).expect("nothing is refused");
    assert_eq!((savings.precision, savings.offload), (Precision::F16, false));
    // What a user insists on is kept.
    let f32 = Wish { precision: Some(Precision::F32), offload: None };
    let (savings, _) = plan(13 * GIB, f32).expect("it fits");
    assert_eq!((savings.precision, savings.offload), (Precision::F32, true));
    let loaded = Wish { precision: None, offload: Some(false) };
    assert!(plan(6 * GIB, loaded).is_ok_and(|(savings, _)| !savings.offload && savings.precision == Precision::Q8));
    let tiled = Savings { tiled: true, ..savings };
    assert_eq!(tiled.tiling(&outline.work, SIZE), Tiling::Within(outline.work.decode_tiled(SIZE)));
    assert_eq!(Savings::default().tiling(&outline.work, SIZE), Tiling::Auto);
}

/// What does not fit is refused in a sentence that says what would help.
pub async fn advice(_: &Device) {
    let outline = large();
    let refused =
        |room: u64, wish: Wish| outline.plan(SIZE, Some(room), wish).expect_err("it does not fit").to_string();
    let f32 = Wish { precision: Some(Precision::F32), offload: Some(false) };
    let said = refused(8 * GIB, f32);
    assert!(
        said.contains("16-bit weights (f16), text encoders offloaded") && said.contains("room for 8.6 GB"),
        "{said}"
    );
    let said = refused(4 * GIB, Wish::default());
    assert!(said.contains("It would fit with ") && said.contains("TAESD"), "{said}");
    let said = refused(GIB, Wish::default());
    assert!(said.contains("A smaller model"), "{said}");
    let huge = (4096, 4096);
    let said = outline.plan(huge, Some(6 * GIB), Wish::default()).expect_err("it does not fit").to_string();
    assert!(said.contains("4096 x 4096 pixels") && said.contains("A picture of "), "{said}");
    assert_eq!((human(999), human(2_500_000), human(12_340_000_000)), ("1 kB".into(), "2 MB".into(), "12.3 GB".into()));
}

/// Bytes on a device as headers say them: those that the weights take there.
pub async fn sizes(on: &Device) {
    for (model, narrow) in [(a(), false), (b(), true)] {
        let facts = Pipeline::inspect(&model.folder).await.expect("it is read");
        let outline = facts.outline();
        assert_eq!(outline.is_narrow(), narrow);
        for component in &facts.components {
            let bytes = component.footprint.at(Precision::F32);
            assert_eq!(bytes, 4 * component.parameters, "{}", component.folder);
            let wide = if narrow { bytes / 2 } else { bytes };
            assert!(component.bytes > wide && component.bytes < wide + 100_000, "{}", component.folder);
        }
        let bytes = |precision| outline.need((64, 64), Savings { precision, ..Savings::default() }).resting;
        let [wide, half, brain, eight, four] = Precision::ALL.map(bytes);
        assert!(wide > half && half == brain && half > eight && eight > four, "{wide} {half} {eight} {four}");
        for precision in [Precision::F16, Precision::Q4] {
            let options = fresco_diffusion::LoadOptions { precision, ..Default::default() };
            let pipeline =
                Pipeline::load_with(&model.folder, on, options, &mut fresco_diffusion::Silent).await.expect("it loads");
            let unet = facts.components.iter().find(|part| part.part == Part::Denoiser).expect("a denoiser");
            let (said, there) = (unet.footprint.at(precision), pipeline.lend("unet").expect("it is there").bytes());
            assert!(there <= said && there * 10 >= said * 9, "{precision}: {there} bytes are there, {said} were said");
        }
    }
}
