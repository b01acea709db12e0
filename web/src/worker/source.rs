//! A model folder behind the web server: byte ranges of its files, fetched as they are needed.

use fresco_api::ModelInfo;
use fresco_diffusion::{Source, SourceError};
use fresco_web::weights_path;
use js_sys::Uint8Array;
use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    ops::Range,
    rc::Rc,
};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};

/// Small reads are served from aligned blocks of this size, so that a model costs few requests.
const BLOCK: u64 = 1 << 20;
/// Blocks kept; a model's tensors are not read in the order of its file.
const BLOCKS_KEPT: usize = 32;
/// A server that ignores ranges makes the tab hold the whole file; larger files are refused there.
const MAX_WHOLE: u64 = 512 << 20;

/// What one request brought.
enum Answer {
    /// No such file.
    Missing,
    /// The bytes that were asked for, and the length of the file.
    Part(Rc<Vec<u8>>, u64),
    /// The whole file: it is small, or the server knows no ranges.
    Whole(Rc<Vec<u8>>),
}

/// A piece of a file, kept for the next small read.
struct Block {
    file: String,
    start: u64,
    bytes: Rc<Vec<u8>>,
}

/// A catalogue entry, and the names of the folder's files where it has them.
#[derive(serde::Deserialize)]
struct Entry {
    #[serde(flatten)]
    info: ModelInfo,
    files: Option<Vec<String>>,
}

/// A model's folder, by its name in the catalogue.
pub struct HttpSource {
    model: String,
    listed: RefCell<Option<Vec<String>>>,
    lengths: RefCell<HashMap<String, Option<u64>>>,
    wholes: RefCell<HashMap<String, Rc<Vec<u8>>>>,
    blocks: RefCell<VecDeque<Block>>,
}

impl HttpSource {
    /// The folder of `model`, under `weights/` beside the page.
    pub fn new(model: &str) -> Self {
        let (listed, lengths, wholes, blocks) = Default::default();
        Self { model: model.to_owned(), listed, lengths, wholes, blocks }
    }

    /// What the catalogue says about the model. Read it first: where it lists the folder's files, others
    /// are known to be missing without asking, and a browser's console stays free of failed requests.
    ///
    /// # Errors
    /// The file cannot be read or is not a catalogue entry.
    pub async fn info(&self) -> Result<ModelInfo, SourceError> {
        const FILE: &str = "fresco.json";
        let length = self.len(FILE).await?.ok_or_else(|| SourceError::new(FILE, "no such file"))?;
        let bytes = self.read(FILE, 0..length).await?;
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|why| SourceError::new(FILE, why))?;
        self.listed.replace(entry.files);
        Ok(entry.info)
    }

    /// Bytes from one aligned block.
    async fn block(&self, file: &str, start: u64, length: u64) -> Result<Rc<Vec<u8>>, SourceError> {
        let known = |block: &&Block| block.file == file && block.start == start;
        let kept = self.blocks.borrow().iter().find(known).map(|block| block.bytes.clone());
        if let Some(bytes) = kept {
            return Ok(bytes);
        }
        let bytes = self.part(file, start..(start + BLOCK).min(length)).await?;
        self.keep(file, start, bytes.clone());
        Ok(bytes)
    }

    fn keep(&self, file: &str, start: u64, bytes: Rc<Vec<u8>>) {
        let mut blocks = self.blocks.borrow_mut();
        blocks.push_back(Block { file: file.to_owned(), start, bytes });
        if blocks.len() > BLOCKS_KEPT {
            blocks.pop_front();
        }
    }

    /// Bytes straight from the server.
    async fn part(&self, file: &str, range: Range<u64>) -> Result<Rc<Vec<u8>>, SourceError> {
        match self.ask(file, Some(range.clone())).await? {
            Answer::Part(bytes, _) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
            Answer::Part(bytes, _) => Err(short(file, bytes.len() as u64, range.end - range.start)),
            Answer::Whole(bytes) => cut(file, &bytes, range).map(Rc::new),
            Answer::Missing => Err(SourceError::new(file, "no such file")),
        }
    }

    async fn ask(&self, file: &str, range: Option<Range<u64>>) -> Result<Answer, SourceError> {
        let fail = |why: JsValue| SourceError::new(file, format!("cannot be fetched: {}", reason(&why)));
        let response = fetch(&weights_path(&self.model, file), range.clone()).await.map_err(fail)?;
        let whole = match response.status() {
            404 => {
                // Read, because browsers report an answer that nobody reads as a failed request.
                let _ = body(&response).await;
                return Ok(Answer::Missing);
            }
            206 => false,
            200 => true,
            status => return Err(SourceError::new(file, format!("the server answers {status}"))),
        };
        if whole && header_number(&response, "content-length").is_some_and(|length| length > MAX_WHOLE) {
            return Err(SourceError::new(file, "the server does not serve parts of files"));
        }
        let bytes = Rc::new(body(&response).await.map_err(fail)?);
        if whole {
            self.wholes.borrow_mut().insert(file.to_owned(), bytes.clone());
            return Ok(Answer::Whole(bytes));
        }
        let (start, total) = content_range(&response)
            .ok_or_else(|| SourceError::new(file, "the server does not say which part it sent"))?;
        match range {
            Some(range) if range.start == start => Ok(Answer::Part(bytes, total)),
            _ => Err(SourceError::new(file, "the server sent another part than asked for")),
        }
    }

    /// The length of a file, and with it its first block or, for a small file, all of it.
    async fn measure(&self, file: &str) -> Result<Option<u64>, SourceError> {
        let weights = file.ends_with(".safetensors");
        match self.ask(file, weights.then_some(0..BLOCK)).await? {
            Answer::Missing => Ok(None),
            Answer::Whole(bytes) => Ok(Some(bytes.len() as u64)),
            Answer::Part(bytes, total) => {
                if bytes.len() as u64 != BLOCK.min(total) {
                    return Err(short(file, bytes.len() as u64, BLOCK.min(total)));
                }
                self.keep(file, 0, bytes);
                Ok(Some(total))
            }
        }
    }
}

