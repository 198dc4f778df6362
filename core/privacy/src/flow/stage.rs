//! The stages of a secret on its way out.

use std::marker::PhantomData;
use std::sync::Arc;

use nexus_types::{CryptoRng, Digest};
use zeroize::Zeroizing;

use super::egress::{Masked, Released, Sealed, Sealer};
use super::label::{Label, LabelError};
use crate::budget::{BudgetTicket, Unit};
use crate::mechanisms::MechanismError;
use crate::mechanisms::clip::{Clip, weights};
use crate::mechanisms::float_noise::FloatNoise;
use crate::mechanisms::gaussian::Gaussian;
use crate::mechanisms::grid::{Grid, Sensitivity};
use crate::mechanisms::shares::{NoisePlan, effective};

/// Why a stage is not reached. The secret is gone.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The noise is less than what was paid for.
    #[error("noise of {got} sensitivities, the budget was charged for {needed}")]
    Underpaid {
        /// The noise, as a continuous Gaussian, in sensitivities.
        got: f64,
        /// What the ticket is for.
        needed: f64,
    },
    /// The ticket protects something else.
    #[error("clipped by {got:?}, the budget protects each {needed:?}")]
    Unit {
        /// What was clipped.
        got: Unit,
        /// What the ticket protects.
        needed: Unit,
    },
    /// The norm, or the number of values, is not that of the grid or of the other part.
    #[error(
        "a vector of {got} values clipped to {norm}, expected {expected} values and at most {limit}"
    )]
    Shape {
        /// Values in the vector.
        got: usize,
        /// Its norm.
        norm: f64,
        /// Values that were expected.
        expected: usize,
        /// The largest norm.
        limit: f64,
    },
    /// A sum has no integers: it is not finite or too large. Which and how large is not said.
    #[error("the sum is out of range")]
    Range,
    /// A setting without a meaning.
    #[error(transparent)]
    Mechanism(MechanismError),
    /// A label that has no bytes.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// What encrypts has failed.
    #[error("it could not be sealed")]
    Seal,
}

/// Something that depends on rows and must not leave as it is.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct Private<T> {
    value: T,
    label: Arc<Label>,
}

/// Rows' gradients, slot by slot, of which only sums with weights are ever asked.
///
/// What it says of norms is trusted: they bound what [`Examples::add_weighted`] adds. And a row's
/// gradient must have the same bits whatever the other rows are: so slots have a fixed number of
/// rows, filled up with empty ones, and where a row is put does not follow from which others there
/// are. Of a batch whose size depends on the rows the matrix kernels make other bits.
pub trait Examples {
    /// Parameters of a gradient.
    fn dimension(&self) -> usize;

    /// Goes to the next slot, and gives the square of the norm of each of its rows; `None` after
    /// the last.
    fn next_norms_sq(&mut self) -> Option<Vec<f32>>;

    /// Adds the gradient of every row of the slot times its weight to `sums`. A row of weight 0 must
    /// be left out, not multiplied: its gradient may not be finite.
    fn add_weighted(&mut self, weights: &[f32], sums: &mut [f64]);
}

impl<T> Private<T> {
    /// Takes something in.
    pub const fn new(value: T, label: Arc<Label>) -> Self {
        Self { value, label }
    }

    /// Its label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// What a plain function makes of it. A function pointer has no captures to leak through.
    pub fn map_pure<U>(self, f: fn(&T) -> U) -> Private<U> {
        Private { value: f(&self.value), label: self.label }
    }

    /// Both together, with the label of both.
    pub fn with<U>(self, other: Private<U>) -> Private<(T, U)> {
        let label = joined(self.label, &other.label);
        Private { value: (self.value, other.value), label }
    }
}

fn joined(ours: Arc<Label>, theirs: &Arc<Label>) -> Arc<Label> {
    if Arc::ptr_eq(&ours, theirs) { ours } else { Arc::new(ours.join(theirs)) }
}

impl<G: Examples> Private<G> {
    /// The sum of the rows' gradients, each clipped to the norm: unit *record*.
    pub fn clip_rows(mut self, clip: Clip) -> Clipped {
        let mut sums = Zeroizing::new(vec![0.0; self.value.dimension()]);
        while let Some(norms_sq) = self.value.next_norms_sq() {
            self.value.add_weighted(&weights(clip, &norms_sq), &mut sums);
        }
        Clipped { sums, clip, unit: Unit::Record, label: self.label }
    }
}

