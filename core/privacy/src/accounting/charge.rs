//! Charges in integers: what ledgers add and compare. Every amount is rounded up, every capacity
//! down, and `u64::MAX` is infinite, so no sum ever says less than was spent.

use nexus_types::Digest;
use nexus_types::borsh::{self, BorshDeserialize, BorshSerialize};

use super::rdp::{self, ORDERS};
use super::{AccountingError, GaussianDp, Plan, check_epsilon};

/// Binary places of an amount of mu squared.
const MU2_BITS: i32 = 40;
/// Binary places of a Renyi epsilon.
const RDP_BITS: i32 = 32;
/// Binary places of a delta.
const DELTA_BITS: i32 = 63;

/// Relative room for the rounding of the floats that an amount was computed with.
const FLOAT_SLACK: f64 = 1e-12;

/// Of a budget's delta, what the filter itself uses; the rest is for charges of delta.
pub const FILTER_SHARE: f64 = 0.99;

/// Of the filter's delta, what the planned order gets.
const PLANNED_WEIGHT: f64 = 0.75;

/// Whose presence is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Unit {
    /// One row of one owner, added or removed.
    Record,
    /// All that an owner sends, replaced by zero.
    Owner,
}

/// The part of the data that a release touches; a row pays only for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Split {
    /// What models learn from.
    Train,
    /// What they are measured on.
    Test,
    /// What thresholds and scales are set on.
    Calibration,
}

/// How a budget adds up; chosen when it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Currency {
    /// Sum of mu squared: exact for Gaussians without sampling.
    Gdp,
    /// Renyi epsilons at 32 fixed orders: keeps the gain of sampling.
    Rdp,
}

/// What kind of release a charge pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Mechanism {
    /// Gaussian or discrete Gaussian noise on everything.
    Gaussian,
    /// The same on a Poisson sample with secret coins.
    SampledGaussian,
    /// Skellam noise.
    Skellam,
    /// Laplace or discrete Laplace noise, or another mechanism with a pure epsilon.
    Pure,
}

/// An amount of privacy, in both currencies at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Cost {
    /// Sum of mu squared, in units of 2^-40.
    pub gdp_mu2: u64,
    /// Renyi epsilon at each of [`ORDERS`], in units of 2^-32.
    pub rdp: [u64; 32],
    /// What is added to delta, in units of 2^-63.
    pub delta_add: u64,
}