impl Source for HttpSource {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        if let Some(length) = self.lengths.borrow().get(file) {
            return Ok(*length);
        }
        if self.listed.borrow().as_ref().is_some_and(|files| !files.iter().any(|listed| listed == file)) {
            return Ok(None);
        }
        let length = self.measure(file).await?;
        self.lengths.borrow_mut().insert(file.to_owned(), length);
        Ok(length)
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        let length = self.len(file).await?.ok_or_else(|| SourceError::new(file, "no such file"))?;
        if range.start > range.end || range.end > length {
            return Err(SourceError::new(file, format!("ends at byte {length}, before byte {}", range.end)));
        }
        let whole = self.wholes.borrow().get(file).cloned();
        if let Some(whole) = whole {
            return cut(file, &whole, range);
        }
        if range.end - range.start > BLOCK {
            let bytes = self.part(file, range).await?;
            return Ok(Rc::unwrap_or_clone(bytes));
        }
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let start = at / BLOCK * BLOCK;
            let end = range.end.min(start + BLOCK);
            bytes.extend(cut(file, &self.block(file, start, length).await?, at - start..end - start)?);
            at = end;
        }
        Ok(bytes)
    }
}

fn cut(file: &str, bytes: &[u8], range: Range<u64>) -> Result<Vec<u8>, SourceError> {
    let part = bytes.get(range.start as usize..range.end as usize);
    part.map(<[u8]>::to_vec).ok_or_else(|| short(file, bytes.len() as u64, range.end))
}

fn short(file: &str, got: u64, wanted: u64) -> SourceError {
    SourceError::new(file, format!("the server sent {got} bytes instead of {wanted}"))
}

async fn fetch(path: &str, range: Option<Range<u64>>) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    if let Some(range) = range {
        headers.set("range", &format!("bytes={}-{}", range.start, range.end - 1))?;
    }
    let init = RequestInit::new();
    init.set_headers_headers(&headers);
    let promise = super::port::scope().fetch_with_str_and_init(path, &init);
    JsFuture::from(promise).await?.dyn_into()
}

async fn body(response: &Response) -> Result<Vec<u8>, JsValue> {
    let buffer = JsFuture::from(response.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

fn header_number(response: &Response, name: &str) -> Option<u64> {
    response.headers().get(name).ok().flatten()?.parse().ok()
}

/// First byte and length of the file, from `bytes 0-99/1234`.
fn content_range(response: &Response) -> Option<(u64, u64)> {
    let header = response.headers().get("content-range").ok().flatten()?;
    let (part, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = part.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()?))
}

fn reason(error: &JsValue) -> String {
    error
        .dyn_ref::<js_sys::Error>()
        .map_or_else(|| "the network failed".to_owned(), |error| String::from(error.message()))
}