impl Private<Vec<f64>> {
    /// The whole vector, clipped to the norm: unit *owner*.
    pub fn clip_whole(self, clip: Clip) -> Clipped {
        let mut sums = Zeroizing::new(self.value);
        clip.apply(&mut sums);
        Clipped { sums, clip, unit: Unit::Owner, label: self.label }
    }
}

impl Private<Vec<u8>> {
    /// Encrypts it; the ciphertext is bound to the label.
    ///
    /// # Errors
    /// [`FlowError::Label`]; [`FlowError::Seal`] if the sealer fails.
    pub fn seal(self, sealer: &mut dyn Sealer) -> Result<Sealed, FlowError> {
        let plaintext = Zeroizing::new(self.value);
        let associated = self.label.to_bytes()?;
        let ciphertext = sealer.seal(&plaintext, &associated).ok_or(FlowError::Seal)?;
        Ok(Sealed::new(ciphertext.into(), self.label))
    }
}

/// A sum to which no row (or owner) contributes more than its norm.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct Clipped {
    sums: Zeroizing<Vec<f64>>,
    clip: Clip,
    unit: Unit,
    label: Arc<Label>,
}

impl Clipped {
    /// Its label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// The sum over the rows of both, which must have no row in common.
    ///
    /// # Errors
    /// [`FlowError::Shape`] or [`FlowError::Unit`] if they were clipped otherwise; what clips owners has
    /// nothing to add.
    #[expect(clippy::needless_pass_by_value, reason = "a part is added once")]
    pub fn plus(mut self, other: Self) -> Result<Self, FlowError> {
        if self.unit != Unit::Record || other.unit != Unit::Record {
            return Err(FlowError::Unit { got: Unit::Owner, needed: Unit::Record });
        }
        other.check(self.sums.len(), self.clip)?;
        self.sums.iter_mut().zip(other.sums.iter()).for_each(|(sum, more)| *sum += more);
        let label = joined(Arc::clone(&self.label), &other.label);
        Ok(Self { label, ..self })
    }

    fn check(&self, expected: usize, limit: Clip) -> Result<(), FlowError> {
        let (got, norm, limit) = (self.sums.len(), self.clip.norm(), limit.norm());
        if got == expected && norm <= limit {
            return Ok(());
        }
        Err(FlowError::Shape { got, norm, expected, limit })
    }

    /// The integers, and how far one unit moves them.
    fn rounded(
        &self,
        grid: &Grid,
        rng: &mut dyn CryptoRng,
    ) -> Result<Zeroizing<Vec<i64>>, FlowError> {
        self.check(grid.dimension(), grid.clip())?;
        let integers = match self.unit {
            Unit::Record => grid.round(&self.sums, rng),
            Unit::Owner => grid.round_whole(&self.sums),
        };
        // The error names a value, which is secret.
        integers.map(Zeroizing::new).map_err(|_| FlowError::Range)
    }

    fn sensitivity(&self, grid: &Grid) -> Sensitivity {
        match self.unit {
            Unit::Record => grid.sensitivity(),
            Unit::Owner => grid.whole_sensitivity(),
        }
    }

    fn pay(&self, ticket: &BudgetTicket, grid: &Grid, sigma: f64) -> Result<Receipt, FlowError> {
        if ticket.unit() != self.unit {
            return Err(FlowError::Unit { got: self.unit, needed: ticket.unit() });
        }
        let (got, needed) = (effective(sigma) / self.sensitivity(grid).l2(), ticket.multiplier());
        // A quotient that is rounded down by a hair is no fraud.
        if got * (1.0 + 4.0 * f64::EPSILON) < needed || !needed.is_finite() {
            return Err(FlowError::Underpaid { got, needed });
        }
        let failure = self.sensitivity(grid).failure();
        Ok(Receipt { plan: ticket.plan(), unit: self.unit, multiplier: got, failure })
    }

    /// Rounds, and adds this owner's share of the noise.
    ///
    /// # Errors
    /// [`FlowError`]; the ticket is spent all the same.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used once")]
    pub fn noise(
        self,
        ticket: BudgetTicket,
        grid: &Grid,
        plan: &NoisePlan,
        rng: &mut dyn CryptoRng,
    ) -> Result<Noised<Share>, FlowError> {
        let receipt =
            self.pay(&ticket, grid, plan.realised(plan.least()).map_err(FlowError::Mechanism)?)?;
        self.noised(receipt, grid, plan.share(), rng)
    }

    /// Rounds, and adds noise that is enough by itself: local privacy.
    ///
    /// # Errors
    /// [`FlowError`]; the ticket is spent all the same.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used once")]
    pub fn noise_alone(
        self,
        ticket: BudgetTicket,
        grid: &Grid,
        noise: &Gaussian,
        rng: &mut dyn CryptoRng,
    ) -> Result<Noised<Full>, FlowError> {
        let receipt = self.pay(&ticket, grid, noise.sigma())?;
        self.noised(receipt, grid, noise, rng)
    }

