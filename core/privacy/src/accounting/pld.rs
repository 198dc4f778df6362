//! Privacy-loss distributions of the Poisson-subsampled Gaussian: the tight figure of a plan.
//!
//! Every interval of the loss is replaced by two atoms at its ends that keep the mass of it under
//! both distributions: "connect the dots" (Doroshenko, Ghazi, Kamath, Kumar and Manurangsi, 2022),
//! exact on the grid and pessimistic between. Both directions are composed, one row added and one
//! removed; without sampling they are one. What is truncated, wrapped or rounded is added to the
//! mass of infinite loss, so the figure is an upper bound.

use super::fft::{SIZE_MIN, self_convolve};
use super::{AccountingError, check_delta, check_rate, check_sigma, check_steps};
use crate::special::{normal_tails, normal_upper_quantile};

/// The finest grid, in units of privacy loss.
pub const GRID: f64 = 1e-4;

/// Beyond such losses their exponentials are not computed with: mass goes to the upper end.
const EXPONENT_MAX: f64 = 700.0;

const CELLS_MAX: f64 = 2_097_152.0;

/// Of delta, what each truncation may cost.
const TRUNCATED_SHARE: f64 = 1e-7;

/// How often the share for the tails may be doubled if that halves a transform.
const SHORTER_MAX: i32 = 9;

/// Atoms of privacy loss at whole multiples of a grid.
#[derive(Clone, Debug)]
struct Atoms {
    /// The first atom's multiple.
    low: i64,
    mass: Vec<f64>,
    /// Mass of infinite loss.
    infinite: f64,
}

/// The composed distribution of losses: one row removed and one row added, or one for both.
#[derive(Clone, Debug)]
pub struct PrivacyLoss {
    grid: f64,
    directions: Vec<Atoms>,
}

impl PrivacyLoss {
    /// `steps` steps at `rate` with noise deviation `sigma` per unit of sensitivity, to be asked
    /// at `delta` or somewhat above: tails are cut relative to it.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`], and [`AccountingError::NotReached`] where the losses
    /// span more than any grid of use.
    pub fn of(rate: f64, sigma: f64, steps: u64, delta: f64) -> Result<Self, AccountingError> {
        Self::on_grid(GRID, rate, sigma, steps, delta)
    }

    /// As [`Self::of`] with a grid of one's own; it is coarsened where the range asks for it.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn on_grid(
        grid: f64,
        rate: f64,
        sigma: f64,
        steps: u64,
        delta: f64,
    ) -> Result<Self, AccountingError> {
        super::check("grid", grid, (1e-6, 1.0))?;
        check_rate(rate)?;
        check_sigma(sigma)?;
        check_steps(steps)?;
        check_delta(delta)?;
        let tail = TRUNCATED_SHARE * delta;
        let mut grid = grid;
        for _ in 0..40 {
            let single = Step::new(rate, sigma, grid, tail / steps as f64);
            if single.cells() <= CELLS_MAX
                && let Some(directions) = single.compose(steps, tail)
            {
                return Ok(Self { grid, directions });
            }
            grid *= 2.0;
        }
        Err(AccountingError::NotReached { delta })
    }

    /// The grid in use, in units of privacy loss.
    pub fn grid(&self) -> f64 {
        self.grid
    }

    /// The least delta for `epsilon`: the larger of the two directions.
    pub fn delta(&self, epsilon: f64) -> f64 {
        self.directions.iter().map(|atoms| atoms.delta(self.grid, epsilon)).fold(0.0, f64::max)
    }

    /// The least epsilon for `delta`: the larger of the two directions.
    ///
    /// # Errors
    /// [`AccountingError::NotReached`] where the mass of infinite loss alone is above `delta`.
    pub fn epsilon(&self, delta: f64) -> Result<f64, AccountingError> {
        check_delta(delta)?;
        self.directions
            .iter()
            .try_fold(0.0, |worst, atoms| Ok(f64::max(worst, atoms.epsilon(self.grid, delta)?)))
    }
}

