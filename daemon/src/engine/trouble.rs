//! What a failed device said, in words that help.

use fresco_api::{ApiError, ErrorCode};

/// What graphics drivers, the tensor library and the system say when memory is gone. In lower case.
const EXHAUSTED: [&str; 9] = [
    "out of memory",
    "outofmemory",
    "out_of_memory",
    "out_of_device_memory",
    "not enough memory",
    "memory exhausted",
    "cannot allocate",
    "can't allocate",
    "allocation of",
];
/// What they say when the device is gone, which may be because of memory.
const LOST: [&str; 3] = ["device lost", "device_lost", "devicelost"];
/// What helps against both.
const ADVICE: &str = "What helps: a smaller picture, a lower FRESCO_MEMORY_BUDGET so that models are kept in fewer \
                      bits, --offload, or --precision q8; `fresco models inspect` says what each saves";

/// The error of a device that failed for `reason`.
pub fn device_failed(reason: &str) -> ApiError {
    let lower = reason.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&EXHAUSTED) {
        return ApiError::new(ErrorCode::OutOfMemory, format!("The device ran out of memory: {reason}. {ADVICE}"));
    }
    if says(&LOST) {
        let message = format!("The device was lost: {reason}. It may have run out of memory. {ADVICE}");
        return ApiError::new(ErrorCode::OutOfMemory, message);
    }
    ApiError::new(ErrorCode::Device, format!("The device failed: {reason}"))
}

/// The same for an error that a run gave; an error of another kind stays as it is.
pub fn explained(error: ApiError) -> ApiError {
    if error.code != ErrorCode::Device {
        return error;
    }
    let reason = error.message.strip_prefix("The device failed: ").unwrap_or(&error.message);
    match device_failed(reason) {
        found if found.code == ErrorCode::OutOfMemory => found,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhausted_memory_is_told_from_other_failures() {
        for reason in [
            "wgpu error: Out of Memory",
            "VK_ERROR_OUT_OF_DEVICE_MEMORY",
            "CUDA_ERROR_OUT_OF_MEMORY",
            "memory allocation of 12 bytes failed",
            "Device lost",
            "ERROR_DEVICE_LOST",
        ] {
            let error = device_failed(reason);
            assert_eq!(error.code, ErrorCode::OutOfMemory, "{reason}");
            assert!(error.message.contains(reason) && error.message.contains("--precision q8"), "{error}");
        }
        let error = device_failed("an invalid shader");
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::Device, "The device failed: an invalid shader"));
        let told = ApiError::new(ErrorCode::Device, "The device failed: out of memory in pool");
        assert_eq!(explained(told).code, ErrorCode::OutOfMemory);
        let field = ApiError::field("width", "out of memory");
        assert_eq!(explained(field.clone()), field);
    }
}
