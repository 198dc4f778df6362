//! The geometric median.

use super::{coordinate, norm};

/// Steps stop when the sum of distances falls by less than this share.
const TOLERANCE: f64 = 1e-9;

/// Smoothed Weiszfeld steps from the coordinate-wise median, which no minority can move far.
pub(super) fn median(updates: &[&[f32]], iterations: u32, smoothing: f64) -> Vec<f64> {
    let mut point = coordinate::median(updates);
    let mut before = f64::INFINITY;
    for _ in 0..iterations {
        let distances: Vec<f64> = updates.iter().map(|update| distance(&point, update)).collect();
        let total: f64 = distances.iter().sum();
        if total >= before * (1.0 - TOLERANCE) {
            break;
        }
        before = total;
        let weights: Vec<f64> = distances.iter().map(|d| 1.0 / d.max(smoothing)).collect();
        step(&mut point, updates, &weights);
    }
    point
}

fn distance(point: &[f64], update: &[f32]) -> f64 {
    norm(point.iter().zip(update).map(|(p, &u)| p - f64::from(u)))
}

/// Moves `point` to the weighted mean of the updates.
fn step(point: &mut [f64], updates: &[&[f32]], weights: &[f64]) {
    let total: f64 = weights.iter().sum();
    point.fill(0.0);
    for (update, weight) in updates.iter().zip(weights) {
        for (p, &u) in point.iter_mut().zip(*update) {
            *p += weight / total * f64::from(u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_corners_have_the_point_of_fermat() {
        // All angles below 120 degrees: the sides are seen under 120 degrees from the median,
        // which for this triangle lies at (1, 1/sqrt 3).
        let corners: [&[f32]; 3] = [&[0.0, 0.0], &[2.0, 0.0], &[1.0, 1.732_050_8]];
        let point = median(&corners, 200, 1e-9);
        assert!((point[0] - 1.0).abs() < 1e-4, "{point:?}");
        assert!((point[1] - 1.0 / 3f64.sqrt()).abs() < 1e-4, "{point:?}");
    }

    #[test]
    fn no_point_nearby_has_a_smaller_sum_of_distances() {
        let updates: Vec<Vec<f32>> =
            vec![vec![0.0, 1.0], vec![4.0, -1.0], vec![1.0, 5.0], vec![-3.0, 2.0], vec![2.0, 2.0]];
        let slices: Vec<&[f32]> = updates.iter().map(Vec::as_slice).collect();
        let cost = |point: &[f64]| slices.iter().map(|u| distance(point, u)).sum::<f64>();
        let point = median(&slices, 1000, 1e-9);
        for (dx, dy) in [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)] {
            assert!(cost(&point) < cost(&[point[0] + dx, point[1] + dy]), "{point:?}");
        }
    }
}
