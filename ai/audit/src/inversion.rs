//! Model inversion: what does a published model show of its classes?
//!
//! Fredrikson, Jha & Ristenpart 2015: from a neutral row, climb the model's confidence in a class. What
//! comes out is compared with the mean of the class's rows. It is alike wherever a model has learnt
//! what a class looks like, so it is a leak only where a class *is* one person. A figure to report,
//! not to pass or fail.

use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{Mode, Network, Real, Targets, Workspace};
use serde::Serialize;

use crate::AuditError;
use crate::leakage::Range;

/// Steps uphill.
const STEPS: u32 = 300;
/// Length of a step, in parts of the data's range, in the largest direction of its row.
const RATE: f64 = 0.02;
/// How strongly rows are held near the start.
const HOLD: f64 = 0.01;

/// How like the classes what was climbed to is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inversion {
    /// Mean over the classes of the correlation with the own class's mean row.
    pub own: f64,
    /// Mean correlation with the other classes' mean rows.
    pub others: f64,
    /// Structural similarity with the own class's mean row, one window (Wang et al. 2004), mean.
    pub similarity: f64,
    /// Share of the classes that are most like their own mean row.
    pub recognised: f64,
    /// What was climbed to, one row of features for each class that has rows.
    pub rows: Vec<Vec<f32>>,
}

/// Inverts a model for every class that has rows in `data`.
///
/// # Errors
/// [`AuditError::Targets`] without classes; [`AuditError::Model`].
pub fn attack(
    network: &Network<f32>,
    parameters: &[f32],
    data: &Dataset,
) -> Result<Inversion, AuditError> {
    let means = class_means(data)?;
    let labels: Vec<u32> = means.iter().map(|(label, _)| *label).collect();
    let found = climb(network, parameters, &labels, data)?;
    let rows: Vec<Vec<f64>> = found.chunks_exact(data.width()).map(wide).collect();
    let count = rows.len().max(1) as f64;
    let (mut own, mut others, mut similarity, mut recognised) = (0.0, 0.0, 0.0, 0.0);
    let range = Range::of(data).width();
    for (place, row) in rows.iter().enumerate() {
        let all: Vec<f64> = means.iter().map(|(_, mean)| correlation(row, mean)).collect();
        let sum: f64 = all.iter().sum();
        own += all[place];
        others += (sum - all[place]) / (count - 1.0).max(1.0);
        similarity += structural_similarity(row, &means[place].1, range);
        recognised += f64::from(u8::from(all.iter().all(|other| *other <= all[place])));
    }
    Ok(Inversion {
        own: own / count,
        others: others / count,
        similarity: similarity / count,
        recognised: recognised / count,
        rows: found.chunks_exact(data.width()).map(<[f32]>::to_vec).collect(),
    })
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().copied().map(f64::from).collect()
}