/// The charge record of a release or of a plan.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Charge {
    /// Whose presence is hidden.
    pub unit: Unit,
    /// Whose rows are touched.
    pub split: Split,
    /// In which currency it is to be paid.
    pub currency: Currency,
    /// How much.
    pub cost: Cost,
    /// For what.
    pub mechanism: Mechanism,
    /// Hash of the plan that was announced.
    pub plan: Digest,
}

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self { gdp_mu2: 0, rdp: [0; 32], delta_add: 0 };

    /// A Gaussian with this mu squared.
    pub fn gaussian(mu_squared: f64) -> Self {
        Self {
            gdp_mu2: rounded_up(mu_squared, MU2_BITS),
            rdp: ORDERS.map(|alpha| rounded_up(0.5 * alpha * mu_squared, RDP_BITS)),
            delta_add: 0,
        }
    }

    /// A plan of Gaussian sums. In `gdp` sampling earns nothing.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn of_plan(plan: Plan) -> Result<Self, AccountingError> {
        let mu = GaussianDp::of_steps(plan.sigma, plan.steps)?.mu();
        let mut cost = Self::gaussian(mu * mu);
        if plan.rate < 1.0 {
            for (slot, alpha) in cost.rdp.iter_mut().zip(ORDERS) {
                let step = rdp::subsampled_gaussian(plan.rate, plan.sigma, alpha)?;
                *slot = rounded_up(plan.steps as f64 * step, RDP_BITS).min(*slot);
            }
        } else {
            super::check_rate(plan.rate)?;
        }
        Ok(cost)
    }

    /// A mechanism with a pure epsilon. Not payable in `gdp`.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn pure(epsilon: f64) -> Result<Self, AccountingError> {
        check_epsilon(epsilon)?;
        let at = |alpha: f64| rounded_up((0.5 * alpha * epsilon * epsilon).min(epsilon), RDP_BITS);
        Ok(Self { gdp_mu2: u64::MAX, rdp: ORDERS.map(at), delta_add: 0 })
    }

    /// A mechanism known by its Renyi curve. Not payable in `gdp`.
    pub fn renyi(curve: impl Fn(f64) -> f64) -> Self {
        let at = |alpha| rounded_up(curve(alpha), RDP_BITS);
        Self { gdp_mu2: u64::MAX, rdp: ORDERS.map(at), delta_add: 0 }
    }

    /// The same with `delta` more of failure.
    #[must_use]
    pub fn with_delta(mut self, delta: f64) -> Self {
        self.delta_add = self.delta_add.saturating_add(rounded_up(delta, DELTA_BITS));
        self
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.gdp_mu2 = self.gdp_mu2.saturating_add(other.gdp_mu2);
        for (mine, others) in self.rdp.iter_mut().zip(other.rdp) {
            *mine = mine.saturating_add(others);
        }
        self.delta_add = self.delta_add.saturating_add(other.delta_add);
        self
    }

    /// The smaller of the two, amount by amount.
    #[must_use]
    pub fn at_most(mut self, other: &Self) -> Self {
        self.gdp_mu2 = self.gdp_mu2.min(other.gdp_mu2);
        for (mine, others) in self.rdp.iter_mut().zip(other.rdp) {
            *mine = others.min(*mine);
        }
        self.delta_add = self.delta_add.min(other.delta_add);
        self
    }

    /// Less by 2^-30 of every amount: what another machine's floats may have made of the same.
    pub(crate) fn nearly(mut self) -> Self {
        let less = |amount: u64| amount - amount.div_ceil(1 << 30);
        self.gdp_mu2 = less(self.gdp_mu2);
        self.rdp = self.rdp.map(less);
        self.delta_add = less(self.delta_add);
        self
    }

    /// Whether no amount is above the one in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.gdp_mu2 <= other.gdp_mu2
            && self.delta_add <= other.delta_add
            && self.rdp.iter().zip(other.rdp).all(|(mine, others)| *mine <= others)
    }
}

/// ceil(x 2^bits), infinite where it does not fit or is no number.
fn rounded_up(x: f64, bits: i32) -> u64 {
    let scaled = (x.max(0.0) * (1.0 + FLOAT_SLACK) * 2_f64.powi(bits)).ceil();
    if x.is_nan() { u64::MAX } else { whole(scaled) }
}

/// floor(x 2^bits); nothing for what is below 0 or no number.
fn rounded_down(x: f64, bits: i32) -> Option<u64> {
    let scaled = (x * (1.0 - FLOAT_SLACK) * 2_f64.powi(bits)).floor();
    // The infinite amount itself is never a capacity.
    (scaled >= 0.0).then(|| whole(scaled).min(u64::MAX - 1))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates at both ends"
)]
fn whole(x: f64) -> u64 {
    x as u64
}

/// What a filter lets through: a sum that was allowed at every step keeps (epsilon, delta), however
/// adaptively the releases were chosen.
///
/// `gdp` is exact (Smith and Thakurta, 2022; Koskela, Tobaben and Honkela, 2023). `rdp` accepts
/// while *some* order certifies the budget (Feldman and Zrnic, 2021), order by order at a share of
/// delta: 3/4 at the planned order, the rest alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    currency: Currency,
    epsilon: f64,
    delta: f64,
    mu2: u64,
    rdp: [Option<u64>; 32],
    delta_add: u64,
    planned: usize,
}

