use std::collections::BTreeSet;
use std::convert::Infallible;

use nexus_models::data::builtin;
use nexus_models::{Loss, ModelSpec, SPEC_VERSION};
use nexus_privacy::flow::{Masker, Waiver};
use nexus_privacy::mechanisms::clip::weights;
use nexus_privacy::mechanisms::grid::{Grid, Room};
use nexus_types::{Seed, SeededRng};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

use super::*;

const CLIP: f64 = 0.5;
const DRAWS: usize = 4000;

fn clip() -> Clip {
    Clip::new(CLIP).unwrap()
}

/// Networks of which each has other kernels, for rows of the built-in digits.
fn networks() -> Vec<Network<f32>> {
    let convolution = LayerSpec::Conv2d { channels: 6, kernel: 3, stride: 1, padding: 1 };
    let pool = LayerSpec::MaxPool { kernel: 2, stride: 2 };
    let last = LayerSpec::Linear { outputs: 10, bias: true };
    let layers = vec![convolution, LayerSpec::Relu, pool, LayerSpec::Flatten, last];
    let (version, input, loss) = (SPEC_VERSION, vec![8, 8, 1], Loss::SoftmaxCrossEntropy);
    let specs = [ModelSpec::mlp(64, &[48], 10), ModelSpec { version, input, loss, layers }];
    specs.iter().map(|spec| Network::new(spec).unwrap()).collect()
}

fn parameters(network: &Network<f32>) -> Vec<f32> {
    network.initial(&Seed::from_number(2)).iter().map(|value| 1.5 * value).collect()
}

fn digits(rows: usize) -> Dataset {
    builtin::digits().select(&(0..rows).collect::<Vec<_>>())
}

/// The sum of each slot, as the stages make it.
fn sums(network: &Network<f32>, data: &Dataset, places: &Places) -> Vec<Vec<f64>> {
    let (parameters, mut failed) = (parameters(network), None);
    let mut slots = Slots::new(network, data, &parameters, places, &mut failed);
    let mut sums = Vec::new();
    while let Some(norms_sq) = slots.next_norms_sq() {
        let mut sum = vec![0.0; network.parameters()];
        slots.add_weighted(&weights(clip(), &norms_sq), &mut sum);
        sums.push(sum);
    }
    assert!(failed.is_none());
    sums
}

fn bits(sum: &[f64]) -> Vec<u64> {
    sum.iter().map(|value| (value + 0.0).to_bits()).collect()
}

