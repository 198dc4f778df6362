use nexus_learning::{Length, LocalConfig};
use nexus_models::data::builtin;
use nexus_models::{LayerSpec, ModelSpec};
use nexus_privacy::accounting::Plan;

use super::*;
use crate::mechanism::Noise;
use crate::recipe::{Plain, Private};

fn pool(rows: usize) -> Dataset {
    let digits = builtin::digits();
    let mut order: Vec<usize> = (0..digits.rows()).collect();
    Seed::from_number(5).rng().shuffle(&mut order);
    digits.select(&order[..rows])
}

fn plain(network: &Network<f32>, epochs: u32) -> Plain<'_> {
    Plain {
        network,
        config: LocalConfig { length: Length::Epochs(epochs), ..LocalConfig::default() },
    }
}

fn print(name: &str, found: &Membership) {
    let figure = |roc: &Roc| {
        format!("{:.3} ± {:.4}, {:.1} %", roc.auc, roc.auc_error, 100.0 * roc.tpr_at_1_percent)
    };
    println!(
        "{name}: accuracy {:?} {:?}; loss {}; RMIA {}; LiRA {:?}",
        found.accuracy_on_members,
        found.accuracy_on_others,
        figure(&found.loss_threshold),
        figure(&found.rmia),
        found.lira.as_ref().map(figure)
    );
}

#[test]
fn an_unprotected_model_gives_its_members_away() {
    let network = Network::new(&ModelSpec::mlp(64, &[128], 10)).unwrap();
    let effort = Effort { mislabelled: 300, ..Effort::default() };
    let seed = Seed::from_number(1);
    let found = attack(&network, &pool(1200), &plain(&network, 40), effort, &seed).unwrap();
    print("unprotected", &found);
    let lira = found.lira.unwrap();
    assert!(lira.auc >= 0.70 && found.rmia.auc >= 0.65, "{} {}", lira.auc, found.rmia.auc);
    assert!(found.loss_threshold.auc < found.rmia.auc);
    assert_eq!(lira.members + lira.others, 6000);
}

/// Model, clip, step and cooling of the default job.
#[test]
fn at_epsilon_3_attacks_are_near_chance() {
    let mut spec = ModelSpec::mlp(64, &[64], 10);
    spec.layers[1] = LayerSpec::Tanh;
    let network = Network::new(&spec).unwrap();
    let sigma = Plan::calibrated(1.0, 40, 3.0, 1e-5).unwrap().sigma;
    let noise = Noise { rounds: 40, sigma, clip: 0.5, owners: 8, colluding: 2 };
    let recipe = Private { network: &network, noise, rows: 600, step: 8.0, cooldown: 0.5 };
    for (mislabelled, shadows) in [(300, 64), (0, 8)] {
        let effort = Effort { shadows, mislabelled, ..Effort::default() };
        let found = attack(&network, &pool(1200), &recipe, effort, &Seed::from_number(1)).unwrap();
        print("epsilon 3", &found);
        for roc in [&found.loss_threshold, &found.rmia, found.lira.as_ref().unwrap()] {
            assert!(roc.auc_at_least() <= 0.55 && roc.auc > 0.48, "{}", roc.auc);
            assert!(roc.auc_error < 0.009, "{}", roc.auc_error);
        }
        assert!(found.accuracy_on_others > Some(0.5), "the models have learnt something");
    }
}

#[test]
fn figures_do_not_depend_on_threads() {
    let network = Network::new(&ModelSpec::softmax(64, 10)).unwrap();
    let found = |threads| {
        let effort = Effort { shadows: 4, targets: 1, mislabelled: 10, threads };
        let seed = Seed::from_number(3);
        let found = attack(&network, &pool(100), &plain(&network, 2), effort, &seed).unwrap();
        (found.rmia, found.lira, found.loss_threshold)
    };
    assert_eq!(found(1), found(3));
}

#[test]
fn halves_and_wrong_classes_are_what_they_should_be() {
    let seed = Seed::from_number(1);
    let halves = complementary_halves(101, 6, &seed);
    for pair in halves.chunks(2) {
        assert!(pair[0].iter().zip(&pair[1]).all(|(a, b)| a != b));
        assert!((25..=75).contains(&pair[0].iter().filter(|is_in| **is_in).count()));
    }
    assert_ne!(halves[0], halves[2]);
    let pool = pool(60);
    let (changed, wrong) = mislabelled(&pool, 20, &seed).unwrap();
    let (DataTargets::Classes { labels: a, .. }, DataTargets::Classes { labels: b, .. }) =
        (pool.targets(), changed.targets())
    else {
        panic!("digits have classes")
    };
    assert_eq!(wrong.iter().filter(|wrong| **wrong).count(), 20);
    for ((a, b), wrong) in a.iter().zip(b).zip(&wrong) {
        assert_eq!(a != b, *wrong);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let network = Network::new(&ModelSpec::linear(1)).unwrap();
    let targets = DataTargets::Values(vec![1.0; 40]);
    let numbers = Dataset::new(1, vec![0.0; 40], targets, vec![0; 40]).unwrap();
    let fine = Effort { shadows: 2, targets: 1, mislabelled: 0, threads: 1 };
    let run =
        |effort| attack(&network, &numbers, &plain(&network, 1), effort, &Seed::from_number(1));
    let found = run(fine).unwrap();
    assert!(found.lira.is_none() && found.accuracy_on_members.is_none());
    let wrong = run(Effort { mislabelled: 1, ..fine });
    assert!(matches!(wrong, Err(AuditError::Targets { attack: "mislabelling" })));
    for bad in [
        Effort { shadows: 3, ..fine },
        Effort { shadows: 0, ..fine },
        Effort { targets: 0, ..fine },
        Effort { threads: 0, ..fine },
        Effort { shadows: MODELS_MAX + 2, ..fine },
    ] {
        assert!(matches!(run(bad), Err(AuditError::Setting { .. })), "{bad:?}");
    }
    let diverging = |_: &Dataset, _: &Seed| Ok(vec![f32::NAN; 2]);
    let broken = attack(&network, &numbers, &diverging, fine, &Seed::from_number(1));
    assert!(matches!(broken, Err(AuditError::Score { .. })));
}
