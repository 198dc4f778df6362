//! Vectors of words: the ring `F_p[X]/(X^4096 + 1)` slot by slot, and sums of long vectors.
//!
//! Words are canonical before and after. A word that is not gives a wrong result, never a fault;
//! what comes from outside passes [`check_canonical`] first.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(not(target_arch = "x86_64"))]
use portable as avx2;

use crate::{Block, Kernel, P};

/// Domain of the stream behind [`uniform`], before the index.
const UNIFORM: &[u8] = b"nexus/field/uniform v1";

/// a ← a∘b, slot by slot: the product of polynomials once both are transformed.
pub fn mul(a: &mut Block, b: &Block) {
    mul_with(Kernel::detect(), a, b);
}

/// sum ← sum + a∘b, slot by slot.
pub fn mul_add(sum: &mut Block, a: &Block, b: &Block) {
    mul_add_with(Kernel::detect(), sum, a, b);
}

/// sum ← sum + x, word by word. Of two lengths the shorter counts.
pub fn add(sum: &mut [u64], x: &[u64]) {
    add_with(Kernel::detect(), sum, x);
}

/// sum ← sum − x, word by word. Of two lengths the shorter counts.
pub fn sub(sum: &mut [u64], x: &[u64]) {
    sub_with(Kernel::detect(), sum, x);
}

/// Whether every word is below p. The time depends on the number of words only.
pub fn check_canonical(words: &[u64]) -> bool {
    check_canonical_with(Kernel::detect(), words)
}

/// The public polynomial number `index` of `seed`, uniform, as 4096 slots.
///
/// The stream is the extendable output of BLAKE3 keyed with `seed` on
/// `"nexus/field/uniform v1" ‖ index` (22 bytes of text, 8 bytes little-endian). It is read as
/// little-endian words; a word from p on is skipped; the others fill the slots in order.
pub fn uniform(seed: &[u8; 32], index: u64, out: &mut Block) {
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher.update(UNIFORM).update(&index.to_le_bytes());
    let mut stream = hasher.finalize_xof();
    accept(|bytes| stream.fill(bytes), out);
}

/// Fills `out` with the words below p of a stream that `read` hands out. Which words are skipped
/// is no secret, nor are the words.
fn accept(mut read: impl FnMut(&mut [u8]), out: &mut [u64]) {
    let mut buffer = [0; 8192];
    let mut filled = 0;
    while filled < out.len() {
        let count = (out.len() - filled).min(buffer.len() / 8);
        let (words, _) = buffer[..8 * count].as_chunks_mut::<8>();
        read(words.as_flattened_mut());
        let slots = &mut out[filled..filled + count];
        for (slot, word) in slots.iter_mut().zip(words) {
            *slot = u64::from_le_bytes(*word);
        }
        filled += keep_canonical(slots);
    }
}

/// Moves the words below p to the front, in order, and counts them. Nearly always that is all.
fn keep_canonical(words: &mut [u64]) -> usize {
    if check_canonical(words) {
        return words.len();
    }
    let mut kept = 0;
    for i in 0..words.len() {
        words[kept] = words[i];
        kept += usize::from(words[i] < P);
    }
    kept
}

/// [`mul`] by one kernel; a kernel that the machine lacks is replaced by what it has.
#[doc(hidden)]
pub fn mul_with(kernel: Kernel, a: &mut Block, b: &Block) {
    if kernel < Kernel::Avx2 { portable::mul(a, b) } else { avx2::mul(a, b) }
}

/// [`mul_add`] by one kernel.
#[doc(hidden)]
pub fn mul_add_with(kernel: Kernel, sum: &mut Block, a: &Block, b: &Block) {
    if kernel < Kernel::Avx2 { portable::mul_add(sum, a, b) } else { avx2::mul_add(sum, a, b) }
}

/// [`add`] by one kernel.
#[doc(hidden)]
pub fn add_with(kernel: Kernel, sum: &mut [u64], x: &[u64]) {
    let count = sum.len().min(x.len());
    let (sum, x) = (&mut sum[..count], &x[..count]);
    if kernel < Kernel::Avx2 { portable::add(sum, x) } else { avx2::add(sum, x) }
}

/// [`sub`] by one kernel.
#[doc(hidden)]
pub fn sub_with(kernel: Kernel, sum: &mut [u64], x: &[u64]) {
    let count = sum.len().min(x.len());
    let (sum, x) = (&mut sum[..count], &x[..count]);
    if kernel < Kernel::Avx2 { portable::sub(sum, x) } else { avx2::sub(sum, x) }
}

/// [`check_canonical`] by one kernel.
#[doc(hidden)]
pub fn check_canonical_with(kernel: Kernel, words: &[u64]) -> bool {
    if kernel < Kernel::Avx2 {
        portable::check_canonical(words)
    } else {
        avx2::check_canonical(words)
    }
}

#[cfg(test)]
mod tests;
