use nexus_privacy::accounting::Plan;

use super::*;
use crate::mechanism::broken::{Broken, Fault};

const CANARIES: usize = 1000;
const DELTA: f64 = 1e-5;

/// A job of 100 rounds with ten owners of which eight must answer and two may collude.
fn job(epsilon: f64, rounds: u32) -> (Noise, Claim) {
    let plan = Plan::calibrated(1.0, rounds.into(), epsilon, DELTA).unwrap();
    let noise = Noise { rounds, sigma: plan.sigma, clip: 0.25, owners: 8, colluding: 2 };
    (noise, Claim::gaussian(noise.mu().unwrap(), DELTA).unwrap())
}

/// Mean of the estimates, mean of the gates, and how often the claim was refuted.
fn over_seeds(epsilon: f64, rounds: u32, seeds: u64) -> (f64, f64, u64) {
    let (noise, claim) = job(epsilon, rounds);
    let runs: Vec<Canaries> = (0..seeds)
        .map(|seed| simulate(&noise, CANARIES, DELTA, &Seed::from_number(seed)).unwrap())
        .collect();
    let mean = |of: fn(&Canaries) -> f64| runs.iter().map(of).sum::<f64>() / seeds as f64;
    let refuted = runs.iter().filter(|run| run.refute(&claim)).count() as u64;
    (mean(|run| run.estimate), mean(|run| run.gate), refuted)
}

#[test]
fn a_sound_mechanism_shows_what_was_computed_and_never_more_than_claimed() {
    let (estimate, gate, refuted) = over_seeds(3.0, 100, 20);
    println!("epsilon 3: estimate {estimate}, gate {gate}");
    assert!((0.7..=1.5).contains(&estimate) && gate < estimate, "{estimate} {gate}");
    assert_eq!(refuted, 0);
    // Rounds do not matter, only what they add up to.
    let (low, _, refuted) = over_seeds(1.0, 20, 20);
    println!("epsilon 1: estimate {low}");
    assert!((0.05..=0.45).contains(&low) && refuted == 0, "{low}");
    let (high, _, refuted) = over_seeds(8.0, 20, 20);
    println!("epsilon 8: estimate {high}");
    assert!((2.5..=3.5).contains(&high) && refuted == 0, "{high}");
}

#[test]
fn broken_builds_are_refuted() {
    let (noise, claim) = job(3.0, 100);
    for fault in [Fault::NoNoise, Fault::NoiseOnce, Fault::NoClip] {
        for seed in (0..5).map(Seed::from_number) {
            let sound = SecureSum::new(&noise, CANARIES, CANARIES, &seed).unwrap();
            let mut broken = Broken { sound, fault, rounds: 0 };
            let run = attack(&mut broken, &noise, CANARIES, DELTA, &seed).unwrap();
            assert!(run.refute(&claim) && run.gate > 4.2, "{fault:?}: {run:?}");
        }
    }
}

#[test]
fn too_few_canaries_cannot_refute_a_large_epsilon() {
    assert!(most(1000, DELTA, GATE_P).unwrap() < 8.0);
    let scores: Vec<f64> = (0..1000).map(f64::from).collect();
    let included: Vec<bool> = (0..1000).map(|k| k >= 500).collect();
    let run = judge(&scores, &included, DELTA).unwrap();
    assert_eq!((run.sure.right, run.all.right), (200, 1000));
    assert!((run.gate - run.most).abs() < 1e-9);
    assert!(!run.refute(&Claim::new(8.0, DELTA).unwrap()));
}

#[test]
fn what_cannot_be_is_refused() {
    let (noise, _) = job(3.0, 10);
    let seed = Seed::from_number(1);
    assert!(simulate(&noise, 5, DELTA, &seed).is_err());
    assert!(simulate(&noise, CANARIES_MAX + 1, DELTA, &seed).is_err());
    assert!(simulate(&noise, 100, 2.0, &seed).is_err());
    assert!(matches!(judge(&[f64::NAN; 10], &[true; 10], DELTA), Err(AuditError::Score { .. })));
    assert!(matches!(judge(&[0.0; 9], &[true; 10], DELTA), Err(AuditError::Length { .. })));
}