fn norm(vector: impl IntoIterator<Item = f64>) -> f64 {
    vector.into_iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Every row's gradient by itself, in f64, not clipped.
fn gradients(network: &Network<f32>, data: &Dataset) -> Vec<Vec<f64>> {
    let network = Network::<f64>::new(network.spec()).unwrap();
    let parameters: Vec<f64> = parameters_of(&network);
    let DataTargets::Classes { labels, .. } = data.targets() else { panic!("classes") };
    let mut workspace = Workspace::new();
    let of_row = |(row, label): (usize, &u32)| {
        let input: Vec<f64> = data.row(row).iter().map(|x| f64::from(*x)).collect();
        network.forward(&parameters, &input, 1, Mode::Eval, &mut workspace).unwrap();
        network.backward(&parameters, &Targets::Classes(&[*label]), &mut workspace).unwrap();
        let mut gradient = vec![0.0; network.parameters()];
        let all = Weights::Uniform(1.0);
        network.weighted_gradient(&mut workspace, all, &mut gradient).unwrap();
        gradient
    };
    labels.iter().enumerate().map(of_row).collect()
}

fn parameters_of(network: &Network<f64>) -> Vec<f64> {
    let same = Network::<f32>::new(network.spec()).unwrap();
    parameters(&same).iter().map(|value| f64::from(*value)).collect()
}

#[test]
fn the_sum_is_that_of_each_rows_clipped_gradient() {
    let data = digits(70);
    for network in networks() {
        let (mut expected, mut clipped) = (vec![0.0; network.parameters()], 0);
        for gradient in gradients(&network, &data) {
            let weight = (CLIP / norm(gradient.iter().copied())).min(1.0);
            clipped += u32::from(weight < 1.0);
            expected.iter_mut().zip(gradient).for_each(|(sum, slope)| *sum += weight * slope);
        }
        assert!(clipped > 20, "{clipped}");
        let slots = sums(&network, &data, &Places::of_all(70));
        assert_eq!(slots.len(), 70_usize.div_ceil(SLOT));
        let got = (0..network.parameters()).map(|at| slots.iter().map(|sum| sum[at]).sum::<f64>());
        let error = norm(got.zip(&expected).map(|(got, expected)| got - expected));
        assert!(error < 70.0 * CLIP / 900.0, "{error}");
    }
}

#[test]
fn no_row_is_longer_than_the_norm() {
    let data = digits(200);
    for network in networks() {
        let mut longest = 0.0_f64;
        for row in 0..200 {
            let mut places = vec![None; SLOT];
            places[row % SLOT] = Some(row);
            let sum = &sums(&network, &data, &Places::at(places))[0];
            longest = longest.max(norm(sum.iter().copied()));
        }
        assert!(longest <= CLIP && longest > 0.998 * CLIP, "{longest}");
    }
}

/// Takes `row` out; the others stay where they are.
fn without(places: &[Option<usize>], row: usize) -> Vec<Option<usize>> {
    places.iter().map(|place| place.filter(|there| *there != row)).collect()
}

fn random_places(rows: usize, places: usize, rng: &mut SeededRng) -> Vec<Option<usize>> {
    let mut random: Vec<_> = (0..places).map(|place| (place < rows).then_some(place)).collect();
    rng.shuffle(&mut random);
    random
}

#[test]
fn one_row_changes_the_sum_of_its_slot_and_by_no_more_than_the_norm() {
    let (data, mut rng) = (digits(120), Seed::from_number(3).rng());
    for network in networks() {
        for row in [0, 17, 63, 119] {
            let places = random_places(120, SLOT + 32, &mut rng);
            let at = places.iter().position(|place| *place == Some(row)).unwrap() / SLOT;
            let fewer = Places::at(without(&places, row));
            let (with, without) =
                (sums(&network, &data, &Places::at(places)), sums(&network, &data, &fewer));
            for (slot, (with, without)) in with.iter().zip(&without).enumerate() {
                assert_eq!(bits(with) == bits(without), slot != at);
                let moved = norm(with.iter().zip(without).map(|(with, without)| with - without));
                assert!(moved <= CLIP, "{moved}");
            }
        }
    }
}

#[test]
fn rows_that_are_not_finite_count_nothing_and_are_no_error() {
    let (whole, mut rng) = (digits(60), Seed::from_number(4).rng());
    for network in networks() {
        let places = Places::at(random_places(60, 64, &mut rng));
        let mut features = whole.features().to_vec();
        let broken = [3, 40, 41];
        for (row, value) in broken.into_iter().zip([f32::NAN, f32::INFINITY, 3e38]) {
            features[row * 64 + 9] = value;
        }
        let hashes = whole.row_hashes().to_vec();
        let data = Dataset::new(64, features, whole.targets().clone(), hashes).unwrap();
        let mut fewer = places.0.clone();
        for row in broken {
            fewer = without(&fewer, row);
        }
        let (got, expected) =
            (sums(&network, &data, &places), sums(&network, &whole, &Places::at(fewer)));
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(bits(got), bits(expected));
        }
    }
}

/// What leaves, as real numbers.
fn opened(clipped: Clipped, dimension: usize) -> Vec<f64> {
    struct Take(Vec<i64>);
    impl Masker for Take {
        type Error = Infallible;
        fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, Infallible> {
            self.0 = values.to_vec();
            Ok(Arc::new([]))
        }
    }
    let room = Room { rows: 1e3, sigma: 0.0, limit: 1 << 45 };
    let (grid, mut take) = (Grid::new(CLIP, dimension, room).unwrap(), Take(Vec::new()));
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let waiver = Waiver::of_job_without_privacy();
    let noised = clipped.unprotected(waiver, &grid, &mut rng).ok().unwrap();
    let Ok(_) = noised.mask(&mut take);
    grid.to_real(&take.0)
}

fn label() -> Arc<Label> {
    Arc::new(Label::public())
}

