use nexus_models::data::builtin;
use nexus_models::{LayerSpec, ModelSpec};
use nexus_privacy::accounting::Plan;

use super::*;

fn mlp() -> Network<f32> {
    Network::new(&ModelSpec::mlp(64, &[128], 10)).unwrap()
}

fn leak(owners: usize, rows: usize, noise: Option<Noise>, steps: usize) -> Leak {
    let attempts = Attempts { steps, inverted: 0, ..Attempts::default() };
    let view = View { owners, rows, noise };
    let (digits, seed) = (builtin::digits(), Seed::from_number(1));
    let leak = attack(&mlp(), &digits, view, Some([8, 8]), attempts, &seed).unwrap();
    println!("{owners} x {rows} {}: {:?} {:?}", noise.is_some(), leak.closed, leak.imprint);
    leak
}

/// The noise of one round of a job at epsilon 8, and so of all with a smaller one.
fn noise() -> Noise {
    let sigma = Plan::calibrated(1.0, 40, 8.0, 1e-5).unwrap().sigma;
    Noise { rounds: 40, sigma, clip: 0.5, owners: 8, colluding: 2 }
}

/// The table of what leaks, with the figures that a prototype measured; ours may leak more.
#[test]
fn bare_gradients_leak_and_large_sums_leak_less() {
    for (owners, rows, steps, honest, imprint) in [
        (1, 1, 20, 1.0, 1.0),
        (1, 8, 40, 0.79, 0.98),
        (1, 32, 15, 0.18, 0.73),
        (1, 64, 10, 0.08, 0.62),
        (10, 32, 4, 0.007, 0.078),
        (25, 64, 1, 0.001, 0.0),
    ] {
        let leak = leak(owners, rows, None, steps);
        let (got_honest, got_imprint) = (leak.closed.unwrap(), leak.imprint.unwrap());
        assert!((got_honest - honest).abs() < 0.12, "{owners} x {rows}: {got_honest}");
        assert!((got_imprint - imprint).abs() < 0.12, "{owners} x {rows}: {got_imprint}");
        assert!(leak.worst() >= leak.honest());
    }
    assert!(leak(1, 8, None, 40).honest() >= 0.70);
}

#[test]
fn clip_and_noise_leave_nothing() {
    for (owners, rows) in [(1, 1), (1, 8), (1, 32), (10, 32)] {
        let leak = leak(owners, rows, Some(noise()), 8);
        assert!(leak.worst() <= 0.0, "{owners} x {rows}: {leak:?}");
    }
    // One row, much less noise than that.
    let weak = Noise { sigma: 0.1, clip: 1.0, ..noise() };
    assert!(leak(1, 1, Some(weak), 8).worst() <= 0.0);
}

#[test]
fn rows_are_found_by_search_in_bare_gradients_only() {
    let digits = builtin::digits();
    let found = |rows, noise, inverted| {
        let attempts = Attempts { steps: inverted, inverted, pictures: 3, ..Attempts::default() };
        let view = View { owners: 1, rows, noise };
        attack(&mlp(), &digits, view, Some([8, 8]), attempts, &Seed::from_number(2)).unwrap()
    };
    let (one, few, noised) = (found(1, None, 4), found(4, None, 2), found(1, Some(noise()), 2));
    println!(
        "inverting 1, 4, noised: {:?} {:?} {:?}",
        one.inverting, few.inverting, noised.inverting
    );
    assert!(one.inverting >= Some(0.75) && few.inverting >= Some(0.4), "{:?}", few.inverting);
    assert!(noised.inverting <= Some(0.0) && noised.worst() <= 0.0);
    assert_eq!((few.pictures.len(), one.pictures.len()), (3, 3));
    assert!(one.pictures[0].psnr > REBUILT_DB && noised.pictures[0].psnr < REBUILT_DB);
    // Eight rows need longer searches than a test has time for.
    assert!(found(8, None, 2).inverting > Some(0.0));
    assert!(found(16, None, 1).inverting.is_none(), "too many rows");
}

/// A public scale in front hides nothing: what the first linear layer saw is scaled back.
#[test]
fn a_scale_in_front_hides_nothing() {
    let mut spec = ModelSpec::mlp(64, &[64], 10);
    spec.layers.insert(0, LayerSpec::Rescale { centre: 0.3, factor: 3.0 });
    let network = Network::new(&spec).unwrap();
    let view = View { owners: 1, rows: 8, noise: None };
    let attempts = Attempts { steps: 10, inverted: 0, ..Attempts::default() };
    let leak =
        attack(&network, &builtin::digits(), view, None, attempts, &Seed::from_number(1)).unwrap();
    assert!(leak.closed > Some(0.15) && leak.imprint > Some(0.7), "{leak:?}");
}

/// Without `ReLU` no unit belongs to one row, and a network of one layer has no imprint.
#[test]
fn what_leaks_depends_on_the_model() {
    let digits = builtin::digits();
    let softmax = Network::new(&ModelSpec::softmax(64, 10)).unwrap();
    let view = View { owners: 1, rows: 8, noise: None };
    let attempts = Attempts { steps: 10, inverted: 0, ..Attempts::default() };
    let seed = Seed::from_number(1);
    let leak = attack(&softmax, &digits, view, None, attempts, &seed).unwrap();
    assert!(leak.closed < Some(0.1) && leak.imprint.is_none(), "{leak:?}");
    let cnn = Network::new(&ModelSpec::cnn([8, 8, 1], 10)).unwrap();
    let leak = attack(&cnn, &digits, view, None, attempts, &seed).unwrap();
    assert_eq!((leak.closed, leak.imprint, leak.honest().to_bits()), (None, None, 0));
}

#[test]
fn a_candidate_counts_once() {
    let digits = builtin::digits().select(&[0, 0, 1]);
    let network = mlp();
    let view = View { owners: 1, rows: 3, noise: None };
    let range = Range::of(&digits);
    let attacker =
        Attacker { network: &network, data: &digits, view, range, seed: Seed::from_number(1) };
    let candidate: Vec<f64> = digits.row(0).iter().copied().map(f64::from).collect();
    let rows = [0, 1, 2];
    let third = attacker.count(std::slice::from_ref(&candidate), &rows);
    assert!((third - 1.0 / 3.0).abs() < 1e-12, "two equal rows, one candidate");
    let two = attacker.count(&[candidate.clone(), candidate], &rows);
    assert!((two - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn what_cannot_be_is_refused() {
    let (network, digits, seed) = (mlp(), builtin::digits(), Seed::from_number(1));
    let run = |view, attempts| attack(&network, &digits, view, None, attempts, &seed);
    for (owners, rows) in [(0, 1), (1, 0), (10, 1000), (usize::MAX, 2)] {
        let view = View { owners, rows, noise: None };
        assert!(matches!(run(view, Attempts::default()), Err(AuditError::Setting { .. })));
    }
    let view = View { owners: 1, rows: 1, noise: None };
    assert!(run(view, Attempts { steps: 0, ..Attempts::default() }).is_err());
    let endless = Inverting { restarts: 0, ..Inverting::default() };
    assert!(run(view, Attempts { inverting: endless, ..Attempts::default() }).is_err());
}
