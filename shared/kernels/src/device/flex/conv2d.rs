//! Convolution on the processor: a few hundred output pixels at a time are unfolded and multiplied.
//!
//! In NHWC a window's row is contiguous, so unfolding is copying; the product adds to the bias and
//! lands where the output is. What is unfolded at once stays in the cache.

use super::each_piece;

/// What is unfolded at once, in values: 1 MiB.
const UNFOLDED: usize = 1 << 18;

/// A convolution of one picture.
pub struct Conv2d<'a> {
    /// `[out, rows, columns, in]`.
    pub weight: &'a [f32],
    /// `[out]`.
    pub bias: &'a [f32],
    /// Rows, columns, channels of the input.
    pub input: [usize; 3],
    /// Rows, columns of a window.
    pub kernel: [usize; 2],
    /// Pixels between windows.
    pub stride: usize,
    /// Zeros on every side, in pixels.
    pub padding: usize,
    /// Rows, columns, channels of the output.
    pub output: [usize; 3],
}

impl Conv2d<'_> {
    /// Writes the convolution of `x` to `y`.
    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        let [height, width, out] = self.output;
        let window = self.kernel[0] * self.kernel[1] * self.input[2];
        let pixels = (UNFOLDED / window.max(1)).clamp(16, 512).min((height * width).max(1));
        let as_is = self.kernel == [1, 1] && self.stride == 1 && self.padding == 0;
        each_piece(y, pixels * out, |i, piece| {
            let count = piece.len() / out.max(1);
            piece.chunks_exact_mut(out.max(1)).for_each(|pixel| pixel.copy_from_slice(self.bias));
            if as_is {
                let first = i * pixels * window;
                add_product(&x[first..first + count * window], self.weight, piece, [count, window, out]);
                return;
            }
            let mut unfolded = vec![0.0; count * window];
            for (n, row) in unfolded.chunks_exact_mut(window).enumerate() {
                let pixel = i * pixels + n;
                self.unfold(x, pixel / width, pixel % width, row);
            }
            add_product(&unfolded, self.weight, piece, [count, window, out]);
        });
    }

    /// Copies the window of an output pixel; what lies outside the picture stays zero.
    fn unfold(&self, x: &[f32], row: usize, column: usize, window: &mut [f32]) {
        let ([height, width, c], [_, columns]) = (self.input, self.kernel);
        // Columns of the window that lie inside the picture.
        let left = column * self.stride;
        let skipped = self.padding.saturating_sub(left);
        let first = (left + skipped).saturating_sub(self.padding);
        let inside = columns.saturating_sub(skipped).min(width.saturating_sub(first));
        for (k, line) in window.chunks_exact_mut(columns * c).enumerate() {
            let Some(y) = (row * self.stride + k).checked_sub(self.padding).filter(|y| *y < height) else { continue };
            let from = (y * width + first) * c;
            line[skipped * c..(skipped + inside) * c].copy_from_slice(&x[from..from + inside * c]);
        }
    }
}

/// `y += a b^T` with `a` `[m, k]`, `b` `[n, k]`, `y` `[m, n]`, all row by row.
fn add_product(a: &[f32], b: &[f32], y: &mut [f32], [m, k, n]: [usize; 3]) {
    assert!(a.len() >= m * k && b.len() >= n * k && y.len() >= m * n, "the matrices have their sizes");
    let (rows, columns) = (k as isize, n as isize);
    // SAFETY: the strides address m * k, n * k and m * n values, which the slices have by the
    // assertion above; `y` is borrowed mutably, so it does not overlap the others.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            y.as_mut_ptr(),
            1,
            columns,
            true,
            a.as_ptr(),
            1,
            rows,
            b.as_ptr(),
            rows,
            1,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
