//! Owners that come and go.

use crate::nexus::{Scratch, accuracy};

#[test]
fn three_owners_in_ten_may_drop_out_of_every_round() {
    let scratch = Scratch::new();
    scratch.write("faults.toml", "seed = 1\n[owners]\ndrop = 0.3\n");
    let faulty = ["--no-baselines", "--no-privacy", "--faults", "faults.toml"];
    let summary = scratch.summary(&faulty);
    assert!(accuracy(&summary) >= 0.94, "{}", accuracy(&summary));
    let dropped: Vec<_> = summary.rounds.iter().flat_map(|round| &round.dropped).collect();
    assert!(dropped.len() >= 8, "{}", dropped.len());
    for drop in dropped {
        assert!(drop.reason.contains("no answer"), "{}", drop.reason);
        assert!(drop.cause.as_ref().unwrap().contains("out of reach"), "{:?}", drop.cause);
    }
    let said = scratch.succeed(&[&["run"], &faulty[..]].concat());
    assert!(said.contains("no answer"), "{said}");
}

#[test]
fn a_lost_quorum_ends_with_its_own_exit_code_and_names_who_is_missing() {
    let scratch = Scratch::new();
    scratch.write("faults.toml", "[owners]\ndrop = 1.0\n");
    let said = scratch.fail(5, &["run", "--faults", "faults.toml"]);
    assert!(said.contains("owner-0") && said.contains("no answer"), "{said}");
}

#[test]
fn every_strategy_survives_every_fault() {
    let scratch = Scratch::new();
    let faults = "
        seed = 3
        network = { latency_ms = 20, jitter_ms = 400, loss = 0.05, duplicate = 0.1 }
        owners = { drop = 0.1, crash = 0.1, slow = 0.2, slow_factor = 5 }
        coordinator = { crash = 0.3 }
    ";
    scratch.write("faults.toml", faults);
    for strategy in
        ["fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "fedadagrad", "scaffold", "fedbuff"]
    {
        // Masks do not hide updates of different models.
        let suite = if strategy == "fedbuff" { "clear" } else { "nx" };
        let job = format!(
            "[data]\nbuiltin = 'digits'\nowners = 8\n[training]\nstrategy = '{strategy}'\n\
             rounds = 6\nattempts = 6\ndeadline_s = 5\n[aggregation]\nsuite = '{suite}'\n"
        );
        scratch.write("job.toml", job);
        let arguments = ["job.toml", "--no-baselines", "--faults", "faults.toml", "--seed", "2"];
        let first = scratch.summary(&arguments);
        assert_eq!(first.rounds.len(), 6, "{strategy}");
        assert!(accuracy(&first) > 0.5, "{strategy} {}", accuracy(&first));
        let second = scratch.summary(&arguments);
        assert_eq!(first.rounds, second.rounds, "{strategy}");
    }
}
