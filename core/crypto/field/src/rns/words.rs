//! Vectors of words modulo one prime.

#[cfg(target_arch = "x86_64")]
use super::{MAX_BITS, avx2, avx512, float};
use super::{Modulus, portable};
use crate::Kernel;

/// Two vectors to be multiplied.
pub(super) type Term<'a> = (&'a [u64], &'a [u64]);
/// A vector and what it is multiplied by.
pub(super) type Weighted<'a> = (&'a [u64], u64);

/// A vector of residues and their prime.
pub(super) type Residues<'a> = (&'a [u64], Modulus);

/// out ← the integer nearest to Σ aᵢ/qᵢ, word by word, of at most 32 vectors of residues and their primes;
/// if that is within 2^-40 of a half, one of the two nearest. Of several lengths the shortest
/// counts.
pub fn nearest_sum(out: &mut [u64], terms: &[(&[u64], Modulus)]) {
    nearest_sum_with(Kernel::detect(), out, terms);
}

/// [`nearest_sum`] by one kernel.
pub(super) fn nearest_sum_with(kernel: Kernel, out: &mut [u64], terms: &[(&[u64], Modulus)]) {
    let lengths = terms.iter().map(|(words, _)| words.len());
    let count = lengths.min().unwrap_or(usize::MAX).min(out.len());
    let out = &mut out[..count];
    #[cfg(target_arch = "x86_64")]
    if kernel >= Kernel::Ifma && terms.iter().all(|(_, q)| q.bits() <= portable::FRACTIONS[0].0) {
        return avx512::nearest_sum(out, terms);
    }
    let _ = kernel;
    portable::nearest_sum(out, terms);
}

/// Word by word. Of several lengths the shortest counts.
impl Modulus {
    /// a ← a + b.
    pub fn add_assign(self, a: &mut [u64], b: &[u64]) {
        self.add_assign_with(Kernel::detect(), a, b);
    }

    /// a ← a + by.
    pub fn shift_assign(self, a: &mut [u64], by: u64) {
        self.shift_assign_with(Kernel::detect(), a, by);
    }

    /// a ← a − b.
    pub fn sub_assign(self, a: &mut [u64], b: &[u64]) {
        self.sub_assign_with(Kernel::detect(), a, b);
    }

    /// a ← −a.
    pub fn neg_assign(self, a: &mut [u64]) {
        self.neg_assign_with(Kernel::detect(), a);
    }

    /// a ← a·b: the product of polynomials once both are transformed.
    pub fn mul_assign(self, a: &mut [u64], b: &[u64]) {
        self.mul_assign_with(Kernel::detect(), a, b);
    }

    /// sum ← sum + a·b.
    pub fn mul_add(self, sum: &mut [u64], a: &[u64], b: &[u64]) {
        self.mul_add_with(Kernel::detect(), sum, a, b);
    }

    /// out ← Σ aᵢ·bᵢ over pairs of vectors, reduced once.
    pub fn inner_product(self, out: &mut [u64], terms: &[(&[u64], &[u64])]) {
        self.inner_product_with(Kernel::detect(), out, terms);
    }

    /// out ← Σ wᵢ·aᵢ over vectors and their weights below q, reduced once. The words have `bits` bits
    /// at most, of 61; they need be no residues.
    pub fn weighted_sum(self, out: &mut [u64], terms: &[(&[u64], u64)], bits: u32) {
        self.weighted_sum_with(Kernel::detect(), out, terms, bits);
    }

    /// a ← a·by.
    pub fn scale(self, a: &mut [u64], by: u64) {
        self.scale_with(Kernel::detect(), a, by);
    }

    /// out ← words + plus modulo q, for words of `bits` bits at most, of 62, and a residue.
    pub fn reduce_from(self, out: &mut [u64], words: &[u64], plus: u64, bits: u32) {
        self.reduce_from_with(Kernel::detect(), out, words, plus, bits);
    }
}

/// Bits of primes that vectors of either width multiply modulo.
#[cfg(target_arch = "x86_64")]
const PRODUCTS: [u32; 2] = [float::MAX_BITS, avx512::MAX_BITS];
/// The same for sums.
#[cfg(target_arch = "x86_64")]
const SUMS: [u32; 2] = [MAX_BITS, MAX_BITS];

/// Calls the function of the kernel, if it is for such a prime.
macro_rules! by {
    ($kernel:ident, $most:expr, $name:ident($q:expr, $($arg:expr),*)) => {{
        #[cfg(not(target_arch = "x86_64"))]
        let _ = $kernel;
        #[cfg(target_arch = "x86_64")]
        if $q.bits() <= $most[1] && $kernel >= Kernel::Ifma {
            return avx512::$name($q, $($arg),*);
        } else if $q.bits() <= $most[0] && $kernel >= Kernel::Avx2 {
            return avx2::$name($q, $($arg),*);
        }
        portable::$name($q, $($arg),*);
    }};
}

