//! PyTorch's CPU random numbers.
//!
//! MT19937 (Matsumoto & Nishimura 1998) seeded and read as `torch.Generator` does, normals by
//! Box & Muller (1958) in torch's two layouts: blocks of 16 for long tensors, pairs in double
//! precision for short ones.

use super::cephes;

const N: usize = 624;
const M: usize = 397;
/// Values below this count are drawn in pairs, others in blocks of this size.
const BLOCK: usize = 16;

/// `torch.Generator("cpu").manual_seed(seed)`.
pub struct Mt19937 {
    state: [u32; N],
    next: usize,
    /// The second normal of a pair; kept between calls, as torch keeps it.
    spare: Option<f64>,
}

impl Mt19937 {
    /// A generator for a 64-bit seed, of which torch's engine uses the low 32 bits.
    pub fn new(seed: u64) -> Self {
        let mut state = [0u32; N];
        state[0] = seed as u32;
        for i in 1..N {
            let before = state[i - 1];
            state[i] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N, spare: None }
    }

    /// The next 32 tempered bits.
    fn word(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let mixed = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// Uniform in [0, 1) with 24 bits, as `torch.rand` in f32.
    pub fn uniform(&mut self) -> f32 {
        (self.word() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// Uniform in [0, 1) with 53 bits.
    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.word());
        let low = u64::from(self.word());
        let bits = ((high << 32) | low) & ((1 << 53) - 1);
        bits as f64 / (1u64 << 53) as f64
    }

    /// `torch.randn` of `n` values in f32.
    pub fn normal(&mut self, n: usize) -> Vec<f32> {
        if n < BLOCK {
            return (0..n).map(|_| self.one_normal() as f32).collect();
        }
        let mut values: Vec<f32> = (0..n).map(|_| self.uniform()).collect();
        for block in values.as_chunks_mut::<BLOCK>().0 {
            box_muller(block);
        }
        if !n.is_multiple_of(BLOCK) {
            // The last 16 places are drawn anew, over the tail of the block before.
            let mut last: [f32; BLOCK] = std::array::from_fn(|_| self.uniform());
            box_muller(&mut last);
            values[n - BLOCK..].copy_from_slice(&last);
        }
        values
    }

    fn one_normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (u1, u2) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let angle = 2.0 * std::f64::consts::PI * u1;
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }
}

/// Eight pairs of uniforms to 16 normals.
fn box_muller(block: &mut [f32; BLOCK]) {
    for j in 0..BLOCK / 2 {
        let radius = (-2.0 * cephes::ln(1.0 - block[j])).sqrt();
        let (sine, cosine) = cephes::sin_cos(2.0 * std::f32::consts::PI * block[j + BLOCK / 2]);
        block[j] = radius * cosine;
        block[j + BLOCK / 2] = radius * sine;
    }
}
