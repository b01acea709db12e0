//! Timesteps, noise levels and steps of the samplers.

use crate::{BLOCK, files::golden};
use fresco_diffusion::{
    Device,
    noise::Generator,
    schedule::{Euler, Schedule, ScheduleConfig},
};
use fresco_tests::golden::{Golden, relative_error};
use serde::Deserialize;

#[derive(Deserialize)]
struct Entries {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    config: ScheduleConfig,
    steps: usize,
    timesteps: Vec<f32>,
    sigmas: Vec<f32>,
    init_noise_sigma: f32,
}

pub async fn numbers(_: &Device) {
    let Entries { entries } = serde_json::from_slice(golden!("schedules.json")).expect("the golden is whole");
    assert!(entries.len() >= 36);
    for entry in entries {
        let what =
            format!("{:?} {:?} {} steps", entry.config.timestep_spacing, entry.config.beta_schedule, entry.steps);
        let euler = Euler::new(&entry.config, entry.steps);
        let timesteps: Vec<f32> = (0..euler.steps()).map(|step| euler.timestep(step)).collect();
        assert_eq!(timesteps, entry.timesteps, "{what}");
        let error = relative_error(euler.sigmas(), &entry.sigmas);
        assert!(error <= 1e-6, "{what}: sigmas are off by {error:.1e}");
        let error = relative_error(&[euler.noise_scale()], &[entry.init_noise_sigma]);
        assert!(error <= 1e-6, "{what}: the noise scale is off by {error:.1e}");
    }
}

/// Four steps with a model that is a formula.
pub async fn runs(_: &Device) {
    let golden = Golden::new(golden!("schedule_run.safetensors"));
    for spacing in ["trailing", "leading", "linspace"] {
        for prediction in ["epsilon", "v_prediction"] {
            let name = format!("{spacing}.{prediction}.latents");
            let expected = golden.values(&name);
            let mut latents = golden.values("noise");
            let mut euler = Euler::new(&config(spacing, prediction), 4);
            latents.iter_mut().for_each(|x| *x *= euler.noise_scale());
            for (step, expected) in expected.chunks_exact(latents.len()).enumerate() {
                let (scale, t) = (euler.input_scale(step), euler.timestep(step));
                let model: Vec<f32> = latents.iter().map(|x| (0.7 * x * scale).sin() + 0.001 * t).collect();
                euler.advance(step, &model, &mut latents, &mut Generator::new(0));
                let error = relative_error(&latents, expected);
                assert!(error <= BLOCK / 10.0, "{name}: step {step} is off by {error:.1e}");
            }
        }
    }
}

fn config(spacing: &str, prediction: &str) -> ScheduleConfig {
    let offset = u8::from(spacing == "leading");
    let json = serde_json::json!({
        "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "timestep_spacing": spacing, "prediction_type": prediction, "steps_offset": offset,
    });
    serde_json::from_value(json).expect("it is a configuration")
}
