//! The negacyclic number-theoretic transform: multiplication modulo X^4096 + 1, slot by slot.
//!
//! With ψ = [`ROOT`], a root of unity of order 8192, slot i of the transform of a(X) is
//! a(ψ^(2·r(i)+1)), r(i) being the 12 bits of i in reverse order: the zeros of X^4096 + 1, in the
//! order in which the passes of Longa & Naehrig (ePrint 2016/504, algorithms 1 and 2) leave them.
//! The inverse transform takes that order back.
//!
//! Words are canonical before and after. A word that is not gives a wrong result, never a fault.
//! No branch and no index depends on a value: keys pass through here.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(not(target_arch = "x86_64"))]
use portable as avx2;

use crate::goldilocks::word;
use crate::{Block, Kernel, N, P};

/// ψ, of order 2·4096: the generator that Plonky3 takes for this order.
pub const ROOT: u64 = 0x1544_ef23_35d1_7997;

/// ψ^r(i) at index i. Pass m of the forward transform, m = 1, 2, 4, .., uses entries m..2m. As
/// −ψ^−r(i) is entry 3m − 1 − i, the inverse transform reads each such range backwards.
static POWERS: Block = powers();

/// 4096^−1 modulo p, which the inverse transform multiplies by.
const SCALE: u64 = word::pow(N as u64, P - 2);

#[expect(clippy::large_stack_arrays, reason = "made while compiling")]
const fn powers() -> Block {
    let mut powers = [1; N];
    let mut filled = 1;
    while filled < N {
        let step = word::pow(ROOT, (N / (2 * filled)) as u64);
        let mut i = 0;
        while i < filled {
            powers[filled + i] = word::mul(powers[i], step);
            i += 1;
        }
        filled *= 2;
    }
    powers
}

/// Coefficients to slots.
pub fn forward(block: &mut Block) {
    forward_with(Kernel::detect(), block);
}

/// Slots to coefficients.
pub fn inverse(block: &mut Block) {
    inverse_with(Kernel::detect(), block);
}

/// [`forward`] by one kernel; a kernel that the machine lacks is replaced by what it has.
#[doc(hidden)]
pub fn forward_with(kernel: Kernel, block: &mut Block) {
    if kernel < Kernel::Avx2 { portable::forward(block) } else { avx2::forward(block) }
}

/// [`inverse`] by one kernel; a kernel that the machine lacks is replaced by what it has.
#[doc(hidden)]
pub fn inverse_with(kernel: Kernel, block: &mut Block) {
    if kernel < Kernel::Avx2 { portable::inverse(block) } else { avx2::inverse(block) }
}

#[cfg(test)]
mod tests;
