//! The group ristretto255, eight elements at a time.
//!
//! Points (X : Y : Z : T) of edwards25519 in extended coordinates, a lane per point; elements of the
//! field are five limbs of 51 bits, which products of 52 bits (AVX-512 IFMA) multiply without a
//! carry in between. The kernel in plain Rust gives the same words; it is there to be compared
//! with, and slower than an implementation point by point: on machines without [`Kernel::Ifma`]
//! take one of those.
//!
//! # Cost
//!
//! Products and squares in the field, for eight points together:
//!
//! | operation | how | products |
//! |---|---|---|
//! | [`Points::mul`] | signed digits of 4 bits: 256 doublings of 7 (each fourth of 8), 71 sums of 8 | 2 430 |
//! | [`Points::mul_base`] | a table of the multiples of 16^i: 64 sums of 7 | 450 |
//! | [`Points::combine`] | Straus: 33 sums and a table a group, 132 doublings for 32 groups | 360 |
//! | [`Points::decode`], [`Points::encode`] | one inverse square root | 285 |
//! | [`Points::map`] | two of them | 590 |
//!
//! # Constant time
//!
//! Nothing branches on a point, an encoding or a number, and no address depends on one: a multiple
//! is looked up by reading all eight and masking seven away, or within a register. The number of
//! elements is public, and so is what [`Points::decode`] refuses. Digits are wiped.
//!
//! # References
//!
//! * H. Hisil, K. K.-H. Wong, G. Carter, E. Dawson, *Twisted Edwards curves revisited*, 2008
//!   (<https://eprint.iacr.org/2008/522>)
//! * E. G. Straus, *Addition chains of vectors*, 1964
//! * RFC 9496, *The ristretto255 and decaf448 groups*, section 4.3

/// Everything that is done to eight points at a time, by `$kernels`.
macro_rules! each_kernel {
    ($kernels:ident) => {
        $kernels! {
            decode(bytes: &Encodings) -> (Group, Row);
            encode(group: &Group) -> Encodings;
            map(bytes: &Uniform) -> Group;
            mul(group: &Group, digits: &Digits<u64>) -> Group;
            mul_base(base: &[Affine], digits: &Digits<Row>) -> Group;
            combine(groups: &[Group], digits: &[Digits<Row>]) -> Group;
            add(a: &Group, b: &Group) -> Group;
            affine(group: &Group) -> Affine;
            #[cfg(test)]
            arithmetic(a: &Rows, b: &Rows) -> [Rows; 7];
        }
    };
}

mod base;
mod digits;
mod group;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod lanes;
mod limbs;

use std::fmt;

use crate::Kernel;
use group::{Affine, Digits, Encodings, Group, Uniform};
use lanes::{Plain, Row};
#[cfg(test)]
use limbs::Rows;

/// The encoding of an element.
pub type Element = [u8; 32];

/// Groups of which [`Points::combine`] keeps the multiples: 320 KiB.
const TABLES: usize = 32;

/// Elements of ristretto255. They may be secret, so none is shown.
#[derive(Clone)]
pub struct Points {
    kernel: Kernel,
    /// The last one is filled up with whatever does no harm.
    groups: Vec<Group>,
    len: usize,
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Points").field("len", &self.len).finish_non_exhaustive()
    }
}

macro_rules! by_kernel {
    ($($(#[$test:meta])? $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $($(#[$test])?
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "one kernel"))]
        fn $name(kernel: Kernel, $($arg: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            if kernel >= Kernel::Ifma && let Some(out) = ifma::$name($($arg),*) {
                return out;
            }
            group::$name::<Plain>($($arg),*)
        })*
    };
}

each_kernel!(by_kernel);

impl Points {
    /// The elements with these encodings, or the place of the first that is none. The identity is
    /// an element: 32 bytes of 0.
    pub fn decode(encodings: &[Element]) -> Result<Self, usize> {
        Self::decode_with(Kernel::detect(), encodings)
    }

