//! Devices that can run a model: which there are, how to open one, and whether it computes.

mod probe;

pub use burn::tensor::Device;
pub use probe::probe;

/// A way to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// NVIDIA through CUDA.
    Cuda,
    /// Apple through Metal.
    Metal,
    /// Any GPU through Vulkan.
    Vulkan,
    /// A browser's GPU.
    WebGpu,
    /// The processor.
    Cpu,
}

impl DeviceKind {
    /// The lower-case name, as the command line takes it.
    pub fn name(self) -> &'static str {
        match self {
            DeviceKind::Cuda => "cuda",
            DeviceKind::Metal => "metal",
            DeviceKind::Vulkan => "vulkan",
            DeviceKind::WebGpu => "webgpu",
            DeviceKind::Cpu => "cpu",
        }
    }
}

/// A device that was found, not yet believed.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// How it computes.
    pub kind: DeviceKind,
    /// The hardware's name.
    pub name: String,
    /// A GPU interface emulated on the processor: slower than the CPU backend.
    pub software: bool,
    /// The handle; opened on first use.
    pub device: Device,
}

/// The kinds that this build knows, best first, the processor last.
pub const KINDS: &[DeviceKind] = &[
    #[cfg(feature = "cuda")]
    DeviceKind::Cuda,
    #[cfg(feature = "metal")]
    DeviceKind::Metal,
    #[cfg(feature = "vulkan")]
    DeviceKind::Vulkan,
    #[cfg(feature = "flex")]
    DeviceKind::Cpu,
];

/// Every device of a kind on this machine; none of a kind that this build does not know.
///
/// Opens each GPU to learn its name, which takes a moment and panics where a driver is broken.
pub fn candidates(kind: DeviceKind) -> Vec<Candidate> {
    match kind {
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => gpus(kind, burn::tensor::DeviceType::Cuda),
        #[cfg(feature = "metal")]
        DeviceKind::Metal => gpus(kind, burn::tensor::DeviceType::Metal),
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => gpus(kind, burn::tensor::DeviceType::Vulkan),
        #[cfg(feature = "flex")]
        DeviceKind::Cpu => vec![cpu()],
        _ => Vec::new(),
    }
}

/// The processor.
#[cfg(feature = "flex")]
pub fn cpu() -> Candidate {
    Candidate { kind: DeviceKind::Cpu, name: "CPU".to_owned(), software: false, device: Device::flex() }
}

#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
fn gpus(kind: DeviceKind, which: burn::tensor::DeviceType) -> Vec<Candidate> {
    let candidate = |device: Device| {
        let name = device.identity().map_or_else(|| kind.name().to_owned(), |identity| identity.name);
        Candidate { kind, software: is_software(&device, &name), name, device }
    };
    Device::enumerate(which).into_vec().into_iter().map(candidate).collect()
}

/// Whether an adapter emulates a GPU: by the kind its driver says, or by the well-known emulators' names.
#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
fn is_software(device: &Device, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let emulators = ["llvmpipe", "lavapipe", "swiftshader", "softpipe", "basic render"];
    format!("{device:?}").contains("Cpu") || emulators.iter().any(|emulator| name.contains(emulator))
}

/// The browser's GPU. Call it once, before any tensor is made.
///
/// # Errors
/// A sentence that says why there is none.
#[cfg(feature = "webgpu")]
pub async fn webgpu() -> Result<Device, String> {
    fresco_kernels::device::fill_registries();
    Device::wgpu_options().init_async().await.map_err(|error| format!("WebGPU did not start: {error}"))
}
