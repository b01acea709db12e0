//! PyTorch's CUDA random numbers: Philox 4x32-10 (Salmon et al. 2011), normals by Box & Muller (1958) in
//! cuRAND's form.
//!
//! Each value belongs to a thread of its own, whose number is in the counter, and takes the first of its
//! thread's normals: what torch does as long as the GPU has as many threads as the tensor has values, and
//! what AUTOMATIC1111 computes on the host for every tensor.

/// Multipliers of the two halves of a counter.
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// What the key grows by each round: the golden ratio and the root of 3, less 1.
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// `torch.Generator("cuda").manual_seed(seed)`.
#[derive(Clone, Debug)]
pub struct Philox {
    key: [u32; 2],
    /// Tensors drawn so far.
    drawn: u32,
}

impl Philox {
    /// A generator for a 64-bit seed.
    pub fn new(seed: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], drawn: 0 }
    }

    /// `torch.randn(n, device="cuda")` in f32.
    pub fn normal(&mut self, n: usize) -> Vec<f32> {
        let drawn = self.drawn;
        self.drawn = drawn.wrapping_add(1);
        let value = |thread: u64| {
            let [x, y, ..] = philox([drawn, 0, thread as u32, (thread >> 32) as u32], self.key);
            box_muller(x, y)
        };
        (0..n as u64).map(value).collect()
    }
}

/// Philox 4x32-10: four random words for a counter and a key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let low = u64::from(counter[0]) * u64::from(MULTIPLIERS[0]);
        let high = u64::from(counter[2]) * u64::from(MULTIPLIERS[1]);
        counter = [
            (high >> 32) as u32 ^ counter[1] ^ key[0],
            high as u32,
            (low >> 32) as u32 ^ counter[3] ^ key[1],
            low as u32,
        ];
    }
    counter
}

/// The first of the two normals of two words, in double precision and rounded once.
fn box_muller(x: u32, y: u32) -> f32 {
    let unit = 1.0 / 4_294_967_296.0;
    let turn = f64::from(std::f32::consts::TAU) * unit;
    let radius = (-2.0 * (f64::from(x) * unit + unit / 2.0).ln()).sqrt();
    (radius * (f64::from(y) * turn + turn / 2.0).sin()) as f32
}