/// The mean row of every class that has one.
fn class_means(data: &Dataset) -> Result<Vec<(u32, Vec<f64>)>, AuditError> {
    let DataTargets::Classes { labels, names } = data.targets() else {
        return Err(AuditError::Targets { attack: "model inversion" });
    };
    let mut sums = vec![(0_usize, vec![0.0; data.width()]); names.len()];
    for (row, label) in labels.iter().enumerate() {
        let (count, sum) = &mut sums[*label as usize];
        *count += 1;
        sum.iter_mut().zip(data.row(row)).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let with_rows = (0..).zip(sums).filter(|(_, (count, _))| *count > 0);
    let means = with_rows.map(|(label, (count, sum))| {
        (label, sum.into_iter().map(|value| value / count as f64).collect())
    });
    Ok(means.collect())
}

/// From the middle of the range, one row for each class: down the loss, within the range.
fn climb(
    network: &Network<f32>,
    parameters: &[f32],
    labels: &[u32],
    data: &Dataset,
) -> Result<Vec<f32>, AuditError> {
    let range = Range::of(data);
    let middle = f32::of(0.5 * (range.low + range.high));
    let (low, high) = (f32::of(range.low), f32::of(range.high));
    let mut rows = vec![middle; labels.len() * network.inputs()];
    let mut workspace = Workspace::new();
    for _ in 0..STEPS {
        network.forward(parameters, &rows, labels.len(), Mode::Eval, &mut workspace)?;
        network.backward(parameters, &Targets::Classes(labels), &mut workspace)?;
        let slope = network.input_gradient(parameters, &mut workspace)?;
        let width = network.inputs();
        for (row, slope) in rows.chunks_exact_mut(width).zip(slope.chunks_exact(width)) {
            let steepest = slope.iter().fold(1e-20_f32, |most, value| most.max(value.abs()));
            let length = f32::of(RATE * range.width()) / steepest;
            for (value, slope) in row.iter_mut().zip(slope) {
                let held = (*value - middle) * f32::of(HOLD);
                *value = (*value - length * slope - held).clamp(low, high);
            }
        }
    }
    Ok(rows)
}

/// Means, variances and covariance.
fn second_moments(a: &[f64], b: &[f64]) -> (f64, f64, f64, f64, f64) {
    let count = a.len().max(1) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (of_a, of_b) = (mean(a), mean(b));
    let product = |x: &[f64], y: &[f64], of_x: f64, of_y: f64| {
        x.iter().zip(y).map(|(x, y)| (x - of_x) * (y - of_y)).sum::<f64>() / count
    };
    (of_a, of_b, product(a, a, of_a, of_a), product(b, b, of_b, of_b), product(a, b, of_a, of_b))
}

/// Pearson's correlation; 0 if one is constant.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (_, _, of_a, of_b, both) = second_moments(a, b);
    let scale = (of_a * of_b).sqrt();
    if scale > 0.0 { both / scale } else { 0.0 }
}

/// Wang, Bovik, Sheikh & Simoncelli 2004, equation 13, over the whole row.
fn structural_similarity(a: &[f64], b: &[f64], range: f64) -> f64 {
    let (mean_a, mean_b, of_a, of_b, both) = second_moments(a, b);
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    (2.0 * mean_a * mean_b + c1) * (2.0 * both + c2)
        / ((mean_a * mean_a + mean_b * mean_b + c1) * (of_a + of_b + c2))
}

#[cfg(test)]
mod tests {
    use nexus_models::ModelSpec;
    use nexus_models::data::builtin;
    use nexus_types::Seed;

    use super::*;
    use crate::{Plain, Recipe};

    #[test]
    fn a_trained_model_shows_its_classes_and_a_fresh_one_does_not() {
        let digits = builtin::digits();
        let network = Network::new(&ModelSpec::softmax(64, 10)).unwrap();
        let seed = Seed::from_number(1);
        let plain = Plain { network: &network, config: nexus_learning::LocalConfig::default() };
        let trained = attack(&network, &plain.train(&digits, &seed).unwrap(), &digits).unwrap();
        let fresh = attack(&network, &network.initial(&seed), &digits).unwrap();
        println!("trained {:?}, fresh {:?}", figures(&trained), figures(&fresh));
        assert!(trained.recognised >= 0.8 && trained.own > trained.others + 0.2);
        assert!(fresh.recognised <= 0.5 && fresh.own < 0.3);
        assert_eq!((trained.rows.len(), trained.rows[0].len()), (10, 64));
    }

    fn figures(found: &Inversion) -> [f64; 4] {
        [found.own, found.others, found.similarity, found.recognised]
    }

    #[test]
    fn likeness_is_what_it_should_be() {
        let (a, b) = ([0.0, 1.0, 0.5, 0.25], [1.0, 0.0, 0.5, 0.75]);
        assert!((correlation(&a, &a) - 1.0).abs() < 1e-12);
        assert!((correlation(&a, &b) + 1.0).abs() < 1e-12);
        assert!(correlation(&a, &[1.0; 4]).abs() < 1e-12);
        assert!((structural_similarity(&a, &a, 1.0) - 1.0).abs() < 1e-12);
        assert!(structural_similarity(&a, &b, 1.0) < 0.0);
    }

    #[test]
    fn numbers_have_no_classes_to_invert() {
        let network = Network::new(&ModelSpec::linear(1)).unwrap();
        let data = Dataset::new(1, vec![0.0], DataTargets::Values(vec![1.0]), vec![0]).unwrap();
        let found = attack(&network, &[0.0; 2], &data);
        assert!(matches!(found, Err(AuditError::Targets { attack: "model inversion" })));
    }
}
