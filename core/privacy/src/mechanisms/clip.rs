//! Clipping: no row contributes more than C.
//!
//! A row of norm r gets the weight min(1, C(1 − 2^-10)/r). The margin covers what norms lose that
//! are computed in f32 (up to 2,048 terms per factor, sums of 384 rows included), and the f32
//! product of weight and gradient.
//!
//! * **Flat**: one norm for the whole vector.
//! * **Per layer**: a norm `C_l` for each layer; the vector's is √(Σ `C_l`²).
//! * **Adaptive** ([`Adaptive`]; Andrew et al. 2021, arXiv:1905.03871): C follows a quantile of the
//!   norms. Each row also contributes w·(𝟙[r ≤ C] − 1/2) in one more coordinate, so the sensitivity
//!   is √(C² + (w/2)²): charged within the round.
//!
//! ```
//! use nexus_privacy::mechanisms::clip::{Clip, weights};
//!
//! let clip = Clip::new(1.0)?;
//! let weights = weights(clip, &[0.25, 4.0, f32::INFINITY, f32::NAN]);
//! assert_eq!((weights[0], weights[2], weights[3]), (1.0, 0.0, 0.0));
//! assert!(0.4995 < weights[1] && weights[1] < 0.5);
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```

use super::{MechanismError, within};

/// The part of a clipping norm that rows may use: 1 − 2^-10.
pub const MARGIN: f64 = 1.0 - 1.0 / 1024.0;
/// Smallest and largest clipping norm.
pub const NORMS: std::ops::RangeInclusive<f64> = 1e-12..=1e12;

/// A clipping norm: positive and neither tiny nor huge.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Clip(f64);

impl Clip {
    /// The norm C, within [`NORMS`].
    ///
    /// # Errors
    /// [`MechanismError::Setting`].
    pub fn new(norm: f64) -> Result<Self, MechanismError> {
        within("the clipping norm", norm, NORMS, "from 1e-12 to 1e12 are possible").map(Self)
    }

    /// The norm of vectors whose layers have these norms: √(Σ `C_l`²), rounded up.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] if it is out of range, or there is no layer.
    pub fn of_layers(layers: &[Self]) -> Result<Self, MechanismError> {
        let square: f64 = layers.iter().map(|layer| layer.0 * layer.0).sum();
        // Every addition and the root err by half a unit in the last place.
        Self::new(square.sqrt() * (1.0 + f64::EPSILON * (layers.len() as f64 + 2.0)))
    }

    /// C.
    pub const fn norm(self) -> f64 {
        self.0
    }

    /// The weight of a row of this squared norm: 0 if that is not a finite number.
    pub fn weight(self, norm_sq: f64) -> f32 {
        if !norm_sq.is_finite() || norm_sq < 0.0 {
            return 0.0;
        }
        let weight = self.0 * MARGIN / norm_sq.sqrt();
        if weight >= 1.0 {
            return 1.0;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounded, then down")]
        let rounded = weight as f32;
        if f64::from(rounded) > weight { rounded.next_down() } else { rounded }
    }

    /// Whether a row of this squared norm keeps its length. Not a number is no.
    pub fn keeps(self, norm_sq: f64) -> bool {
        norm_sq <= (self.0 * MARGIN).powi(2)
    }

    /// Shortens `row` to the norm, in f64. A row that is not finite becomes 0.
    pub fn apply(self, row: &mut [f64]) {
        let norm_sq: f64 = row.iter().map(|value| value * value).sum();
        if !norm_sq.is_finite() {
            row.fill(0.0);
        } else if !self.keeps(norm_sq) {
            let shrink = self.0 * MARGIN / norm_sq.sqrt();
            for value in row {
                *value *= shrink;
            }
        }
    }
}

/// The weights of rows by the squares of their norms.
///
/// A row of weight 0 must be left out of the sum, not multiplied by 0: its gradient is not finite.
pub fn weights(clip: Clip, norms_sq: &[f32]) -> Vec<f32> {
    norms_sq.iter().map(|norm_sq| clip.weight(f64::from(*norm_sq))).collect()
}

/// A clipping norm that follows a quantile of the rows' norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    clip: Clip,
    quantile: f64,
    rate: f64,
    weight: f64,
}

impl Adaptive {
    /// Starts at `clip` and moves towards the norm that a part `quantile` of the rows does not exceed,
    /// by a factor of e^`rate` a round at most. `weight` scales the indicator's coordinate: small
    /// costs little noise on the gradient, large finds the quantile sooner; C/10 is usual.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] for a quantile outside (0, 1), a rate outside (0, 1] or a
    /// weight that is no norm.
    pub fn new(clip: Clip, quantile: f64, rate: f64, weight: f64) -> Result<Self, MechanismError> {
        within(
            "the quantile of the norms",
            quantile,
            0.001..=0.999,
            "0.001 to 0.999 are possible",
        )?;
        within("the rate of adaptive clipping", rate, 0.001..=1.0, "0.001 to 1 are possible")?;
        within("the weight of the indicator", weight, NORMS, "1e-12 to 1e12 are possible")?;
        Ok(Self { clip, quantile, rate, weight })
    }

    /// The norm of this round.
    pub const fn clip(&self) -> Clip {
        self.clip
    }

    /// What a row of this squared norm adds to the extra coordinate.
    pub fn indicator(&self, norm_sq: f64) -> f64 {
        if self.clip.keeps(norm_sq) { self.weight / 2.0 } else { -self.weight / 2.0 }
    }

    /// The norm of a row's vector together with its indicator: √(C² + (w/2)²), rounded up.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] if it is out of range.
    pub fn joint(&self) -> Result<Clip, MechanismError> {
        Clip::of_layers(&[self.clip, Clip::new(self.weight / 2.0)?])
    }

    /// The norm of the next round, from the noisy sum of the indicators and the *declared* number
    /// of rows in the round: C·exp(−rate·(b − quantile)), b the noisy part of rows within C.
    #[must_use]
    pub fn next(self, noisy_sum: f64, declared_rows: f64) -> Self {
        let within = (noisy_sum / (self.weight * declared_rows) + 0.5).clamp(0.0, 1.0);
        if !within.is_finite() {
            return self;
        }
        let norm = self.clip.0 * (-self.rate * (within - self.quantile)).exp();
        Self { clip: Clip(norm.clamp(*NORMS.start(), *NORMS.end())), ..self }
    }
}

#[cfg(test)]
mod tests {
    use nexus_types::Seed;
    use proptest::prelude::*;

    use super::*;

    fn norm(row: &[f64]) -> f64 {
        row.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    proptest! {
        #[test]
        fn no_row_is_longer_than_the_norm(
            row in prop::collection::vec(any::<f64>(), 1..40), exponent in -6.0_f64..6.0,
        ) {
            let clip = Clip::new(10_f64.powf(exponent)).unwrap();
            let mut clipped = row.clone();
            clip.apply(&mut clipped);
            prop_assert!(norm(&clipped) <= clip.norm());
            #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
            let single: Vec<f32> = row.iter().map(|x| *x as f32).collect();
            let norm_sq: f32 = single.iter().map(|x| x * x).sum();
            let weight = clip.weight(norm_sq.into());
            prop_assert!((0.0..=1.0).contains(&weight));
            if weight > 0.0 {
                let weighted: Vec<f64> = single.iter().map(|x| f64::from(weight * x)).collect();
                prop_assert!(norm(&weighted) <= clip.norm(), "{} {}", norm(&weighted), clip.norm());
            }
        }

        #[test]
        fn layers_have_a_norm_that_bounds_the_whole(
            layers in prop::collection::vec(1e-3_f64..1e3, 1..20),
        ) {
            let clips: Vec<Clip> = layers.iter().map(|c| Clip::new(*c).unwrap()).collect();
            let whole = Clip::of_layers(&clips).unwrap().norm();
            prop_assert!(whole >= norm(&layers) && whole < norm(&layers) * (1.0 + 1e-12));
        }
    }

    #[test]
    fn short_rows_are_left_alone_and_settings_checked() {
        let clip = Clip::new(2.0).unwrap();
        let mut row = [1.0, -1.0];
        clip.apply(&mut row);
        assert_eq!(row.map(f64::to_bits), [1.0_f64, -1.0].map(f64::to_bits));
        for norm in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e13] {
            assert!(Clip::new(norm).is_err());
        }
        assert!(Clip::of_layers(&[]).is_err());
        assert!(Adaptive::new(clip, 1.0, 0.2, 0.1).is_err());
        assert!(Adaptive::new(clip, 0.5, 2.0, 0.1).is_err());
        assert!(Adaptive::new(clip, 0.5, 0.2, 0.0).is_err());
    }

    #[test]
    fn the_norm_follows_the_quantile() {
        let mut rng = Seed::from_number(1).rng();
        let norms: Vec<f64> = (0..2000).map(|_| rng.unit() * 8.0).collect();
        let mut adaptive = Adaptive::new(Clip::new(0.1).unwrap(), 0.75, 0.3, 0.05).unwrap();
        let joint = adaptive.joint().unwrap().norm();
        assert!((joint - 0.1_f64.hypot(0.025)).abs() < 1e-12);
        for _ in 0..200 {
            let sum: f64 = norms.iter().map(|norm| adaptive.indicator(norm * norm)).sum();
            adaptive = adaptive.next(sum + 0.05 * rng.normal(), 2000.0);
        }
        assert!((adaptive.clip().norm() - 6.0).abs() < 0.3, "{}", adaptive.clip().norm());
        assert_eq!(adaptive.next(f64::NAN, 2000.0), adaptive);
        assert!(adaptive.next(1e300, 1.0).clip().norm() > 0.0);
    }

    #[test]
    fn a_clip_without_a_margin_is_caught() {
        // The weakened twin: f32 rounds the norm down and the product up.
        let row = [1.000_000_1_f32; 4000];
        let norm_sq: f32 = row.iter().map(|x| x * x).sum();
        #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
        let weight = (1.0 / f64::from(norm_sq).sqrt()) as f32;
        let weighted: Vec<f64> = row.iter().map(|x| f64::from(weight * x)).collect();
        assert!(norm(&weighted) > 1.0);
        let weight = Clip::new(1.0).unwrap().weight(norm_sq.into());
        let weighted: Vec<f64> = row.iter().map(|x| f64::from(weight * x)).collect();
        assert!(norm(&weighted) <= 1.0);
    }
}
