//! Pictures that come in: each mode over real HTTP with the embedded model, and what is refused.

use crate::support::daemon::{Daemon, config, refused};
use base64::{Engine, prelude::BASE64_STANDARD};
use fresco_api::{ErrorCode, Job, JobKind, JobStatus, routes};
use fresco_daemon::{
    engine::{DeviceChoice, local},
    models::Catalogue,
};
use fresco_diffusion::{DeviceKind, Picture};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{io::Cursor, sync::Arc};

/// A daemon with the embedded model on the processor.
async fn real() -> Daemon {
    let catalogue = Arc::new(Catalogue::new(&config().home, Vec::new()));
    let engine = local::start(catalogue, DeviceChoice::Only(DeviceKind::Cpu)).expect("a thread");
    Daemon::with(config(), Arc::new(engine)).await
}

fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

/// A picture whose every pixel is another.
fn scene(width: u32, height: u32) -> Picture {
    let pixel = |x: u32, y: u32| [(x * 2) as u8, (y * 2) as u8, ((x ^ y) * 3) as u8];
    let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Picture { width, height, rgb }
}

/// White where `white` says so, as a picture.
fn mask(width: u32, height: u32, white: impl Fn(u32, u32) -> bool) -> Picture {
    let rgb = (0..width * height).flat_map(|i| [if white(i % width, i / width) { 255 } else { 0 }; 3]).collect();
    Picture { width, height, rgb }
}

fn url(picture: &Picture) -> String {
    data_url(&picture.png(&[]))
}

fn pixels(image: &str) -> Picture {
    let png = image.strip_prefix("data:image/png;base64,").expect("a data URL");
    let mut reader =
        png::Decoder::new(Cursor::new(BASE64_STANDARD.decode(png).expect("base64"))).read_info().expect("a PNG");
    let mut rgb = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut rgb).expect("pixels");
    Picture { width: info.width, height: info.height, rgb }
}

/// Sends a request, waits for its picture, and checks that its echo is short.
async fn made(daemon: &Daemon, route: &str, body: &Value) -> (Job, Picture) {
    // The same again is to be made again, not remembered.
    let ask = daemon.ask(Method::POST, route).header("cache-control", "no-cache").json(body);
    let answer = ask.send().await.expect("answers");
    let status = answer.status();
    let text = answer.text().await.expect("an answer");
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    assert!(text.len() < 2_000, "the echo has {} bytes", text.len());
    let job: Job = serde_json::from_str(&text).expect("a job");
    let done = daemon.wait(&job.id, |job| job.status.is_final()).await;
    assert_eq!(done.status, JobStatus::Completed, "{:?}", done.error);
    let picture = pixels(&done.result.as_ref().expect("a result").images[0]);
    (done, picture)
}

/// The pixels that are not as they were.
fn changed(new: &Picture, old: &Picture) -> Vec<(u32, u32)> {
    assert_eq!((new.width, new.height), (old.width, old.height));
    let pairs = new.rgb.chunks_exact(3).zip(old.rgb.chunks_exact(3)).enumerate();
    let different = pairs.filter(|(_, (new, old))| new != old);
    different.map(|(i, _)| (i as u32 % new.width, i as u32 / new.width)).collect()
}