impl Filter {
    /// A budget of `epsilon` at `delta`. `planned` is the index in [`ORDERS`] that gets most of
    /// delta; [`planned_order`] finds a good one.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn new(
        currency: Currency,
        epsilon: f64,
        delta: f64,
        planned: usize,
    ) -> Result<Self, AccountingError> {
        super::check("planned order", planned as f64, (0.0, 31.0))?;
        let mu = GaussianDp::for_privacy(epsilon, FILTER_SHARE * delta)?.mu();
        let mut rdp = [None; 32];
        for (index, (slot, alpha)) in rdp.iter_mut().zip(ORDERS).enumerate() {
            let room = epsilon - rdp::conversion(alpha, share_of(delta, index, planned));
            *slot = rounded_down(room, RDP_BITS);
        }
        let mu2 = rounded_down(mu * mu, MU2_BITS).unwrap_or(0);
        let delta_add = rounded_down((1.0 - FILTER_SHARE) * delta, DELTA_BITS).unwrap_or(0);
        Ok(Self { currency, epsilon, delta, mu2, rdp, delta_add, planned })
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The limit.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The delta of the limit.
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// Whether `total` may have been spent.
    pub fn admits(&self, total: &Cost) -> bool {
        self.admits_part(total, 1_000_000)
    }

    /// Whether `total` is at most `millionths` of what may be spent.
    pub fn admits_part(&self, total: &Cost, millionths: u32) -> bool {
        let part = |whole: u64| u128::from(whole) * u128::from(millionths) / 1_000_000;
        let fits = |spent: u64, room: u64| spent < u64::MAX && u128::from(spent) <= part(room);
        let pays = match self.currency {
            Currency::Gdp => fits(total.gdp_mu2, self.mu2),
            Currency::Rdp => total
                .rdp
                .iter()
                .zip(self.rdp)
                .any(|(spent, room)| room.is_some_and(|room| fits(*spent, room))),
        };
        pays && fits(total.delta_add, self.delta_add)
    }

    /// The epsilon that `total` amounts to at this budget's delta; infinite where none does. For
    /// display ("odometer"): the guarantee is the limit, not this figure.
    pub fn spent(&self, total: &Cost) -> f64 {
        if *total == Cost::ZERO {
            return 0.0;
        }
        match self.currency {
            Currency::Gdp if total.gdp_mu2 < u64::MAX => {
                let mu = (total.gdp_mu2 as f64 * 2_f64.powi(-MU2_BITS)).sqrt();
                let epsilon =
                    GaussianDp::new(mu).and_then(|dp| dp.epsilon(FILTER_SHARE * self.delta));
                epsilon.unwrap_or(f64::INFINITY)
            }
            Currency::Gdp => f64::INFINITY,
            Currency::Rdp => {
                let orders = total.rdp.iter().zip(ORDERS).enumerate();
                let known = orders.filter(|(_, (spent, _))| **spent < u64::MAX);
                let figures = known.map(|(index, (spent, alpha))| {
                    let weight = share_of(self.delta, index, self.planned);
                    *spent as f64 * 2_f64.powi(-RDP_BITS) + rdp::conversion(alpha, weight)
                });
                figures.fold(f64::INFINITY, f64::min).max(0.0)
            }
        }
    }
}

/// The delta of one order.
fn share_of(delta: f64, index: usize, planned: usize) -> f64 {
    let weight = if index == planned { PLANNED_WEIGHT } else { (1.0 - PLANNED_WEIGHT) / 31.0 };
    weight * FILTER_SHARE * delta
}

