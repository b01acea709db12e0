//! Whether bytes are what they should be, told while they arrive.

use fresco_api::ModelFile;
use fresco_web::{opfs::Opened, shelf::mark};
use js_sys::{Function, Promise, Reflect, Uint8Array};
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// So much of a file is read through at a time.
const PIECE: usize = 4 << 20;
/// Files without a SHA-256 are small: configuration and vocabularies.
const MOST_GIT: u64 = 64 << 20;

/// A digest that grows with the bytes.
#[derive(Clone, Default)]
pub struct Running(Sha256);

impl Running {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The SHA-256 in hexadecimal digits.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Reads through the first `length` bytes; `tell` hears how far it is, and may stop it.
///
/// # Errors
/// The browser refuses, or it was stopped.
pub async fn of_part(file: &Opened, length: u64, mut tell: impl AsyncFnMut(u64) -> bool) -> Result<Running, String> {
    let (mut running, mut at) = (Running::default(), 0);
    let mut piece = vec![0; PIECE];
    while at < length {
        let wanted = (length - at).min(PIECE as u64) as usize;
        let read = file.read(&mut piece[..wanted], at)?;
        if read == 0 {
            return Err("The file ends too early".to_owned());
        }
        running.update(&piece[..read]);
        at += read as u64;
        if !tell(at).await {
            return Err("Stopped".to_owned());
        }
    }
    Ok(running)
}

/// The mark of a whole file that is what it should be; `None` when it is something else.
///
/// # Errors
/// The browser refuses.
pub async fn judged(file: &Opened, listed: &ModelFile, running: Running) -> Result<Option<String>, String> {
    let found = match &listed.sha256 {
        Some(_) => ModelFile { sha256: Some(running.hex()), ..listed.clone() },
        None => ModelFile { git: Some(git(file, listed.size).await?), ..listed.clone() },
    };
    Ok(mark(&found).filter(|found| mark(listed).as_ref() == Some(found)))
}

/// Git's name of a small file: SHA-1 of `blob LENGTH\0` and the bytes, by the browser. It finds damage, not a forger.
async fn git(file: &Opened, size: u64) -> Result<String, String> {
    if size > MOST_GIT {
        return Err("Nobody says which SHA-256 this large file has".to_owned());
    }
    let mut bytes = format!("blob {size}\0").into_bytes();
    let head = bytes.len();
    bytes.resize(head + size as usize, 0);
    if file.read(&mut bytes[head..], 0)? as u64 != size {
        return Err("The file ends too early".to_owned());
    }
    sha1(&bytes).await.ok_or_else(|| "This browser computes no digests here".to_owned())
}

async fn sha1(bytes: &[u8]) -> Option<String> {
    let get = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).ok();
    let subtle = get(&get(&js_sys::global(), "crypto")?, "subtle")?;
    let digest = get(&subtle, "digest")?.dyn_into::<Function>().ok()?;
    let promise = digest.call2(&subtle, &"SHA-1".into(), &Uint8Array::from(bytes)).ok()?;
    let found = JsFuture::from(promise.dyn_into::<Promise>().ok()?).await.ok()?;
    Some(hex(&Uint8Array::new(&found).to_vec()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
