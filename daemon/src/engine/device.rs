//! Which device runs models, and why that one.

use super::thread::sentence;
use fresco_diffusion::{
    Candidate, DeviceKind,
    device::{KINDS, candidates, probe},
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
};

/// What the user wants models to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best that works; never a GPU interface emulated on the processor.
    #[default]
    Auto,
    /// This kind and no other, emulated or not.
    Only(DeviceKind),
}

impl DeviceChoice {
    /// Everything that can be asked for on a command line.
    pub const ALL: &[DeviceChoice] = &[
        DeviceChoice::Auto,
        DeviceChoice::Only(DeviceKind::Cpu),
        DeviceChoice::Only(DeviceKind::Vulkan),
        DeviceChoice::Only(DeviceKind::Cuda),
        DeviceChoice::Only(DeviceKind::Metal),
    ];
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceChoice::Auto => "auto",
            DeviceChoice::Only(kind) => kind.name(),
        })
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || DeviceChoice::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        DeviceChoice::ALL
            .iter()
            .copied()
            .find(|choice| choice.to_string() == name)
            .ok_or_else(|| format!("Unknown device {name:?}; known: {}", known()))
    }
}

/// What became of a device that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It computes correctly and runs models.
    Chosen,
    /// A better one was chosen before it was tried.
    NotNeeded,
    /// It is emulated on the processor, and slower than the processor's own code.
    Software,
    /// It does not compute, or computes wrongly.
    Failed(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Chosen => f.write_str("chosen: it passed the test computation"),
            Finding::NotNeeded => f.write_str("not needed: a better one works"),
            Finding::Software => f.write_str("refused: emulated on the processor; ask for it by --device"),
            Finding::Failed(reason) => write!(f, "refused: {reason}"),
        }
    }
}

/// A device and what became of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The device.
    pub candidate: Candidate,
    /// What became of it.
    pub finding: Finding,
}

impl Verdict {
    /// The device's name for people.
    pub fn name(&self) -> String {
        format!("{}: {}", self.candidate.kind.name(), self.candidate.name)
    }
}

/// Looks at every device, best first, and tries them until one works. Takes seconds on a GPU.
pub fn choose(wanted: DeviceChoice) -> Vec<Verdict> {
    // Only what was asked for is opened, and a driver that breaks while it is asked hides no other.
    let kinds =
        KINDS.iter().copied().filter(|kind| wanted == DeviceChoice::Auto || wanted == DeviceChoice::Only(*kind));
    let found = kinds.flat_map(|kind| {
        catch_unwind(|| candidates(kind)).unwrap_or_else(|panic| {
            tracing::warn!("{} devices cannot be listed: {}", kind.name(), sentence(&*panic));
            Vec::new()
        })
    });
    let found = found.collect();
    judge(wanted, found, |candidate| {
        // A driver that cannot be opened makes Burn panic.
        catch_unwind(AssertUnwindSafe(|| futures_executor::block_on(probe(&candidate.device))))
            .unwrap_or_else(|panic| Err(sentence(&*panic).to_owned()))
    })
}

fn judge(
    wanted: DeviceChoice,
    found: Vec<Candidate>,
    mut probe: impl FnMut(&Candidate) -> Result<(), String>,
) -> Vec<Verdict> {
    let mut chosen = false;
    let mut finding = |candidate: &Candidate| match wanted {
        _ if chosen => Finding::NotNeeded,
        DeviceChoice::Auto if candidate.software => Finding::Software,
        _ => match probe(candidate) {
            Ok(()) => {
                chosen = true;
                Finding::Chosen
            }
            Err(reason) => Finding::Failed(reason),
        },
    };
    found.into_iter().map(|candidate| Verdict { finding: finding(&candidate), candidate }).collect()
}

/// Why nothing was chosen, in a sentence.
pub fn regret(wanted: DeviceChoice, verdicts: &[Verdict]) -> String {
    let tried: Vec<String> = verdicts
        .iter()
        .filter(|verdict| matches!(verdict.finding, Finding::Failed(_)))
        .map(|verdict| format!("{} ({})", verdict.name(), verdict.finding))
        .collect();
    let what = match wanted {
        DeviceChoice::Auto => "No device works".to_owned(),
        DeviceChoice::Only(kind) => format!("No {} device works on this machine", kind.name()),
    };
    if tried.is_empty() { what } else { format!("{what}: {}", tried.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_diffusion::device::cpu;

    /// A GPU, an emulated one and the processor, of which those in `broken` fail the probe.
    fn findings(wanted: DeviceChoice, broken: &[&str]) -> Vec<Finding> {
        let device = |kind, name: &str, software| Candidate { kind, name: name.to_owned(), software, ..cpu() };
        let found = vec![
            device(DeviceKind::Cuda, "gpu", false),
            device(DeviceKind::Vulkan, "emulated", true),
            device(DeviceKind::Cpu, "cpu", false),
        ];
        let probe = |candidate: &Candidate| match broken.contains(&candidate.name.as_str()) {
            true => Err("wrong numbers".to_owned()),
            false => Ok(()),
        };
        judge(wanted, found, probe).into_iter().map(|verdict| verdict.finding).collect()
    }

    #[test]
    fn the_best_that_works_is_chosen_and_emulation_is_not() {
        use Finding::{Chosen, Failed, NotNeeded, Software};
        let failed = || Failed("wrong numbers".to_owned());
        let auto = DeviceChoice::Auto;
        assert_eq!(findings(auto, &[]), [Chosen, NotNeeded, NotNeeded]);
        assert_eq!(findings(auto, &["gpu"]), [failed(), Software, Chosen]);
        assert_eq!(findings(auto, &["gpu", "cpu"]), [failed(), Software, failed()]);
        // Asked for by name, emulation is taken.
        let vulkan = DeviceChoice::Only(DeviceKind::Vulkan);
        assert_eq!(findings(vulkan, &["gpu"]), [failed(), Chosen, NotNeeded]);
    }

    #[test]
    fn only_the_kind_that_was_asked_for_is_opened() {
        let verdicts = choose(DeviceChoice::Only(DeviceKind::Cpu));
        assert_eq!(verdicts.iter().map(|verdict| verdict.candidate.kind).collect::<Vec<_>>(), [DeviceKind::Cpu]);
        assert_eq!(verdicts[0].finding, Finding::Chosen);
    }

    #[test]
    fn names_go_both_ways() {
        for choice in DeviceChoice::ALL {
            assert_eq!(choice.to_string().parse(), Ok(*choice));
        }
        assert!("tpu".parse::<DeviceChoice>().is_err_and(|error| error.contains("vulkan")));
    }
}
