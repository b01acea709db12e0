//! The messages between the page and the worker, as JSON text so that 64-bit seeds survive.

pub mod shelf;

use fresco_api::{AnyRequest, JobEvent};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// How the tab computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// The GPU where there is one, else the processor.
    #[default]
    Auto,
    /// The GPU or nothing.
    WebGpu,
    /// The processor.
    Cpu,
}

impl Compute {
    /// The choice by its name, as the page's address has it (`?engine=cpu`).
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Compute::Auto),
            "webgpu" => Some(Compute::WebGpu),
            "cpu" => Some(Compute::Cpu),
            _ => None,
        }
    }
}

/// What the page tells the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Command {
    /// Choose a device. Sent once, after [`Report::Up`].
    Start {
        /// Which.
        compute: Compute,
    },
    /// Make a picture. One job at a time.
    Generate {
        /// A number of the page's choosing, unique in this worker.
        job: u64,
        /// What to make.
        request: Box<AnyRequest>,
    },
    /// Stop a job, waiting or running.
    Cancel {
        /// Which.
        job: u64,
    },
}

/// What the worker tells the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Report {
    /// The program runs and listens.
    Up,
    /// The device is chosen and computes.
    Ready {
        /// Which.
        device: DeviceInfo,
    },
    /// Something happened to a job.
    Job {
        /// Which.
        job: u64,
        /// What.
        event: JobEvent,
    },
    /// The worker cannot go on: no device, or it broke. Nothing follows.
    Fatal {
        /// The technical reason.
        reason: String,
    },
}

/// What runs the model in the tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceInfo {
    /// On the GPU rather than the processor.
    pub gpu: bool,
    /// The hardware's name as far as the browser tells it; may be empty.
    pub name: String,
    /// A GPU interface emulated on the processor: right but slow.
    pub software: bool,
    /// The largest piece of memory that the GPU takes at once, in bytes; 0 on the processor.
    #[serde(default)]
    pub binding: u64,
    /// Why the GPU is not used, when it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A message as text.
pub fn encode(message: &impl Serialize) -> String {
    // Maps with non-text keys are the only values JSON cannot hold; the messages have no maps.
    serde_json::to_string(message).unwrap_or_default()
}

/// A message from text; `None` when it is not one.
pub fn decode<M: DeserializeOwned>(text: &str) -> Option<M> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_api::{ImageRequest, Inpaint, Request};

    #[test]
    fn a_large_seed_survives() {
        let request = ImageRequest { prompt: "a tent".into(), seed: Some(u64::MAX), ..Default::default() };
        let mode = Inpaint { image: "data:a".into(), mask: Some("data:b".into()), ..Inpaint::default() };
        for request in [AnyRequest::from(request.clone()), Request { image: request, mode }.into()] {
            let sent = Command::Generate { job: 3, request: Box::new(request) };
            assert_eq!(decode::<Command>(&encode(&sent)), Some(sent));
        }
    }

    #[test]
    fn reports_survive() {
        let device =
            DeviceInfo { gpu: false, name: String::new(), software: false, binding: 0, note: Some("none".into()) };
        for sent in [
            Report::Up,
            Report::Ready { device },
            Report::Job { job: 1, event: JobEvent::Step { step: 2, of: 8 } },
            Report::Fatal { reason: "lost".into() },
        ] {
            assert_eq!(decode::<Report>(&encode(&sent)), Some(sent));
        }
    }

    #[test]
    fn strange_text_is_not_a_message() {
        assert_eq!(decode::<Command>("{\"type\":\"dance\"}"), None);
        assert_eq!(decode::<Command>("hello"), None);
    }
}