#[tokio::test]
async fn a_picture_becomes_another_and_the_job_shows_its_hash() {
    let daemon = real().await;
    let picture = scene(128, 96);
    let body = json!({"prompt": "a red tent", "initImage": url(&picture), "strength": 0.5, "steps": 4, "seed": 3});
    let (job, first) = made(&daemon, routes::IMG2IMG, &body).await;
    assert_eq!((first.width, first.height), (128, 96), "its own size");
    assert!(!changed(&first, &picture).is_empty());
    assert_eq!(job.kind, JobKind::Img2img);
    let shown: Value = daemon.get(&routes::job(&job.id)).await.json().await.expect("JSON");
    assert_eq!(shown["type"], "img2img");
    let hash = shown["request"]["initImage"].as_str().expect("a note");
    assert!(hash.starts_with("sha256:") && hash.len() == 71, "{hash}");
    assert_eq!(shown["request"]["strength"], 0.5);
    let edit = &shown["result"]["parameters"]["edit"];
    assert_eq!((&edit["type"], &edit["initImage"], &edit["strength"]), (&json!("img2img"), &json!(hash), &json!(0.5)));
    // The same again, without a data URL's head, and with more noise.
    let mut again = body.clone();
    again["initImage"] = json!(BASE64_STANDARD.encode(picture.png(&[])));
    assert_eq!(made(&daemon, routes::IMG2IMG, &again).await.1, first);
    again["strength"] = json!(1.0);
    let far = made(&daemon, routes::IMG2IMG, &again).await.1;
    let distance =
        |a: &Picture| -> u64 { a.rgb.iter().zip(&picture.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum() };
    assert!(distance(&far) > distance(&first), "{} and {}", distance(&far), distance(&first));
    let sized = json!({"prompt": "x", "initImage": url(&picture), "steps": 2, "width": 64, "height": 128});
    let (_, sized) = made(&daemon, routes::IMG2IMG, &sized).await;
    assert_eq!((sized.width, sized.height), (64, 128));
}

#[tokio::test]
async fn only_what_the_mask_shows_is_painted() {
    let daemon = real().await;
    let picture = scene(128, 128);
    let inside = |x: u32, y: u32| (37..90).contains(&x) && (20..101).contains(&y);
    let white = mask(128, 128, inside);
    let body = json!({"prompt": "a red tent", "image": url(&picture), "mask": url(&white), "steps": 3, "seed": 5});
    let (job, painted) = made(&daemon, routes::INPAINT, &body).await;
    assert_eq!(job.kind, JobKind::Inpaint);
    let places = changed(&painted, &picture);
    assert!(places.iter().all(|(x, y)| inside(*x, *y)) && places.len() > 53 * 81 * 9 / 10, "{} pixels", places.len());
    // A soft edge reaches 2.5 times its radius, and no further.
    let mut soft = body.clone();
    soft["maskBlur"] = json!(4);
    let places = changed(&made(&daemon, routes::INPAINT, &soft).await.1, &picture);
    let near = |x: u32, y: u32| (27..100).contains(&x) && (10..111).contains(&y);
    assert!(places.iter().all(|(x, y)| near(*x, *y)) && places.iter().any(|(x, y)| !inside(*x, *y)));
    // Only the region, of a picture that the model could not take whole.
    let large = scene(500, 300);
    let region = json!({
        "prompt": "a red tent", "image": url(&large), "steps": 3, "seed": 5, "onlyMasked": true,
        "mask": url(&mask(500, 300, |x, y| (400..460).contains(&x) && y > 250)),
    });
    let (job, painted) = made(&daemon, routes::INPAINT, &region).await;
    let places = changed(&painted, &large);
    assert!(places.iter().all(|(x, y)| (400..460).contains(x) && *y > 250) && places.len() > 2_500);
    assert_eq!(job.result.expect("a result").parameters.width, 128);
}

#[tokio::test]
async fn transparency_is_a_mask_and_a_canvas_grows() {
    let daemon = real().await;
    let picture = scene(64, 64);
    let clear = |x: u32, y: u32| x >= 32 && y >= 32;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 64, 64);
    encoder.set_color(png::ColorType::Rgba);
    let rgba: Vec<u8> = (0..64 * 64)
        .flat_map(|i| {
            let alpha = if clear(i % 64, i / 64) { 0 } else { 255 };
            let start = i as usize * 3;
            [picture.rgb[start], picture.rgb[start + 1], picture.rgb[start + 2], alpha]
        })
        .collect();
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgba)).expect("is written");
    let body = json!({"prompt": "a red tent", "image": data_url(&file), "steps": 2});
    let places = changed(&made(&daemon, routes::INPAINT, &body).await.1, &picture);
    assert!(places.iter().all(|(x, y)| clear(*x, *y)) && places.len() > 800, "{}", places.len());

    let grown = json!({
        "prompt": "a red tent", "image": url(&picture), "steps": 2,
        "outpaint": {"left": 32, "right": 8, "bottom": 24},
    });
    let (_, canvas) = made(&daemon, routes::INPAINT, &grown).await;
    assert_eq!((canvas.width, canvas.height), (104, 88));
    for (row, old) in canvas.rgb.chunks_exact(104 * 3).zip(picture.rgb.chunks_exact(64 * 3)) {
        assert_eq!(&row[32 * 3..96 * 3], old, "the picture lies where it was put");
    }
}

#[tokio::test]
async fn a_style_needs_no_words() {
    let daemon = real().await;
    let red = mask(128, 128, |_, _| false);
    let red = Picture { rgb: red.rgb.chunks_exact(3).flat_map(|_| [230, 40, 30]).collect(), ..red };
    let body = json!({
        "contentImage": url(&scene(128, 128)), "styleImage": url(&red), "steps": 4, "seed": 1,
        "styleStrength": 1.0, "contentStrength": 0.6,
    });
    let (job, styled) = made(&daemon, routes::STYLE_TRANSFER, &body).await;
    assert_eq!((job.kind, styled.width), (JobKind::StyleTransfer, 128));
    let mean = |channel: usize| {
        let values = styled.rgb.chunks_exact(3).map(|pixel| u64::from(pixel[channel]));
        values.sum::<u64>() / (128 * 128)
    };
    assert!(mean(0) > mean(1) + 60 && mean(0) > mean(2) + 60, "{:?}", [mean(0), mean(1), mean(2)]);
}

