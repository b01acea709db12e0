//! How much memory this machine has, read from the system without opening a device.

use fresco_diffusion::{Candidate, DeviceKind};
use std::{fs, process::Command};

/// Memory that a model may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Whose it is: a GPU's name, or the machine's own.
    pub name: String,
    /// Bytes in all.
    pub total: u64,
    /// Bytes that nobody uses now, where the system says.
    pub free: Option<u64>,
    /// The machine's own memory, which the processor and integrated GPUs use.
    pub host: bool,
}

/// The GPUs with memory of their own, then the machine's memory. Empty where the system says nothing.
pub fn memories() -> Vec<Memory> {
    nvidia().into_iter().chain(amd()).chain(host()).collect()
}

/// The memory that a device computes in, as far as the system says: the machine's own for the processor, for a GPU
/// emulated on it and for Apple's GPUs, otherwise that of the GPU of the same name, or of the only one there is.
pub fn of_device(device: &Candidate, memories: Vec<Memory>) -> Option<Memory> {
    let (hosts, gpus): (Vec<Memory>, Vec<Memory>) = memories.into_iter().partition(|memory| memory.host);
    if device.software || matches!(device.kind, DeviceKind::Cpu | DeviceKind::Metal) {
        return hosts.into_iter().next();
    }
    let only = gpus.len() == 1;
    let name = device.name.to_ascii_lowercase();
    let named = |memory: &Memory| {
        let other = memory.name.to_ascii_lowercase();
        name.contains(&other) || other.contains(&name)
    };
    // A GPU without memory of its own is known to nobody, while another one may be.
    let integrated = ["intel", "integrated", "apple"].iter().any(|word| name.contains(word));
    gpus.into_iter().find(|memory| named(memory) || only && !integrated)
}

fn host() -> Option<Memory> {
    let (total, free) = match fs::read_to_string("/proc/meminfo") {
        Ok(text) => (meminfo(&text, "MemTotal:")?, meminfo(&text, "MemAvailable:")),
        Err(_) => (said("sysctl", &["-n", "hw.memsize"])?.trim().parse().ok()?, None),
    };
    Some(Memory { name: "memory".to_owned(), total, free, host: true })
}

/// A line such as `MemTotal:  16384 kB`.
fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn nvidia() -> Vec<Memory> {
    let query = ["--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"];
    said("nvidia-smi", &query).map_or_else(Vec::new, |text| text.lines().filter_map(nvidia_line).collect())
}

/// A line such as `NVIDIA H200, 143771, 143000`, in MiB.
fn nvidia_line(line: &str) -> Option<Memory> {
    let mut columns = line.rsplitn(3, ',').map(str::trim);
    let free = columns.next()?.parse::<u64>().ok()? << 20;
    let total = columns.next()?.parse::<u64>().ok()? << 20;
    Some(Memory { name: columns.next()?.to_owned(), total, free: Some(free), host: false })
}

fn amd() -> Vec<Memory> {
    let cards = fs::read_dir("/sys/class/drm").into_iter().flatten().flatten();
    let card = |entry: fs::DirEntry| {
        let number = |name: &str| fs::read_to_string(entry.path().join("device").join(name)).ok()?.trim().parse().ok();
        let total: u64 = number("mem_info_vram_total")?;
        let used: Option<u64> = number("mem_info_vram_used");
        let name = format!("GPU {}", entry.file_name().to_string_lossy());
        Some(Memory { name, total, free: used.map(|used| total.saturating_sub(used)), host: false })
    };
    cards.filter_map(card).collect()
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_memory_of_its_name() {
        let memory = |name: &str, host| Memory { name: name.to_owned(), total: 1 << 30, free: None, host };
        let two = vec![memory("NVIDIA A", false), memory("NVIDIA B", false), memory("memory", true)];
        let of = |kind, name: &str, software, memories: &[Memory]| {
            let device = Candidate { kind, name: name.to_owned(), software, ..fresco_diffusion::device::cpu() };
            of_device(&device, memories.to_vec()).map(|memory| memory.name)
        };
        assert_eq!(of(DeviceKind::Cpu, "CPU", false, &two).as_deref(), Some("memory"));
        assert_eq!(of(DeviceKind::Vulkan, "llvmpipe", true, &two).as_deref(), Some("memory"));
        assert_eq!(of(DeviceKind::Cuda, "NVIDIA B", false, &two).as_deref(), Some("NVIDIA B"));
        assert_eq!(of(DeviceKind::Vulkan, "AMD C", false, &two), None);
        let one = vec![memory("GPU card0", false), memory("memory", true)];
        assert_eq!(of(DeviceKind::Vulkan, "AMD C (RADV)", false, &one).as_deref(), Some("GPU card0"));
        assert_eq!(of(DeviceKind::Vulkan, "Intel(R) Graphics", false, &one), None);
        assert_eq!(of(DeviceKind::Cpu, "CPU", false, &[]), None);
    }

    #[test]
    fn the_systems_lines_are_read() {
        assert_eq!(meminfo("MemTotal:       16384 kB\nMemAvailable: 8 kB\n", "MemAvailable:"), Some(8 << 10));
        assert_eq!(meminfo("nonsense", "MemTotal:"), None);
        let gpu = nvidia_line("NVIDIA A, B, 100, 90").expect("a GPU");
        assert_eq!((gpu.name.as_str(), gpu.total, gpu.free), ("NVIDIA A, B", 100 << 20, Some(90 << 20)));
        assert_eq!(nvidia_line("No devices were found"), None);
    }
}