impl Atoms {
    fn delta(&self, grid: f64, epsilon: f64) -> f64 {
        let atoms = (self.low..).zip(&self.mass).map(|(at, mass)| (at as f64 * grid, mass));
        let above = atoms.filter(|(loss, _)| *loss > epsilon);
        let finite: f64 = above.map(|(loss, mass)| mass * -(epsilon - loss).exp_m1()).sum();
        (finite + self.infinite).min(1.0)
    }

    /// Walks down from the highest loss with the mass above, and that mass divided by e^loss in
    /// units of e^-(where it is), until the straight piece that holds `delta`.
    fn epsilon(&self, grid: f64, delta: f64) -> Result<f64, AccountingError> {
        if self.infinite >= delta {
            return Err(AccountingError::NotReached { delta });
        }
        let shrink = (-grid).exp();
        let (mut above, mut scaled) = (self.infinite, 0.0);
        for (offset, mass) in self.mass.iter().enumerate().rev() {
            let at = self.low + signed(offset);
            if above - scaled > delta {
                let next = (at as f64) * grid;
                return Ok((next + ((above - delta) / scaled).ln()).max(0.0));
            }
            above += mass;
            scaled = (scaled + mass) * shrink;
            if at <= 0 {
                break;
            }
        }
        // Losses at and below zero add nothing to delta at epsilon 0.
        let below = self.low.max(0) as f64 * grid - grid;
        let found = if above > delta { below + ((above - delta) / scaled).ln() } else { 0.0 };
        Ok(found.max(0.0))
    }
}

/// Chernoff's bounds of a sum of losses: slopes and ln E e^(slope loss) of one, downward and upward.
struct Chernoff {
    steps: f64,
    low: Vec<(f64, f64)>,
    high: Vec<(f64, f64)>,
}

impl Chernoff {
    /// At the slopes around the best for `tail`.
    fn of(atoms: &Atoms, grid: f64, steps: u64, tail: f64) -> Self {
        let coarse = Coarse::of(atoms, grid);
        let steps = steps as f64;
        let best = |sign: f64| {
            let point = |slope: f64| (slope, coarse.cumulant(sign * slope));
            let reach = |(slope, cumulant): (f64, f64)| (steps * cumulant - tail.ln()) / slope;
            let rough = (-24..=36).map(|power| point(1.35_f64.powi(power)));
            let middle = rough.min_by(|a, b| reach(*a).total_cmp(&reach(*b)));
            let middle = middle.map_or(1.0, |(slope, _)| slope);
            (-12..=6).map(|power| point(middle * 1.04_f64.powi(power))).collect()
        };
        Self { steps, low: best(-1.0), high: best(1.0) }
    }

    /// Losses between which all but `tail` of the mass on each side lies, in multiples of `grid`.
    fn window(&self, grid: f64, tail: f64) -> (i64, i64) {
        let reach = |points: &[(f64, f64)]| {
            let reach = |(slope, cumulant): &_| (self.steps * cumulant - tail.ln()) / slope;
            points.iter().map(reach).fold(f64::INFINITY, f64::min)
        };
        let (low, high) = (-reach(&self.low), reach(&self.high));
        (multiple((low / grid).floor()), multiple((high / grid).ceil()))
    }
}

/// Fewer atoms, for bounds: the mass between two of them is moved to both so that its mean stays.
/// No expectation of a convex function gets smaller by it.
struct Coarse {
    low: f64,
    spacing: f64,
    mass: Vec<f64>,
}

impl Coarse {
    fn of(atoms: &Atoms, grid: f64) -> Self {
        const TOGETHER: usize = 16;
        let mut mass = vec![0.0; atoms.mass.len() / TOGETHER + 2];
        for (at, chunk) in atoms.mass.chunks(TOGETHER).enumerate() {
            let sum: f64 = chunk.iter().sum();
            let moment: f64 = chunk.iter().zip(0_u32..).map(|(m, i)| m * f64::from(i)).sum();
            let upper = moment / TOGETHER as f64;
            mass[at] += sum - upper;
            mass[at + 1] += upper;
        }
        let used = mass.iter().rposition(|mass| *mass > 0.0).map_or(1, |last| last + 1);
        mass.truncate(used);
        Self { low: atoms.low as f64 * grid, spacing: TOGETHER as f64 * grid, mass }
    }