#[test]
fn samples_have_the_rate_they_say() {
    let sampling = Sampling::new(0.1, 1000).unwrap();
    assert_eq!(sampling.places(), 192);
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let (mut counts, mut sizes, mut first) = (vec![0_u32; 1000], Vec::new(), vec![0_u32; 192]);
    for _ in 0..DRAWS {
        let places = Places::sampled(1000, &sampling, &mut rng);
        assert_eq!(places.0.len(), 192);
        let rows: BTreeSet<usize> = places.0.iter().flatten().copied().collect();
        assert_eq!(rows.len(), places.0.iter().flatten().count());
        for row in &rows {
            counts[*row] += 1;
        }
        sizes.push(rows.len() as f64);
        places
            .0
            .iter()
            .zip(&mut first)
            .for_each(|(place, count)| *count += u32::from(place.is_some()));
    }
    let draws = DRAWS as f64;
    // Chi-square of 1,000 and of 192 counts, six deviations.
    let squares = |counts: &[u32], mean: f64, variance: f64| {
        counts.iter().map(|count| (f64::from(*count) - mean).powi(2) / variance).sum::<f64>()
    };
    let of_rows = squares(&counts, 0.1 * draws, 0.09 * draws);
    assert!((of_rows - 1000.0).abs() < 6.0 * 2000_f64.sqrt(), "{of_rows}");
    let share = 100.0 / 192.0;
    let of_places = squares(&first, share * draws, share * (1.0 - share) * draws);
    assert!((of_places - 192.0).abs() < 6.0 * 384_f64.sqrt(), "{of_places}");
    let mean = sizes.iter().sum::<f64>() / draws;
    let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / draws;
    assert!((mean - 100.0).abs() < 6.0 * (90.0 / draws).sqrt(), "{mean}");
    assert!((variance - 90.0).abs() < 6.0 * 90.0 * (2.0 / draws).sqrt(), "{variance}");
}

#[test]
fn rows_that_find_no_place_are_dropped_by_chance() {
    // Ten times as many rows as were declared.
    let (sampling, mut rng) = (Sampling::new(0.5, 100).unwrap(), ChaCha12Rng::seed_from_u64(7));
    let (places, mut counts) = (sampling.places(), vec![0_u32; 1000]);
    for _ in 0..2000 {
        let drawn = Places::sampled(1000, &sampling, &mut rng);
        assert_eq!(drawn.0.iter().flatten().count(), places);
        drawn.0.iter().flatten().for_each(|row| counts[*row] += 1);
    }
    let mean = 2.0 * places as f64;
    assert!(counts.iter().all(|count| (f64::from(*count) - mean).abs() < 6.0 * mean.sqrt()));
}

#[test]
fn a_sample_of_all_is_the_full_batch() {
    let (data, network) = (digits(100), &networks()[0]);
    let parameters = parameters(network);
    let full = clipped_gradients(network, &data, &parameters, clip(), label()).unwrap();
    let (sampling, mut rng) = (Sampling::new(1.0, 100).unwrap(), ChaCha12Rng::seed_from_u64(8));
    let sampled = sampled_clipped_gradients(
        network,
        &data,
        &parameters,
        clip(),
        label(),
        &sampling,
        &mut rng,
    );
    let dimension = network.parameters();
    let (full, sampled) = (opened(full, dimension), opened(sampled.unwrap(), dimension));
    assert!(norm(full.iter().copied()) > CLIP);
    assert!(norm(full.iter().zip(&sampled).map(|(a, b)| a - b)) < 1e-3);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (data, network) = (digits(5), &networks()[0]);
    let good = parameters(network);
    let refused = |network: &Network<f32>, data: &Dataset, parameters: &[f32]| {
        let error = clipped_gradients(network, data, parameters, clip(), label()).err().unwrap();
        error.to_string()
    };
    assert!(refused(network, &data, &good[1..]).contains("parameters: 3609"));
    let mut spec = ModelSpec::mlp(64, &[48], 10);
    spec.layers.insert(1, LayerSpec::Dropout { rate: 0.5 });
    assert!(refused(&Network::new(&spec).unwrap(), &data, &good).contains("layer 1 is a dropout"));
    let few = Network::new(&ModelSpec::softmax(64, 3)).unwrap();
    assert!(refused(&few, &data, &vec![0.0; few.parameters()]).contains("class"));
    let none = clipped_gradients(network, &data.select(&[]), &good, clip(), label()).unwrap();
    assert!(opened(none, network.parameters()).iter().all(|value| value.abs() < 1e-9));
}
