//! What comes in with a request's pictures becomes what an engine needs: decoded, checked, of the run's size.
//!
//! This takes time and memory: call it where nothing asynchronous waits.

mod decode;

pub(crate) use decode::file;
pub use decode::{decoded, picture};

use crate::engine::Task;
use fresco_api::{AnyRequest, ApiError, Edit, Mode, ModelInfo, Request};
use fresco_diffusion::Prepared;
use std::sync::Arc;

/// A request that was checked with its pictures.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The request with its pictures' hashes in their place.
    pub request: AnyRequest,
    /// What an engine is to do.
    pub task: Task,
    /// The pictures' files, in the order of [`Mode::pictures`].
    pub files: Vec<Vec<u8>>,
}

/// Decodes a request's pictures and resolves it.
///
/// # Errors
/// The first field that cannot be used. Numbers are looked at before any picture is decoded.
pub fn ready<M: Mode>(mut request: Request<M>, model: &ModelInfo, random_seed: u64) -> Result<Ready, ApiError>
where
    AnyRequest: From<Request<M>>,
{
    request.resolve(model, random_seed, (model.default_side, model.default_side))?;
    let (mut inputs, mut files) = (Vec::new(), Vec::new());
    for (field, text) in request.mode.pictures() {
        let (input, file, hash) = picture(field, text)?;
        inputs.push(input);
        files.push(file);
        *text = hash;
    }
    let size = inputs.first().map_or((0, 0), |input| (input.picture.width, input.picture.height));
    let params = request.resolve(model, random_seed, size)?;
    // A region is put back into its picture, and that is what is finished.
    if let Some(Edit::Inpaint { only_masked_padding: Some(_), outpaint, .. }) = &params.edit {
        let (width, height) = size;
        params.post.check((width + outpaint.left + outpaint.right, height + outpaint.top + outpaint.bottom))?;
    }
    let pictures = Prepared::new(&params, inputs)?;
    Ok(Ready { request: request.into(), task: Task { pictures: Some(Arc::new(pictures)), ..params.into() }, files })
}
