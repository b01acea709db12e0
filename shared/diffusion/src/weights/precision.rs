//! In how many bits weights stay on a device. They are computed with in f32, whatever they are kept in.

use super::{Block, Storage};
use fresco_kernels::Form;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// In how many bits weights stay on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32: nothing to unpack, and most memory.
    #[default]
    F32,
    /// 16. Weights of 16 bits in their file stay as they are there, f16 or bf16, so that nothing is lost.
    F16,
    /// 16. As [`Precision::F16`], but wider weights lose digits where they would lose range.
    Bf16,
    /// 8 in matrices, in blocks of 32 with a scale, and 16 in convolutions. A weight is off by at most half of a
    /// 127th of the largest in its block.
    Q8,
    /// 4 in matrices, in blocks of 32 with a scale, and 16 in convolutions. A weight is off by at most an 8th of the
    /// largest in its block.
    Q4,
}

/// What a tensor is in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a linear layer, `[to, from]`.
    Matrix,
    /// Of a convolution.
    Filters,
}

impl Precision {
    /// Every choice, the widest first.
    pub const ALL: [Precision; 5] = [Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8, Precision::Q4];

    /// The lower-case name, as settings have it.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Bf16 => "bf16",
            Precision::Q8 => "q8",
            Precision::Q4 => "q4",
        }
    }

    /// The same for an autoencoder, whose errors are seen at once: never below 16 bits.
    pub const fn of_autoencoder(self) -> Self {
        match self {
            Precision::Q8 | Precision::Q4 => Precision::F16,
            wide => wide,
        }
    }

    /// How a tensor is packed that its file holds as `stored`; `None` where it stays f32.
    ///
    /// What the file holds in no more bits than asked stays as it is there.
    pub fn form(self, kind: Kind, stored: Option<Storage>) -> Option<Form> {
        use Storage::{Bf16, Block as Blocks, F8E4m3, F8E5m2, F16};
        let asked = match (self, kind) {
            (Precision::F32, _) => return None,
            (Precision::Bf16, _) => Form::Bf16,
            (Precision::F16, _) | (_, Kind::Filters) => Form::F16,
            (Precision::Q8, Kind::Matrix) => Form::Q8,
            (Precision::Q4, Kind::Matrix) => Form::Q4,
        };
        Some(match (stored, asked) {
            (Some(F16 | F8E4m3 | F8E5m2), Form::F16 | Form::Bf16) => Form::F16,
            (Some(Bf16), Form::F16 | Form::Bf16) => Form::Bf16,
            (Some(Blocks(Block::Q4_0)), _) if kind == Kind::Matrix => Form::Q4,
            (Some(Blocks(Block::Q8_0)), Form::F16 | Form::Bf16) if kind == Kind::Matrix => Form::Q8,
            _ => asked,
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Precision::ALL.map(Precision::name).join(", ");
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == name.to_ascii_lowercase());
        found.ok_or_else(|| format!("Unknown precision {name:?}; known: {}", known()))
    }
}
