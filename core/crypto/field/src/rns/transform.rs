//! The negacyclic transform for one prime and one degree.

use std::sync::Arc;

use super::{Modulus, RnsError, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, float};
use crate::Kernel;

/// The smallest degree of a transform.
pub const MIN_DEGREE: usize = 16;
/// The largest degree of a transform.
pub const MAX_DEGREE: usize = 1 << 17;

/// Products modulo X^N + 1 and a prime q as products of words: the negacyclic number-theoretic
/// transform in the order of SEAL.
///
/// With ψ = [`Transform::root`], the smallest root of unity of order 2N, slot i of the transform
/// of a(X) is a(ψ^(2·r(i)+1)), r(i) being the bits of i in reverse order.
///
/// A clone shares the tables.
///
/// # Example
///
/// ```
/// use nexus_field::rns::{Transform, choose};
///
/// // X^1023 · X = X^1024 = −1.
/// let q = choose(1024, &[40])?[0];
/// let transform = Transform::new(q, 1024)?;
/// let (mut a, mut b) = (vec![0; 1024], vec![0; 1024]);
/// (a[1023], b[1]) = (1, 1);
/// transform.forward(&mut a);
/// transform.forward(&mut b);
/// q.mul_assign(&mut a, &b);
/// transform.inverse(&mut a);
/// assert_eq!(a[0], q.value() - 1);
/// assert!(a[1..].iter().all(|word| *word == 0));
/// # Ok::<(), nexus_field::rns::RnsError>(())
/// ```
#[derive(Clone)]
pub struct Transform {
    modulus: Modulus,
    degree: usize,
    root: u64,
    tables: Tables,
}

/// ψ^r(i) at index i, in the form that the kernel multiplies with. Pass m of the forward
/// transform, m = 1, 2, 4, .., uses entries m..2m. As −ψ^−r(i) is entry 3m − 1 − i, the inverse
/// transform reads each such range backwards.
#[derive(Clone)]
enum Tables {
    Portable(Arc<portable::Tables>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Arc<avx2::Tables>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Arc<avx512::Tables>),
}

impl Tables {
    fn new(kernel: Kernel, modulus: Modulus, powers: &[u64]) -> Self {
        Self::of_vectors(kernel, modulus, powers)
            .unwrap_or_else(|| Self::Portable(Arc::new(portable::Tables::new(modulus, powers))))
    }

    #[cfg(target_arch = "x86_64")]
    fn of_vectors(kernel: Kernel, modulus: Modulus, powers: &[u64]) -> Option<Self> {
        let bits = modulus.bits();
        let wide = || avx512::Tables::new(modulus, powers).map(|it| Self::Avx512(Arc::new(it)));
        let narrow = || avx2::Tables::new(modulus, powers).map(|it| Self::Avx2(Arc::new(it)));
        let wide = (kernel >= Kernel::Ifma && bits <= avx512::MAX_BITS).then(wide).flatten();
        let narrow = || (kernel >= Kernel::Avx2 && bits <= float::MAX_BITS).then(narrow).flatten();
        wide.or_else(narrow)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn of_vectors(_: Kernel, _: Modulus, _: &[u64]) -> Option<Self> {
        None
    }
}

impl core::fmt::Debug for Transform {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut f = f.debug_struct("Transform");
        f.field("modulus", &self.modulus).field("degree", &self.degree).finish_non_exhaustive()
    }
}

/// Refuses what is no power of two within the limits.
pub(super) fn check_degree(degree: usize) -> Result<(), RnsError> {
    let fits = (MIN_DEGREE..=MAX_DEGREE).contains(&degree) && degree.is_power_of_two();
    if fits { Ok(()) } else { Err(RnsError::Degree { got: degree }) }
}

/// The smallest root of unity of order 2·degree.
fn minimal_root(modulus: Modulus, degree: usize) -> Option<u64> {
    let order = 2 * degree as u64;
    let minus_one = modulus.value() - 1;
    let candidates = (2..=minus_one).map(|x| modulus.pow(x, minus_one / order));
    let mut roots = candidates.filter(|root| modulus.pow(*root, order / 2) == minus_one);
    let root = roots.next()?;
    let square = modulus.mul(root, root);
    std::iter::successors(Some(root), |x| Some(modulus.mul(*x, square))).take(degree).min()
}

/// ψ^r(i) at index i.
fn powers(modulus: Modulus, degree: usize, root: u64) -> Vec<u64> {
    let mut powers = vec![1];
    while powers.len() < degree {
        let step = modulus.pow(root, (degree / (2 * powers.len())) as u64);
        let further: Vec<u64> = powers.iter().map(|power| modulus.mul(*power, step)).collect();
        powers.extend(further);
    }
    powers
}

impl Transform {
    /// The transform of `degree` words modulo a prime. Making it takes as long as dozens of
    /// transforms, so keep it.
    ///
    /// # Errors
    ///
    /// The degree is not a power of two from 16 to 2^17, or the prime is not 1 modulo 2·degree.
    pub fn new(modulus: Modulus, degree: usize) -> Result<Self, RnsError> {
        Self::with_kernel(Kernel::detect(), modulus, degree)
    }

    /// [`Transform::new`] for one kernel; a kernel that the machine lacks, or that does not know
    /// such a prime or degree, is replaced by another.
    #[doc(hidden)]
    pub fn with_kernel(kernel: Kernel, modulus: Modulus, degree: usize) -> Result<Self, RnsError> {
        check_degree(degree)?;
        let none = RnsError::Root { modulus: modulus.value(), degree };
        if !(modulus.value() - 1).is_multiple_of(2 * degree as u64) {
            return Err(none);
        }
        let root = minimal_root(modulus, degree).ok_or(none)?;
        let powers = powers(modulus, degree, root);
        let tables = Tables::new(kernel, modulus, &powers);
        Ok(Self { modulus, degree, root, tables })
    }

    /// The prime.
    pub fn modulus(&self) -> Modulus {
        self.modulus
    }

    /// N, the number of words of a polynomial.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// ψ, the smallest root of unity of order 2N.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Coefficients to slots. Every N words are one polynomial; words after the last whole one
    /// stay as they are.
    pub fn forward(&self, words: &mut [u64]) {
        for words in words.chunks_exact_mut(self.degree) {
            match &self.tables {
                Tables::Portable(tables) => tables.forward(words),
                #[cfg(target_arch = "x86_64")]
                Tables::Avx2(tables) => tables.forward(words),
                #[cfg(target_arch = "x86_64")]
                Tables::Avx512(tables) => tables.forward(words),
            }
        }
    }

    /// Slots to coefficients, of every N words as [`Transform::forward`].
    pub fn inverse(&self, words: &mut [u64]) {
        for words in words.chunks_exact_mut(self.degree) {
            match &self.tables {
                Tables::Portable(tables) => tables.inverse(words),
                #[cfg(target_arch = "x86_64")]
                Tables::Avx2(tables) => tables.inverse(words),
                #[cfg(target_arch = "x86_64")]
                Tables::Avx512(tables) => tables.inverse(words),
            }
        }
    }
}