/// The index in [`ORDERS`] at which `cost` converts best at `delta`.
pub fn planned_order(cost: &Cost, delta: f64) -> usize {
    let at = |(spent, alpha): (&u64, f64)| {
        *spent as f64 * 2_f64.powi(-RDP_BITS) + rdp::conversion(alpha, delta)
    };
    let figures = cost.rdp.iter().zip(ORDERS).map(at).enumerate();
    figures.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_price_of_the_weights_is_as_designed() {
        for (rate, sigma, steps, delta, plain, weighted) in [
            (256.0 / 60_000.0, 1.1, 2340, 1e-5, 1.098, 1.124),
            (256.0 / 60_000.0, 0.6, 2340, 1e-5, 5.927, 6.055),
        ] {
            let cost = Cost::of_plan(Plan { rate, sigma, steps }).unwrap();
            let planned = planned_order(&cost, delta);
            let filter = Filter::new(Currency::Rdp, plain, delta, planned).unwrap();
            let spent = filter.spent(&cost);
            // Another 0.01 / order for the hundredth of delta that is kept apart.
            assert!((spent - weighted).abs() < 5e-3, "{spent}, wanted {weighted}");
            assert!(!filter.admits(&cost));
            assert!(
                Filter::new(Currency::Rdp, spent + 1e-6, delta, planned).unwrap().admits(&cost)
            );
        }
    }

    #[test]
    fn gaussians_are_cheaper_in_gdp() {
        for (epsilon, in_rdp) in [(1.0, 1.09), (2.0, 2.18), (3.0, 3.25), (8.0, 8.63)] {
            let mu = GaussianDp::for_privacy(epsilon, 1e-5).unwrap().mu();
            let best = rdp::dense_orders()
                .map(|alpha| 0.5 * alpha * mu * mu + rdp::conversion(alpha, 1e-5))
                .fold(f64::INFINITY, f64::min);
            assert!((best / in_rdp - 1.0).abs() < 5e-3, "{epsilon}: {best}");
        }
    }

    #[test]
    fn infinite_amounts_stay_infinite_and_are_never_admitted() {
        let filter = Filter::new(Currency::Gdp, 1e5, 1e-5, 0).unwrap();
        let pure = Cost::pure(0.1).unwrap();
        assert!(!filter.admits(&pure) && filter.spent(&pure).is_infinite());
        assert_eq!(pure.and(&Cost::gaussian(1.0)).gdp_mu2, u64::MAX);
        assert_eq!(Cost::gaussian(f64::NAN).gdp_mu2, u64::MAX);
        assert_eq!(Cost::gaussian(f64::INFINITY).rdp, [u64::MAX; 32]);
        let filter = Filter::new(Currency::Rdp, 1.0, 1e-5, 10).unwrap();
        assert!(filter.admits(&pure) && !filter.admits(&pure.with_delta(1e-6)));
        assert!(filter.admits(&pure.with_delta(1e-8)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// An adversary that picks each noise after the last answer, and goes on while it can,
        /// never gets past the exact composition.
        #[test]
        fn a_gdp_filter_never_lets_more_through_than_its_epsilon(
            epsilon in 0.1..8.0_f64, sigmas in prop::collection::vec(0.5..30.0_f64, 1..60),
        ) {
            let filter = Filter::new(Currency::Gdp, epsilon, 1e-5, 0).unwrap();
            let (mut total, mut exact) = (Cost::ZERO, 0.0);
            for sigma in sigmas {
                let more = total.and(&Cost::gaussian(1.0 / (sigma * sigma)));
                if filter.admits(&more) {
                    (total, exact) = (more, exact + 1.0 / (sigma * sigma));
                }
            }
            let delta = GaussianDp::new(exact.sqrt()).unwrap().delta(epsilon);
            prop_assert!(delta <= 1e-5, "{delta:e}");
            prop_assert!(filter.spent(&total) <= epsilon * (1.0 + 1e-9));
        }

        #[test]
        fn an_rdp_filter_never_lets_more_through_than_its_epsilon(
            epsilon in 0.3..8.0_f64, planned in 0..32_usize,
            plans in prop::collection::vec((0.01..0.3_f64, 0.7..4.0_f64, 1..200_u64), 1..8),
        ) {
            let filter = Filter::new(Currency::Rdp, epsilon, 1e-5, planned).unwrap();
            let mut total = Cost::ZERO;
            let mut exact = [0.0_f64; 32];
            for (rate, sigma, steps) in plans {
                let more = total.and(&Cost::of_plan(Plan { rate, sigma, steps }).unwrap());
                if filter.admits(&more) {
                    total = more;
                    for (slot, alpha) in exact.iter_mut().zip(ORDERS) {
                        *slot += steps as f64 * rdp::subsampled_gaussian(rate, sigma, alpha).unwrap();
                    }
                }
            }
            for (exact, integer) in exact.iter().zip(total.rdp) {
                prop_assert!(integer as f64 * 2_f64.powi(-32) >= *exact);
            }
            let plain = exact.iter().zip(ORDERS).map(|(e, a)| e + rdp::conversion(a, 1e-5));
            prop_assert!(total == Cost::ZERO || plain.fold(f64::INFINITY, f64::min) <= epsilon);
        }
    }
}
