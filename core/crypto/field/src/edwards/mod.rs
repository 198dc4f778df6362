//! The group ristretto255, eight elements at a time.
//!
//! Points of edwards25519 in extended coordinates, a lane per point, elements of the field as five
//! limbs of 51 bits. A multiplication costs 256 doublings and 64 additions (2 560 products and
//! squares in the field) for eight points together.
//!
//! # Constant time
//!
//! Nothing branches on a point, an encoding or a scalar, and no index depends on one. The number of
//! elements is public, and so is what [`Points::decode`] refuses.
//!
//! # References
//!
//! * H. Hisil, K. K.-H. Wong, G. Carter, E. Dawson, *Twisted Edwards curves revisited*, 2008
//!   (<https://eprint.iacr.org/2008/522>)
//! * RFC 9496, *The ristretto255 and decaf448 groups*, section 4.3

mod group;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod lanes;
mod limbs;

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::Kernel;
use group::{Digits, Group};
use lanes::{Plain, Row};

/// The encoding of an element.
pub type Element = [u8; 32];

/// (0 : 1 : 1 : 0) in every lane.
const IDENTITY: Group = {
    let (zero, one) = ([[0; 8]; 5], [[1; 8], [0; 8], [0; 8], [0; 8], [0; 8]]);
    [zero, one, one, zero]
};

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

/// A call of a kernel.
macro_rules! call {
    ($kernel:expr, $name:ident($($arg:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        let out = if $kernel < Kernel::Ifma {
            group::$name::<Plain>($($arg),*)
        } else {
            ifma::$name($($arg),*)
        };
        #[cfg(not(target_arch = "x86_64"))]
        let out = group::$name::<Plain>($($arg),*);
        out
    }};
}

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
            let (group, valid) = call!(kernel, decode(&padded(chunk, [0; 32])));
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
        let groups = chunks.map(|chunk| call!(kernel, map(&padded(chunk, [0; 64])))).collect();
        Self { kernel, groups, len: uniform.len() }
    }

    /// `len` times the identity.
    pub fn identity(len: usize) -> Self {
        Self { kernel: Kernel::detect(), groups: vec![IDENTITY; len.div_ceil(8)], len }
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
            out.extend(call!(self.kernel, encode(group)));
        }
        out.truncate(self.len);
        out
    }

    /// Every element times one number: 32 bytes, lowest first, the top bit ignored.
    #[must_use]
    pub fn mul(&self, scalar: &[u8; 32]) -> Self {
        let digits = digits(scalar);
        let groups = self.groups.iter().map(|group| call!(self.kernel, mul(group, &digits)));
        Self { groups: groups.collect(), ..*self }
    }

    /// The sums, element by element. Of two lengths the shorter counts.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let pairs = self.groups.iter().zip(&other.groups);
        let groups = pairs.map(|(a, b)| call!(self.kernel, add(a, b))).collect();
        Self { kernel: self.kernel, groups, len: self.len.min(other.len) }
    }

    /// Which elements are the same. Of two lengths the shorter counts.
    pub fn equal(&self, other: &Self) -> Vec<bool> {
        let mut out = Vec::with_capacity(8 * self.groups.len());
        for (a, b) in self.groups.iter().zip(&other.groups) {
            out.extend(call!(self.kernel, equal(a, b)).map(|mask| mask != 0));
        }
        out.truncate(self.len.min(other.len));
        out
    }
}

impl Zeroize for Points {
    fn zeroize(&mut self) {
        self.groups.zeroize();
        self.len = 0;
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

/// Digits from −8 to 7 in base 16, the last up to 8.
fn digits(scalar: &[u8; 32]) -> Zeroizing<Digits> {
    let mut digits = Zeroizing::new([0; 64]);
    let mut carry = 0;
    for i in 0..64 {
        let top = if i == 63 { 7 } else { 15 };
        let nibble = (scalar[i / 2] >> (4 * (i % 2)) & top).cast_signed() + carry;
        carry = if i == 63 { 0 } else { (nibble + 8) >> 4 };
        digits[i] = nibble - (carry << 4);
    }
    digits
}

#[cfg(test)]
mod tests;
