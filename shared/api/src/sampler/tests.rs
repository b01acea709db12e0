//! The names of samplers that other programs use.

use crate::{Rng, Sampler, SamplerName, SigmaSchedule};

#[test]
fn other_programs_names_are_read() {
    use Sampler::*;
    let cases = [
        ("Euler", Euler),
        ("k_euler", Euler),
        ("K_EULER", Euler),
        ("sample_euler", Euler),
        ("EulerDiscreteScheduler", Euler),
        ("FlowMatchEulerDiscreteScheduler", Euler),
        ("Euler a", EulerAncestral),
        ("euler_a", EulerAncestral),
        ("k_euler_a", EulerAncestral),
        ("K_EULER_ANCESTRAL", EulerAncestral),
        ("EulerAncestralDiscreteScheduler", EulerAncestral),
        ("Heun", Heun),
        ("k_heun", Heun),
        ("DPM++ 2M", Dpmpp2m),
        ("dpm++_2m", Dpmpp2m),
        ("dpm++2m", Dpmpp2m),
        ("k_dpmpp_2m", Dpmpp2m),
        ("DPMSolverMultistepScheduler", Dpmpp2m),
        ("DPM++ 2M SDE", Dpmpp2mSde),
        ("dpm++_2m_sde", Dpmpp2mSde),
        ("DPM++ SDE", DpmppSde),
        ("k_dpmpp_sde", DpmppSde),
        ("DPMSolverSDEScheduler", DpmppSde),
        ("DDIM", Ddim),
        ("plms", Plms),
        ("PNDMScheduler", Plms),
        ("uni_pc", UniPc),
        ("UniPC", UniPc),
        ("uni_pc_bh2", UniPc),
        ("lcm", Lcm),
    ];
    for (name, sampler) in cases {
        assert_eq!(name.parse(), Ok(SamplerName::from(sampler)), "{name}");
    }
    for sampler in Sampler::ALL {
        assert_eq!(sampler.name().parse(), Ok(*sampler));
        assert_eq!(sampler.label().parse(), Ok(*sampler));
    }
}

#[test]
fn a_name_may_say_how_noise_levels_lie() {
    let cases = [
        ("DPM++ 2M Karras", Sampler::Dpmpp2m, SigmaSchedule::Karras),
        ("dpm++_2m_sde_karras", Sampler::Dpmpp2mSde, SigmaSchedule::Karras),
        ("DPM++ 2M SDE Exponential", Sampler::Dpmpp2mSde, SigmaSchedule::Exponential),
        ("euler_a sgm_uniform", Sampler::EulerAncestral, SigmaSchedule::SgmUniform),
        ("Euler beta", Sampler::Euler, SigmaSchedule::Beta),
    ];
    for (name, sampler, schedule) in cases {
        let expected = SamplerName { sampler, scheduler: Some(schedule) };
        assert_eq!(name.parse(), Ok(expected), "{name}");
        assert_eq!(expected.to_string().parse(), Ok(expected), "{name} is written as it is read");
    }
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    for name in ["", "magic", "karras", "euler karras karras", &"x".repeat(100_000)] {
        let error = name.parse::<SamplerName>().expect_err("is refused");
        assert!(error.contains("dpmpp_2m_sde") && error.len() < 300, "{error}");
    }
    assert!("magic".parse::<SigmaSchedule>().expect_err("is refused").contains("karras"));
    assert!("magic".parse::<Rng>().expect_err("is refused").contains("gpu"));
}

#[test]
fn other_programs_schedules_are_read() {
    use SigmaSchedule::*;
    let cases = [
        ("Automatic", Default),
        ("Karras", Karras),
        ("SGM Uniform", SgmUniform),
        ("Simple", Trailing),
        ("Normal", Linspace),
        ("ddim_uniform", Leading),
    ];
    for (name, schedule) in cases {
        assert_eq!(name.parse(), Ok(schedule), "{name}");
    }
}
