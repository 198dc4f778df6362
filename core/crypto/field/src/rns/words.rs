//! Vectors of words modulo one prime.

use super::{Modulus, portable};
use crate::Kernel;

/// Word by word. Of several lengths the shortest counts.
impl Modulus {
    /// a ← a + b.
    pub fn add_assign(self, a: &mut [u64], b: &[u64]) {
        self.add_assign_with(Kernel::detect(), a, b);
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

    /// a ← a·by.
    pub fn scale(self, a: &mut [u64], by: u64) {
        self.scale_with(Kernel::detect(), a, by);
    }

    /// out ← words modulo q; the words are any.
    pub fn reduce_from(self, out: &mut [u64], words: &[u64]) {
        self.reduce_from_with(Kernel::detect(), out, words);
    }

    /// [`Modulus::add_assign`] by one kernel; a kernel that the machine lacks, or that does not
    /// know such a prime, is replaced by another.
    #[doc(hidden)]
    pub fn add_assign_with(self, _kernel: Kernel, a: &mut [u64], b: &[u64]) {
        portable::add_assign(self, a, b);
    }

    /// [`Modulus::sub_assign`] by one kernel.
    #[doc(hidden)]
    pub fn sub_assign_with(self, _kernel: Kernel, a: &mut [u64], b: &[u64]) {
        portable::sub_assign(self, a, b);
    }

    /// [`Modulus::neg_assign`] by one kernel.
    #[doc(hidden)]
    pub fn neg_assign_with(self, _kernel: Kernel, a: &mut [u64]) {
        portable::neg_assign(self, a);
    }

    /// [`Modulus::mul_assign`] by one kernel.
    #[doc(hidden)]
    pub fn mul_assign_with(self, _kernel: Kernel, a: &mut [u64], b: &[u64]) {
        portable::mul_assign(self, a, b);
    }

    /// [`Modulus::mul_add`] by one kernel.
    #[doc(hidden)]
    pub fn mul_add_with(self, _kernel: Kernel, sum: &mut [u64], a: &[u64], b: &[u64]) {
        portable::mul_add(self, sum, a, b);
    }

    /// [`Modulus::scale`] by one kernel.
    #[doc(hidden)]
    pub fn scale_with(self, _kernel: Kernel, a: &mut [u64], by: u64) {
        portable::scale(self, a, by);
    }

    /// [`Modulus::reduce_from`] by one kernel.
    #[doc(hidden)]
    pub fn reduce_from_with(self, _kernel: Kernel, out: &mut [u64], words: &[u64]) {
        portable::reduce_from(self, out, words);
    }
}
