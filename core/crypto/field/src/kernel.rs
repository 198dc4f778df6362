//! Which instructions this machine has.

/// How a computation is carried out. Every kernel gives the same words; each includes the
/// instructions of those before it.
///
/// The choice is made while the program runs, so one binary serves every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kernel {
    /// Plain Rust, on every machine.
    Portable,
    /// AES rounds in hardware, one block each (x86-64: AES-NI).
    AesNi,
    /// Vectors of 256 bits, with products and sums of doubles rounded once (x86-64: AVX2, FMA).
    Avx2,
    /// AES rounds on vectors of 256 bits (x86-64: VAES).
    Vaes,
    /// Products of 52 bits on vectors of 512 bits (x86-64: AVX-512 IFMA).
    Ifma,
}

impl Kernel {
    const ALL: [Self; 5] = [Self::Portable, Self::AesNi, Self::Avx2, Self::Vaes, Self::Ifma];

    /// The fastest kernel of this machine.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            let ifma = has!("avx512f") && has!("avx512dq") && has!("avx512ifma");
            let steps = [has!("aes"), avx2, has!("vaes"), ifma];
            Self::ALL[steps.into_iter().take_while(|has| *has).count()]
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Portable
    }

    /// Every kernel of this machine, slowest first: what a test or a benchmark goes through.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        self <= Self::detect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_kernel_is_everywhere_and_the_detected_one_is_last() {
        assert_eq!(Kernel::available().next(), Some(Kernel::Portable));
        assert_eq!(Kernel::available().last(), Some(Kernel::detect()));
        assert!(Kernel::ALL.is_sorted());
    }
}
