//! Finds the tab's device: asks the browser for its GPU and tries it; without one it takes the processor.

use fresco_diffusion::{Device, device};
use fresco_web::protocol::{Compute, DeviceInfo};
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The smallest storage binding that is enough for the models: WebGPU's own default limit.
const MIN_BINDING: u64 = 128 << 20;

/// Why an emulated GPU is not taken unless it is asked for.
const EMULATED: &str = "The browser's GPU is emulated on the processor, which is faster by itself.";

/// Chooses a device and proves that it computes.
///
/// # Errors
/// A sentence, when the GPU was demanded and there is none, or when there is one and it will not do. Its
/// late errors can still end this worker then, so the page takes a fresh one for the processor.
pub async fn open(compute: Compute) -> Result<(Device, DeviceInfo), String> {
    if compute == Compute::Cpu {
        return Ok(processor(None));
    }
    match adapter().await {
        // Ten times as slow as the processor by itself.
        Ok(info) if info.software && compute == Compute::Auto => Ok(processor(Some(EMULATED.to_owned()))),
        Ok(info) => Ok((graphics().await?, info)),
        Err(why) if compute == Compute::Auto => Ok(processor(Some(why))),
        Err(why) => Err(why),
    }
}

fn processor(note: Option<String>) -> (Device, DeviceInfo) {
    (Device::flex(), DeviceInfo { gpu: false, name: String::new(), software: false, binding: 0, note })
}

async fn graphics() -> Result<Device, String> {
    let device = device::webgpu().await.map_err(|why| format!("The browser's GPU cannot be opened: {why}"))?;
    device::probe(&device).await.map_err(|why| format!("The browser's GPU computes wrongly: {why}"))?;
    Ok(device)
}

/// The browser's preferred adapter, if its limits are enough.
async fn adapter() -> Result<DeviceInfo, String> {
    if !has_webgpu() {
        return Err("This browser has no WebGPU, or the page is not on https or localhost.".to_owned());
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let options =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    let adapter = instance.request_adapter(&options).await.map_err(|_| "The browser offers no GPU.".to_owned())?;
    let binding = adapter.limits().max_storage_buffer_binding_size as u64;
    if binding < MIN_BINDING {
        return Err(format!("The browser's GPU allows only {} MiB at once.", binding >> 20));
    }
    let info = adapter.get_info();
    let name = if info.name.is_empty() { maker().await.unwrap_or_default() } else { info.name };
    let software = info.device_type == wgpu::DeviceType::Cpu || name.to_lowercase().contains("swiftshader");
    Ok(DeviceInfo { gpu: true, name, software, binding, note: None })
}

fn has_webgpu() -> bool {
    navigator_gpu().is_some()
}

fn navigator_gpu() -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    Reflect::get(&navigator, &"gpu".into()).ok().filter(|gpu| gpu.is_object())
}

/// Vendor and architecture, which browsers tell where they keep the full name to themselves.
async fn maker() -> Option<String> {
    let gpu = navigator_gpu()?;
    let request = Reflect::get(&gpu, &"requestAdapter".into()).ok()?.dyn_into::<js_sys::Function>().ok()?;
    let promise = request.call0(&gpu).ok()?.dyn_into::<js_sys::Promise>().ok()?;
    let info = Reflect::get(&JsFuture::from(promise).await.ok()?, &"info".into()).ok()?;
    let part = |key: &str| Reflect::get(&info, &key.into()).ok().and_then(|value| value.as_string());
    let parts = [part("vendor"), part("architecture")];
    Some(parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
}
