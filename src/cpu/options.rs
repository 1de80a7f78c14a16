//! Options of the CPU path.

/// Options of the CPU path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuOptions {
    /// Whether convolutions use Winograd's algorithm where that is faster. Its error is up to 4e-6 of a result's norm, ten
    /// times that of the direct computation and a hundredth of that of TF32.
    pub winograd: bool,
}

impl Default for CpuOptions {
    fn default() -> Self {
        CpuOptions { winograd: true }
    }
}

impl CpuOptions {
    /// The same with or without Winograd convolution.
    pub fn with_winograd(self, winograd: bool) -> Self {
        CpuOptions { winograd, ..self }
    }
}