    /// Adds noise in floats and lets the sum out, for a job that says that it has no differential
    /// privacy: an experiment of one's own, for what leaks is in [`float_noise`](crate::mechanisms::float_noise).
    pub fn noise_in_floats(
        mut self,
        _waiver: Waiver,
        noise: &FloatNoise,
        rng: &mut dyn CryptoRng,
    ) -> Vec<f64> {
        noise.add(rng, &mut self.sums);
        std::mem::take(&mut *self.sums)
    }

    fn noised<P>(
        self,
        receipt: Receipt,
        grid: &Grid,
        noise: &Gaussian,
        rng: &mut dyn CryptoRng,
    ) -> Result<Noised<P>, FlowError> {
        let mut values = self.rounded(grid, rng)?;
        noise.add(rng, &mut values);
        Ok(Noised { values, receipt: Some(receipt), label: self.label, noise: PhantomData })
    }

    /// Rounds without noise, for a job that says that it has no differential privacy. It can still be masked.
    ///
    /// # Errors
    /// [`FlowError`].
    pub fn unprotected(
        self,
        _waiver: Waiver,
        grid: &Grid,
        rng: &mut dyn CryptoRng,
    ) -> Result<Noised<Share>, FlowError> {
        let values = self.rounded(grid, rng)?;
        Ok(Noised { values, receipt: None, label: self.label, noise: PhantomData })
    }
}

/// A job's word that it has no differential privacy.
#[derive(Debug)]
#[must_use = "a waiver that is not used waives nothing"]
pub struct Waiver(());

impl Waiver {
    /// For a job whose owners agreed that its sums are masked and not noised. Where this is called
    /// is where privacy ends: keep it to one place.
    pub const fn of_job_without_privacy() -> Self {
        Self(())
    }
}

/// What a release was paid with and what it got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Receipt {
    plan: Digest,
    unit: Unit,
    multiplier: f64,
    failure: f64,
}

impl Receipt {
    /// The plan whose budget paid.
    pub const fn plan(&self) -> Digest {
        self.plan
    }

    /// What is protected.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// The noise with the fewest owners that were planned, as a continuous Gaussian, in
    /// sensitivities: at least the ticket's.
    pub const fn multiplier(&self) -> f64 {
        self.multiplier
    }

    /// The probability with which the sensitivity was exceeded: 0 unless rounding was dithered. Times
    /// 1 + e^ε it belongs to δ.
    pub const fn failure(&self) -> f64 {
        self.failure
    }
}

/// Marks noise that protects only in a sum with others'.
#[derive(Debug)]
pub enum Share {}

/// Marks noise that is enough by itself.
#[derive(Debug)]
pub enum Full {}

/// A rounded sum with noise.
#[expect(missing_debug_implementations, reason = "with a share only, it must not be printed")]
pub struct Noised<P> {
    values: Zeroizing<Vec<i64>>,
    receipt: Option<Receipt>,
    label: Arc<Label>,
    noise: PhantomData<P>,
}

/// One contribution to a secure sum: what protocols implement, and are trusted with.
pub trait Masker {
    /// Why there is no message.
    type Error;

    /// The masked message for these values. It must give them to nothing else.
    ///
    /// # Errors
    /// As the protocol says.
    fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, Self::Error>;
}

impl Noised<Share> {
    /// Integers as they are, for a job that says that it has no differential privacy. They can still be
    /// masked.
    pub fn waived(_waiver: Waiver, values: Vec<i64>, label: Arc<Label>) -> Self {
        Self { values: Zeroizing::new(values), receipt: None, label, noise: PhantomData }
    }
}

impl<P> Noised<P> {
    /// Its label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// What paid for it; `None` by [`Waiver`].
    pub const fn receipt(&self) -> Option<Receipt> {
        self.receipt
    }

    /// Masks it.
    ///
    /// # Errors
    /// Those of the masker.
    pub fn mask<M: Masker>(self, masker: &mut M) -> Result<Masked, M::Error> {
        let message = masker.mask(&self.values)?;
        Ok(Masked::new(message, self.label))
    }
}

impl Noised<Full> {
    /// Releases it as it is.
    pub fn release(mut self) -> Released<Vec<i64>> {
        let values = std::mem::take(&mut *self.values);
        Released::new(values, Arc::new(self.label.declassified()))
    }
}
