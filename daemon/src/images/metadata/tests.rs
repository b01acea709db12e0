//! What files say: our own, other programs', and damaged ones.

use super::*;
use crate::images::{
    render::{Rendition, render},
    testing::{params, png},
};
use fresco_api::Edit;
use fresco_diffusion::Picture;

/// A picture of ours in every format.
async fn ours(params: &Params) -> Vec<(ImageFormat, Vec<u8>)> {
    let mut files = Vec::new();
    for format in ImageFormat::ALL {
        let made = render(png(params).into(), Rendition { width: None, format: *format }).await.expect("is made");
        files.push((*format, made.to_vec()));
    }
    files
}

#[tokio::test]
async fn our_files_give_the_request_that_makes_them_again() {
    let edit =
        Edit::Img2img { init_image: "sha256:00".to_owned(), strength: 0.5, resize_mode: fresco_api::ResizeMode::Crop };
    let params =
        Params { edit: Some(edit.clone()), negative_prompt: "雨, \"fog\"".to_owned(), ..params("a 🏕 tent", 9) };
    for (format, file) in ours(&params).await {
        let found = inspect(&file).expect("a picture");
        assert_eq!((found.media_type, found.width, found.height), (format, 48, 32));
        assert_eq!(found.source, Some(SettingsSource::Fresco));
        assert_eq!(found.request, Some(ImageRequest::from(&params)), "{format:?}");
        assert_eq!(found.edit.as_ref(), Some(&edit));
        let strength = found.settings.iter().find(|setting| setting.name == "Denoising strength").expect("a setting");
        assert_eq!(strength.value, "0.5");
    }
}

/// A PNG without text but for one chunk, put behind its header.
fn png_with_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let plain = Picture { width: 2, height: 2, rgb: vec![9; 12] }.png(&[]);
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    // The check sum is not compared.
    [&plain[..33], &length, kind, data, &[0; 4], &plain[33..]].concat()
}

#[test]
fn the_text_of_other_programs_is_read() {
    let text =
        "a tent in \u{e9}t\u{e9}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Version: v1.10.1";
    let latin: Vec<u8> = b"parameters\0".iter().copied().chain(text.chars().map(|c| c as u8)).collect();
    let utf8 = [b"parameters\0\0\0\0\0".as_slice(), text.as_bytes()].concat();
    for file in [png_with_chunk(b"tEXt", &latin), png_with_chunk(b"iTXt", &utf8)] {
        let found = read(&file).expect("a PNG");
        assert_eq!(found.texts.infotext.as_deref(), Some(text));
        // The decoder that tells the size is stricter about check sums.
        let Ok(found) = inspect(&file) else { continue };
        assert_eq!((found.source, found.request.expect("a request").seed), (Some(SettingsSource::Infotext), Some(5)));
    }
}

/// As piexif writes it for AUTOMATIC1111's JPEGs, and with the other order of bytes.
#[test]
fn a_user_comment_is_read_in_either_order() {
    let text = "a tent\nSteps: 20, Sampler: Euler, Seed: 5";
    let high: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let low: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (order, letters) in [("MM", &high), ("II", &low), ("II", &high)] {
        let number = |n: u32| if order == "MM" { n.to_be_bytes() } else { n.to_le_bytes() };
        let short = |n: u16| if order == "MM" { n.to_be_bytes() } else { n.to_le_bytes() };
        let length = u32::try_from(letters.len() + 8).expect("short");
        let mut data = order.as_bytes().to_vec();
        data.extend(short(42));
        data.extend(number(8));
        data.extend([short(1), short(0x8769), short(4)].concat());
        data.extend([number(1), number(26), number(0)].concat());
        data.extend([short(1), short(0x9286), short(7)].concat());
        data.extend([number(length), number(44), number(0)].concat());
        data.extend(b"UNICODE\0");
        data.extend(letters);
        assert_eq!(exif::read(&data).infotext.as_deref(), Some(text), "{order}");
    }
}

#[test]
fn a_prompt_that_has_no_room_twice_is_written_once() {
    let long = "𝄞".repeat(8_200);
    let texts = Texts { infotext: Some(long.clone()), json: Some(format!("{{{long}}}")) };
    let found = exif::read(&exif::write(&texts));
    assert_eq!(found, Texts { infotext: Some(long), json: None });
    let texts = Texts { infotext: Some("x".repeat(40_000)), json: None };
    assert!(exif::write(&texts).is_empty());
    assert!(exif::write(&Texts::default()).is_empty());
}

#[test]
fn what_is_no_picture_is_refused() {
    for file in [&b""[..], b"x", b"\x89PNG", b"\xFF\xD8", b"RIFF\0\0\0\0WEBP", b"<svg/>", b"GIF89a"] {
        assert!(inspect(file).is_err(), "{file:?}");
    }
}

/// Cuts, changed bytes and doubled pieces at random places; nothing may panic, hang or grow.
#[tokio::test]
async fn damaged_files_are_survived() {
    let mut state = 88_172_645_463_325_252u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let files = ours(&params("a tent", 1)).await;
    for round in 0..6_000 {
        let (_, whole) = &files[round % files.len()];
        let mut file = whole.clone();
        for _ in 0..=random(4) {
            let at = random(file.len().min(600));
            match random(4) {
                0 => file.truncate(at),
                1 => file[at..].fill(0xFF),
                2 => file.extend_from_within(..at),
                _ => file[at] = [0, 1, 0x7F, 0xFF, random(256) as u8][random(5)],
            }
            if file.is_empty() {
                file.push(0x89);
            }
        }
        if let Some(found) = read(&file) {
            let said = [found.texts.infotext, found.texts.json];
            // A byte of Latin-1 becomes up to two of UTF-8, a pair of UTF-16 up to three.
            assert!(said.into_iter().flatten().map(|text| text.len()).sum::<usize>() <= 3 * file.len());
        }
        _ = inspect(&file);
    }
}