    /// [`Points::decode`] by one kernel, as is whatever is computed from the result.
    #[doc(hidden)]
    pub fn decode_with(kernel: Kernel, encodings: &[Element]) -> Result<Self, usize> {
        let mut groups = Vec::with_capacity(encodings.len().div_ceil(8));
        for (chunk, start) in encodings.chunks(8).zip((0..).step_by(8)) {
            let (group, valid) = decode(kernel, &padded(chunk, [0; 32]));
            if let Some(lane) = refused(&valid, chunk.len()) {
                return Err(start + lane);
            }
            groups.push(group);
        }
        Ok(Self { kernel, groups, len: encodings.len() })
    }

    /// The elements that uniform bytes are mapped to.
    pub fn map(uniform: &[[u8; 64]]) -> Self {
        Self::map_with(Kernel::detect(), uniform)
    }

    /// [`Points::map`] by one kernel, as is whatever is computed from the result.
    #[doc(hidden)]
    pub fn map_with(kernel: Kernel, uniform: &[[u8; 64]]) -> Self {
        let chunks = uniform.chunks(8);
        let groups = chunks.map(|chunk| map(kernel, &padded(chunk, [0; 64]))).collect();
        Self { kernel, groups, len: uniform.len() }
    }

    /// The generator times each number: 32 bytes, lowest first, the top bit ignored.
    pub fn mul_base(scalars: &[[u8; 32]]) -> Self {
        Self::mul_base_with(Kernel::detect(), scalars)
    }

    /// [`Points::mul_base`] by one kernel, as is whatever is computed from the result.
    #[doc(hidden)]
    pub fn mul_base_with(kernel: Kernel, scalars: &[[u8; 32]]) -> Self {
        let table = base::table();
        let chunks = scalars.chunks(8);
        let groups = chunks.map(|chunk| mul_base(kernel, table, &digits::apart(chunk))).collect();
        Self { kernel, groups, len: scalars.len() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The encodings.
    pub fn encode(&self) -> Vec<Element> {
        let mut out = Vec::with_capacity(8 * self.groups.len());
        for group in &self.groups {
            out.extend(encode(self.kernel, group));
        }
        out.truncate(self.len);
        out
    }

    /// Every element times one number: 32 bytes, lowest first, the top bit ignored.
    #[must_use]
    pub fn mul(&self, scalar: &[u8; 32]) -> Self {
        let digits = digits::each(scalar);
        let groups = self.groups.iter().map(|group| mul(self.kernel, group, &digits)).collect();
        Self { groups, ..*self }
    }

    /// The encoding of the sum of all elements times a number each. Of two lengths the shorter
    /// counts.
    pub fn combine(&self, weights: &[u128]) -> Element {
        let mut sum = base::IDENTITY;
        let weights = &weights[..self.len.min(weights.len())];
        for (groups, weights) in self.groups.chunks(TABLES).zip(weights.chunks(8 * TABLES)) {
            let digits: Vec<Digits<Row>> = weights.chunks(8).map(digits::of_weights).collect();
            sum = add(self.kernel, &sum, &combine(self.kernel, groups, &digits));
        }
        for lanes in [4, 2, 1] {
            sum = add(self.kernel, &sum, &rotated(&sum, lanes));
        }
        encode(self.kernel, &sum)[0]
    }
}

fn padded<const N: usize>(chunk: &[[u8; N]], with: [u8; N]) -> [[u8; N]; 8] {
    let mut out = [with; 8];
    out[..chunk.len()].copy_from_slice(chunk);
    out
}

fn refused(valid: &Row, len: usize) -> Option<usize> {
    valid[..len].iter().position(|mask| *mask == 0)
}

fn rotated(group: &Group, lanes: usize) -> Group {
    let mut out = *group;
    for row in out.as_flattened_mut() {
        row.rotate_left(lanes);
    }
    out
}

#[cfg(test)]
mod tests;