/// As many words of a as of b, and those.
fn pair<'a, 'b>(a: &'a mut [u64], b: &'b [u64]) -> (&'a mut [u64], &'b [u64]) {
    let count = a.len().min(b.len());
    (&mut a[..count], &b[..count])
}

/// The same by one kernel; a kernel that the machine lacks, or that does not know such a prime, is
/// replaced by another.
impl Modulus {
    /// [`Modulus::add_assign`] by one kernel.
    #[doc(hidden)]
    pub fn add_assign_with(self, kernel: Kernel, a: &mut [u64], b: &[u64]) {
        let (a, b) = pair(a, b);
        by!(kernel, SUMS, add_assign(self, a, b));
    }

    /// [`Modulus::shift_assign`] by one kernel.
    #[doc(hidden)]
    pub fn shift_assign_with(self, kernel: Kernel, a: &mut [u64], by: u64) {
        by!(kernel, SUMS, shift_assign(self, a, by));
    }

    /// [`Modulus::sub_assign`] by one kernel.
    #[doc(hidden)]
    pub fn sub_assign_with(self, kernel: Kernel, a: &mut [u64], b: &[u64]) {
        let (a, b) = pair(a, b);
        by!(kernel, SUMS, sub_assign(self, a, b));
    }

    /// [`Modulus::neg_assign`] by one kernel.
    #[doc(hidden)]
    pub fn neg_assign_with(self, kernel: Kernel, a: &mut [u64]) {
        by!(kernel, SUMS, neg_assign(self, a));
    }

    /// [`Modulus::mul_assign`] by one kernel.
    #[doc(hidden)]
    pub fn mul_assign_with(self, kernel: Kernel, a: &mut [u64], b: &[u64]) {
        let (a, b) = pair(a, b);
        by!(kernel, PRODUCTS, mul_assign(self, a, b));
    }

    /// [`Modulus::mul_add`] by one kernel.
    #[doc(hidden)]
    pub fn mul_add_with(self, kernel: Kernel, sum: &mut [u64], a: &[u64], b: &[u64]) {
        let (sum, a) = pair(sum, a);
        let (sum, b) = pair(sum, b);
        by!(kernel, PRODUCTS, mul_add(self, sum, &a[..b.len()], b));
    }

    /// [`Modulus::inner_product`] by one kernel.
    #[doc(hidden)]
    pub fn inner_product_with(self, kernel: Kernel, out: &mut [u64], terms: &[(&[u64], &[u64])]) {
        let lengths = terms.iter().map(|(a, b)| a.len().min(b.len()));
        let count = lengths.min().unwrap_or(usize::MAX).min(out.len());
        let out = &mut out[..count];
        #[cfg(target_arch = "x86_64")]
        if self.bits() <= avx512::MAX_BITS && kernel >= Kernel::Ifma {
            return avx512::inner_product(self, out, terms);
        }
        let _ = kernel;
        portable::inner_product(self, out, terms);
    }

    /// [`Modulus::weighted_sum`] by one kernel.
    #[doc(hidden)]
    pub fn weighted_sum_with(
        self,
        kernel: Kernel,
        out: &mut [u64],
        terms: &[(&[u64], u64)],
        bits: u32,
    ) {
        let lengths = terms.iter().map(|(words, _)| words.len());
        let count = lengths.min().unwrap_or(usize::MAX).min(out.len());
        let out = &mut out[..count];
        #[cfg(target_arch = "x86_64")]
        // Words of a prime of 51 bits and more may be longer than it is.
        let most = if self.bits() > float::MAX_BITS { MAX_BITS } else { float::MAX_BITS };
        if self.bits() <= avx512::MAX_BITS && bits <= most && kernel >= Kernel::Ifma {
            return avx512::weighted_sum(self, out, terms);
        }
        let _ = (kernel, bits);
        portable::weighted_sum(self, out, terms);
    }

    /// [`Modulus::scale`] by one kernel.
    #[doc(hidden)]
    pub fn scale_with(self, kernel: Kernel, a: &mut [u64], by: u64) {
        by!(kernel, PRODUCTS, scale(self, a, by));
    }

    /// [`Modulus::reduce_from`] by one kernel.
    #[doc(hidden)]
    pub fn reduce_from_with(
        self,
        kernel: Kernel,
        out: &mut [u64],
        words: &[u64],
        plus: u64,
        bits: u32,
    ) {
        let (out, words) = pair(out, words);
        by!(kernel, PRODUCTS, reduce_from(self, out, words, plus, bits));
    }
}