#[tokio::test]
async fn what_is_no_picture_names_its_field() {
    let daemon = Daemon::start().await;
    let (fine, small) = (url(&scene(64, 64)), url(&scene(64, 32)));
    let black = url(&mask(64, 64, |_, _| false));
    let long = "A".repeat(5_000_000);
    let with = |field: &str, value: Value| {
        let mut body = json!({"prompt": "x", "initImage": fine});
        body[field] = value;
        body
    };
    for text in [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/x.png",
        "data:text/plain;base64,aGk=",
        "aGVsbG8=",
        &long,
    ] {
        let error =
            refused(daemon.post(routes::IMG2IMG, &with("initImage", json!(text))).await, StatusCode::BAD_REQUEST).await;
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidField, Some("initImage")), "{error}");
        assert!(error.message.len() < 300, "{error}");
    }
    let cases = [
        (routes::IMG2IMG, with("strength", json!(0)), "strength"),
        (routes::IMG2IMG, with("strength", json!(1.5)), "strength"),
        (routes::IMG2IMG, with("strength", json!("much")), "strength"),
        (routes::IMG2IMG, with("resizeMode", json!("fold")), "resizeMode"),
        (routes::IMG2IMG, with("steps", json!(0)), "steps"),
        (routes::IMG2IMG, with("prompt", json!("")), "prompt"),
        (routes::IMG2IMG, with("mask", json!(fine)), "mask"),
        (routes::IMG2IMG, json!({"prompt": "x"}), "initImage"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine}), "mask"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine, "mask": small}), "mask"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine, "mask": black}), "mask"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine, "mask": "garbage"}), "mask"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine, "mask": fine, "maskBlur": 1e9}), "maskBlur"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine, "outpaint": {"left": 4_294_967_295u32}}), "outpaint"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine, "outpaint": {"left": 4096, "top": 4096}}), "outpaint"),
        (routes::INPAINT, json!({"prompt": "x", "image": fine, "outpaint": {"up": 1}}), "outpaint.up"),
        (routes::STYLE_TRANSFER, json!({"contentImage": fine, "styleImage": "x"}), "styleImage"),
        (
            routes::STYLE_TRANSFER,
            json!({"contentImage": fine, "styleImage": fine, "styleStrength": -1}),
            "styleStrength",
        ),
        (
            routes::STYLE_TRANSFER,
            json!({"contentImage": fine, "styleImage": fine, "contentStrength": 2}),
            "contentStrength",
        ),
    ];
    for (route, body, field) in cases {
        let error = refused(daemon.post(route, &body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidField, Some(field)), "{error}");
    }
    daemon.still_serves().await;
}

/// A PNG of 65,000 x 65,000 pixels in a few kilobytes: decoded, it would fill 12 GiB.
#[tokio::test]
async fn a_bomb_is_refused_by_its_header_and_a_body_by_its_length() {
    let daemon = Daemon::start().await;
    // Too many pixels, and a line of few enough.
    for (width, height) in [(65_000, 65_000), (1, 1 << 24)] {
        let mut bomb = Vec::new();
        let mut encoder = png::Encoder::new(&mut bomb, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_chunk(png::chunk::IDAT, &[0; 5_000]).expect("is written");
        drop(writer);
        let started = std::time::Instant::now();
        let body = json!({"prompt": "x", "initImage": data_url(&bomb)});
        let error = refused(daemon.post(routes::IMG2IMG, &body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(error.field.as_deref(), Some("initImage"));
        let size = format!("{width} x {height}");
        assert!(error.message.contains(&size) && started.elapsed().as_secs() < 2, "{error}");
    }
    // A region is small, the picture that it is put back into and enlarged is not.
    let long = scene(2_104, 64);
    let region = json!({
        "prompt": "x", "image": url(&long), "mask": url(&mask(2_104, 64, |x, _| x < 40)), "onlyMasked": true,
        "width": 64, "height": 64, "post": {"upscale": 4},
    });
    let error = refused(daemon.post(routes::INPAINT, &region).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(error.field.as_deref(), Some("post.upscale"));
    let large = json!({"prompt": "x", "initImage": "A".repeat(40 << 20)});
    let error = refused(daemon.post(routes::IMG2IMG, &large).await, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(error.code, ErrorCode::TooLarge);
    let words = json!({"prompt": "x", "negativePrompt": "A".repeat(2 << 20)});
    let error = refused(daemon.post(routes::TEXT2IMG, &words).await, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(error.message.contains("1 MiB"), "{error}");
    daemon.still_serves().await;
}