    /// An upper bound of ln E e^(slope loss), by Horner's rule towards the end that counts most.
    fn cumulant(&self, slope: f64) -> f64 {
        let decay = (-slope.abs() * self.spacing).exp();
        let add = |sum: f64, mass: &f64| sum * decay + mass;
        let length = (self.mass.len() - 1) as f64 * self.spacing;
        let (sum, end) = if slope > 0.0 {
            (self.mass.iter().fold(0.0, add), self.low + length)
        } else {
            (self.mass.iter().rev().fold(0.0, add), self.low)
        };
        // What has underflown on the way is less than this.
        (sum + self.mass.len() as f64 * f64::MIN_POSITIVE).ln() + slope * end
    }
}

/// The losses of one step: one row in the sample with probability `rate`, N(1, sigma^2) against
/// N(0, sigma^2).
struct Step {
    rate: f64,
    sigma: f64,
    grid: f64,
    low: i64,
    high: i64,
}

#[expect(clippy::cast_possible_truncation, reason = "losses over a grid of 1e-6 are below 2^53")]
fn multiple(loss: f64) -> i64 {
    loss as i64
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Step {
    fn new(rate: f64, sigma: f64, grid: f64, tail: f64) -> Self {
        let reach = sigma * normal_upper_quantile(tail);
        let loss = |x: f64| loss_at(rate, sigma, x);
        let high = multiple((loss(1.0 + reach) / grid).ceil());
        let low = multiple((loss(-reach) / grid).floor());
        Self { rate, sigma, grid, low, high }
    }

    fn cells(&self) -> f64 {
        (self.high - self.low) as f64
    }

    /// Pr[x <= where the loss is `loss`] for N(0, sigma^2) and N(1, sigma^2), and Pr[x > ..].
    fn masses(&self, loss: f64) -> [[f64; 2]; 2] {
        let ratio = (loss.exp() - (1.0 - self.rate)) / self.rate;
        if ratio <= 0.0 {
            return [[0.0, 1.0], [0.0, 1.0]];
        }
        let x = self.sigma * self.sigma * log_ratio(loss, self.rate, ratio) + 0.5;
        [normal_tails(x / self.sigma), normal_tails((x - 1.0) / self.sigma)]
    }

    /// Atoms for a row removed, and for a row added.
    fn atoms(&self) -> [Atoms; 2] {
        let count = usize::try_from(self.high - self.low).unwrap_or(0) + 1;
        let (mut removed, mut added) = (vec![0.0; count], vec![0.0; count]);
        let at = |cell: usize| {
            let loss = (self.low + signed(cell)) as f64 * self.grid;
            (loss, loss.exp(), self.masses(loss))
        };
        let unit = -(-self.grid).exp_m1();
        let first = at(0);
        let mut before = first;
        for cell in 0..count - 1 {
            let after = at(cell + 1);
            let absent = between(before.2[0], after.2[0]);
            let mixed = self.mixed(absent, between(before.2[1], after.2[1]));
            if before.0.abs() > EXPONENT_MAX {
                removed[cell + 1] += mixed;
                added[count - 1 - cell] += absent;
                before = after;
                continue;
            }
            // To both ends so that the mass under both distributions stays.
            let upper = ((mixed - absent * before.1) / unit).clamp(0.0, mixed);
            removed[cell] += mixed - upper;
            removed[cell + 1] += upper;
            // With the roles exchanged it is the same atoms, mirrored: at minus the loss, e^-loss
            // times the mass.
            added[count - 1 - cell] += (mixed - upper) / before.1;
            added[count - 2 - cell] += upper / after.1;
            before = after;
        }
        // Below the grid: a loss rounded up when a row is removed, an infinite one when added.
        let [[below, _], [below_present, _]] = first.2;
        let [[_, beyond], [_, beyond_present]] = before.2;
        removed[0] += self.mixed(below, below_present);
        added[0] += beyond;
        [
            Atoms {
                low: self.low,
                mass: removed,
                infinite: self.mixed(beyond, beyond_present).max(0.0),
            },
            Atoms { low: -self.high, mass: added, infinite: below.max(0.0) },
        ]
    }

    /// Both directions after so many steps: without sampling they are the same.
    fn compose(&self, steps: u64, tail: f64) -> Option<Vec<Atoms>> {
        let single = self.atoms();
        let different = if self.rate < 1.0 { 2 } else { 1 };
        single.iter().take(different).map(|atoms| compose(self.grid, atoms, steps, tail)).collect()
    }

    fn mixed(&self, absent: f64, present: f64) -> f64 {
        (1.0 - self.rate) * absent + self.rate * present
    }
}

/// ln(1 - rate + rate e^((2x - 1) / 2 sigma^2)).
fn loss_at(rate: f64, sigma: f64, x: f64) -> f64 {
    let exponent = (2.0 * x - 1.0) / (2.0 * sigma * sigma);
    if exponent > 500.0 || rate >= 1.0 {
        exponent + rate.ln()
    } else {
        (rate * exponent.exp_m1()).ln_1p()
    }
}

/// ln((e^loss - (1 - rate)) / rate), also where e^loss overflows.
fn log_ratio(loss: f64, rate: f64, ratio: f64) -> f64 {
    if ratio.is_finite() { ratio.ln() } else { loss - rate.ln() }
}

/// Mass between two points, from the smaller tail.
fn between(low: [f64; 2], high: [f64; 2]) -> f64 {
    let mass = if low[0] < 0.5 { high[0] - low[0] } else { low[1] - high[1] };
    mass.max(0.0)
}

/// The losses after so many steps like `single`; `None` if they span too many cells.
fn compose(grid: f64, single: &Atoms, steps: u64, tail: f64) -> Option<Atoms> {
    let bounds = Chernoff::of(single, grid, steps, tail);
    let span = |(low, high): (i64, i64)| high - low + 1;
    let whole = span(bounds.window(grid, tail));
    if whole < 1 || whole as f64 > CELLS_MAX {
        return None;
    }
    let size = usize::try_from(whole).ok()?.next_power_of_two().max(SIZE_MIN);
    // Half the size will do where that costs little more of delta.
    let tails = (0..=SHORTER_MAX).map(|doubled| tail * 2_f64.powi(doubled));
    let half = size / 2;
    let fits = |tail: &f64| half >= SIZE_MIN && span(bounds.window(grid, *tail)) <= signed(half);
    let (size, tail) = tails.into_iter().find(fits).map_or((size, tail), |tail| (half, tail));
    let (low, high) = bounds.window(grid, tail);
    let composed = self_convolve(&wrapped(single, size), steps);
    // Once round the circle turns the sign: atom k lies at k mod size.
    let start = usize::try_from(low.rem_euclid(signed(size))).unwrap_or(0);
    let odd = |at: i64| at.div_euclid(signed(size)) % 2 != 0;
    let turned = |odd: bool| move |mass: &f64| if odd { -mass } else { *mass }.max(0.0);
    let (after, before) = composed.masses.split_at(start);
    let before = before.iter().map(turned(odd(low)));
    let after = after.iter().map(turned(!odd(low)));
    let lost = -(steps as f64 * (-single.infinite).ln_1p()).exp_m1();
    // What lies outside the window on either side has come back with its sign turned.
    let infinite = lost + 3.0 * tail + composed.round_off;
    let cells = usize::try_from(span((low, high))).unwrap_or(0);
    Some(Atoms { low, mass: before.chain(after).take(cells).collect(), infinite })
}

/// The atoms laid round a circle of `size` places; each time round turns the sign.
fn wrapped(atoms: &Atoms, size: usize) -> Vec<f64> {
    let mut circle = vec![0.0; size];
    let start = atoms.low.rem_euclid(signed(2 * size));
    let start = usize::try_from(start).unwrap_or(0);
    for (offset, mass) in atoms.mass.iter().enumerate() {
        let at = start + offset;
        circle[at & (size - 1)] += if at & size == 0 { *mass } else { -mass };
    }
    circle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::GaussianDp;

    /// The reference table: rate, sigma, steps, delta, and the bracket of the PRV accountant.
    const REFERENCE: [(f64, f64, u64, f64, f64, f64); 6] = [
        (256.0 / 60_000.0, 1.1, 2340, 1e-5, 0.917_09, 0.919_22),
        (256.0 / 60_000.0, 0.6, 2340, 1e-5, 4.944_14, 4.946_99),
        (0.01, 1.0, 10_000, 1e-5, 6.186_39, 6.189_04),
        (0.1, 2.0, 1000, 1e-6, 9.180_62, 9.183_37),
        (1.0, 10.0, 100, 1e-5, 4.375_94, 4.378_41),
        (0.02, 0.8, 500, 1e-6, 5.438_98, 5.441_64),
    ];

    #[test]
    fn the_reference_table_is_met() {
        for (rate, sigma, steps, delta, low, high) in REFERENCE {
            let loss = PrivacyLoss::of(rate, sigma, steps, delta).unwrap();
            let got = loss.epsilon(delta).unwrap();
            println!("{rate:.5} {sigma} {steps}: {got:.6} on {}", loss.grid());
            assert!((low - 1e-3..=high + 1e-3).contains(&got), "{rate} {sigma}: {got}");
            assert!((loss.delta(got) / delta - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn without_sampling_it_is_the_closed_form_from_above() {
        for (sigma, steps, delta) in [(2.0, 20, 1e-6), (10.0, 100, 1e-5), (50.0, 3, 1e-4)] {
            let exact = GaussianDp::of_steps(sigma, steps).unwrap().epsilon(delta).unwrap();
            let got = PrivacyLoss::of(1.0, sigma, steps, delta).unwrap().epsilon(delta).unwrap();
            assert!(got >= exact && got < exact + 4e-5, "{sigma} {steps}: {got} {exact}");
        }
    }

    #[test]
    fn losses_too_large_for_exponentials_are_bounded_too() {
        for (rate, sigma) in [(1.0, 0.01), (1.0, 0.02), (0.5, 0.015), (1e-3, 0.02)] {
            let got = PrivacyLoss::of(rate, sigma, 2, 1e-5).unwrap().epsilon(1e-5).unwrap();
            let least = GaussianDp::of_steps(sigma, 1).unwrap().epsilon(1e-2).unwrap();
            let most = GaussianDp::of_steps(sigma, 2).unwrap().epsilon(1e-5).unwrap();
            assert!(got > least && got < 1.001 * most, "{rate} {sigma}: {got} {least} {most}");
            assert!(rate < 1.0 || got >= most, "{sigma}: {got} {most}");
        }
    }

    /// delta of one step by a fine sum over the outcomes.
    fn integrated(rate: f64, sigma: f64, epsilon: f64) -> f64 {
        let h = sigma / 4000.0;
        let norm = h / (sigma * std::f64::consts::TAU.sqrt());
        let density = |x: f64| (-0.5 * x * x / (sigma * sigma)).exp() * norm;
        let (mut removed, mut added) = (0.0, 0.0);
        let mut x = -12.0 * sigma;
        while x < 1.0 + 12.0 * sigma {
            let (absent, present) = (density(x), density(x - 1.0));
            let mixed = (1.0 - rate) * absent + rate * present;
            removed += (mixed - epsilon.exp() * absent).max(0.0);
            added += (absent - epsilon.exp() * mixed).max(0.0);
            x += h;
        }
        f64::max(removed, added)
    }

    #[test]
    fn one_step_is_the_integral_from_above() {
        for (rate, sigma) in [(0.01, 0.7), (0.2, 1.0), (0.5, 3.0), (0.9, 1.5)] {
            for epsilon in [0.0, 0.05, 0.3, 1.0] {
                let wanted = integrated(rate, sigma, epsilon);
                if wanted < 1e-9 {
                    continue;
                }
                let got = PrivacyLoss::of(rate, sigma, 1, 1e-8).unwrap().delta(epsilon);
                let bound = 1e-5 * wanted + 1e-12;
                assert!(
                    got - wanted < bound && wanted - got < 1e-6 * wanted + 1e-12,
                    "{rate} {sigma} {epsilon}: {got:e} {wanted:e}"
                );
            }
        }
    }

    #[test]
    fn more_steps_more_sampling_and_less_noise_cost_more() {
        let at = |rate, sigma, steps| {
            PrivacyLoss::of(rate, sigma, steps, 1e-6).unwrap().epsilon(1e-6).unwrap()
        };
        let base = at(0.05, 1.5, 40);
        assert!(at(0.05, 1.5, 80) > base && at(0.1, 1.5, 40) > base && at(0.05, 1.2, 40) > base);
    }
}
