//! Summaries that tests look at.

use super::*;

fn owners(names: &[String]) -> Vec<Owner> {
    (0u32..)
        .zip(names)
        .map(|(owner, name)| Owner { owner, name: name.clone(), rows: 143, test_rows: 36 })
        .collect()
}

/// A run on `names.len()` owners over `rounds` rounds, with nothing unusual in it.
pub(crate) fn quiet(names: &[String], rounds: u32) -> Summary {
    let data = Data {
        source: "built-in digits, split evenly".to_owned(),
        features: 64,
        rows: 143 * names.len() as u64,
        test_rows: 36 * names.len() as u64,
        owners: owners(names),
    };
    Summary {
        schema: SCHEMA,
        version: "0.1.0".to_owned(),
        run_id: "digits-7-3f9a1c".to_owned(),
        job: "digits".to_owned(),
        job_hash: "3f9a1c".repeat(10),
        seed: 7,
        model_hash: "c0ffee".repeat(10),
        model: Model {
            kind: "mlp".to_owned(),
            shape: "64-64-10".to_owned(),
            task: Task::Classification,
            parameters: 4810,
        },
        metrics: metrics(&data.owners),
        data,
        strategy: "fedavg".to_owned(),
        rule: "mean".to_owned(),
        rounds: (1..=rounds).map(|round| self::round(round, names.len())).collect(),
        aggregation: Suite::Clear,
        aggregation_note: SecureSum::note(None),
        secure_sum: None,
        privacy: None,
        encrypted_training: None,
        simulated: Simulated::one_process(Suite::Clear),
        faults: None,
        warnings: Vec::new(),
        resumed_from: None,
        time: Time { wall_s: 0.412, cpu_s: 0.731 },
        peak_rss_bytes: Some(31_400_000),
    }
}

fn round(round: u32, owners: usize) -> Round {
    let progress = 1.0 - (-0.95 * f64::from(round)).exp();
    let wobble = 0.004 * (f64::from(round) * 2.3).sin();
    Round {
        round,
        participants: (0u32..).take(owners).collect(),
        dropped: Vec::new(),
        late: Vec::new(),
        duplicates: 0,
        attempts: 1,
        epsilon: None,
        clipped: 0,
        committee: None,
        train_loss: Some(2.3 * (1.0 - progress) + 0.08 + wobble),
        test_accuracy: Some(0.12 + 0.845 * progress + wobble),
        test_loss: Some(2.2 * (1.0 - progress) + 0.14 - wobble),
        bytes_up: 19_300 * owners as u64,
        bytes_down: 19_280 * owners as u64,
        update_norm: Some(3.1 / f64::from(round)),
        opened_ms: u64::from(round) * 1000,
        closed_ms: u64::from(round) * 1000 + 240,
    }
}

fn metrics(owners: &[Owner]) -> Metrics {
    let per_owner = owners.iter().map(|owner| OwnerMetrics {
        owner: owner.owner,
        name: owner.name.clone(),
        rows: owner.rows,
        test_rows: owner.test_rows,
        accuracy: Some(match owner.owner % 10 {
            3 => 0.917,
            8 => 1.0,
            other => 0.94 + 0.004 * f64::from(other),
        }),
        local_only_accuracy: Some(0.74 + 0.013 * f64::from(owner.owner % 10)),
        mse: None,
    });
    Metrics {
        test_accuracy: Some(0.958),
        central_accuracy: Some(0.964),
        local_only_accuracy: Some(0.813),
        auc: Some(0.9981),
        f1: Some(0.9577),
        log_loss: Some(0.1423),
        confusion: Some(confusion()),
        per_owner: per_owner.collect(),
        ..Metrics::default()
    }
}

fn confusion() -> Confusion {
    let counts = (0..10u64)
        .map(|truth| {
            (0..10u64)
                .map(|taken| match (truth, taken) {
                    (8, 1) | (1, 8) => 3,
                    (9, 3) | (4, 7) | (5, 9) => 2,
                    (3, 8) | (7, 9) | (2, 1) => 1,
                    (t, p) if t == p => 34,
                    _ => 0,
                })
                .collect()
        })
        .collect();
    Confusion { classes: (0..10).map(|digit| digit.to_string()).collect(), counts }
}

fn drop(round: &mut Round, owner: u32, reason: &str, cause: Option<&str>) {
    round.participants.retain(|it| *it != owner);
    round.dropped.push(Dropped {
        owner,
        reason: reason.to_owned(),
        cause: cause.map(str::to_owned),
    });
}

/// Ten owners, five rounds, two of the owners with trouble.
pub(crate) fn digits() -> Summary {
    let names: Vec<String> = (0..10).map(|site| format!("site-{site}")).collect();
    let mut summary = quiet(&names, 5);
    summary.faults = Some("faults.toml".to_owned());
    summary.warnings = vec!["site-3 holds only 5 of the 10 classes".to_owned()];
    drop(&mut summary.rounds[1], 2, "no answer within 30 s", Some("crash"));
    drop(&mut summary.rounds[2], 2, "no answer within 30 s", Some("crash"));
    drop(&mut summary.rounds[3], 7, "update norm 12.40 is above the limit 10.00", None);
    summary.rounds[2].late = vec![2];
    summary.rounds[4].duplicates = 3;
    summary
}

fn hidden(mut summary: Summary, suite: Suite, sums: SecureSum) -> Summary {
    summary.aggregation = suite;
    summary.aggregation_note = SecureSum::note(Some(&sums));
    summary.secure_sum = Some(sums.counting(&summary.rounds));
    summary.simulated = Simulated::one_process(suite);
    summary
}

/// The same under masks that a committee opens, three of whose four members misbehave.
pub(crate) fn masked() -> Summary {
    let mut summary = digits();
    for (round, silent) in summary.rounds.iter_mut().zip([vec![1], vec![1, 3], vec![]]) {
        round.clipped = 1;
        round.committee = Some(CommitteeRound { disputed: Vec::new(), silent });
    }
    summary.rounds[4].committee = Some(CommitteeRound { disputed: vec![2], silent: Vec::new() });
    let sums = SecureSum {
        engine: Suite::Nx,
        committee: Some(Committee::new(4, 3, 2)),
        assumed: None,
        n_min: 5,
        max_attempts: 2,
        clip: 16.0,
        clipped_updates: 0,
        bits: 22,
        values_per_word: Some(2),
        leaves: 1,
        sums_audited: true,
        transcripts: Some(5),
    };
    hidden(summary, Suite::Nx, sums)
}

/// The same under pairwise masks.
pub(crate) fn pairwise() -> Summary {
    let sums = SecureSum {
        engine: Suite::SecaggPlus,
        committee: None,
        assumed: Some(Assumed { corrupt: 0.1, dropout: 0.1 }),
        n_min: 5,
        max_attempts: 2,
        clip: 16.0,
        clipped_updates: 0,
        bits: 28,
        values_per_word: None,
        leaves: 1,
        sums_audited: false,
        transcripts: None,
    };
    hidden(digits(), Suite::SecaggPlus, sums)
}

/// A model that estimates a value.
pub(crate) fn regression() -> Summary {
    let mut summary = quiet(&["north.csv".to_owned(), "south.csv".to_owned()], 12);
    summary.model = Model {
        kind: "linear".to_owned(),
        shape: "9-1".to_owned(),
        task: Task::Regression,
        parameters: 10,
    };
    for round in &mut summary.rounds {
        round.test_accuracy = None;
    }
    let mut per_owner = std::mem::take(&mut summary.metrics.per_owner);
    for (owner, mse) in per_owner.iter_mut().zip([0.19, 0.24]) {
        (owner.accuracy, owner.local_only_accuracy, owner.mse) = (None, None, Some(mse));
    }
    summary.metrics = Metrics {
        mse: Some(0.215),
        central_mse: Some(0.21),
        local_only_mse: Some(0.5),
        r2: Some(0.785),
        per_owner,
        ..Metrics::default()
    };
    summary
}

/// A run that promises something about rows.
pub(crate) fn private() -> Summary {
    let mut summary = masked();
    let mut privacy = Privacy {
        unit: crate::job::Unit::Record,
        epsilon: 3.0,
        delta: 1e-5,
        plan_epsilon: 3.0,
        spent: 2.55,
        accountant: "gdp".to_owned(),
        currency: "gdp".to_owned(),
        sampling: 1.0,
        staff_epsilon: 3.0,
        clip: 0.5,
        noise: 8.8,
        n_min: 8,
        colluders: 1,
        local: false,
        own_epsilon: 12.5,
        membership: 0.64,
        note: String::new(),
    };
    privacy.note = privacy.words();
    summary.privacy = Some(privacy);
    for (round, record) in (1u32..).zip(&mut summary.rounds) {
        record.epsilon = Some(0.2 * f64::from(round).sqrt());
        record.train_loss = None;
    }
    summary
}

/// A run whose losses are no numbers, and of which nothing could be measured.
pub(crate) fn diverged() -> Summary {
    let mut summary = quiet(&["only".to_owned()], 1);
    for round in &mut summary.rounds {
        (round.train_loss, round.test_accuracy, round.test_loss, round.update_norm) =
            (None, None, None, None);
    }
    summary.metrics = Metrics { per_owner: Vec::new(), ..Metrics::default() };
    summary.peak_rss_bytes = None;
    summary
}

/// A run in which every text an outsider chooses is an attack.
pub(crate) fn hostile() -> Summary {
    const ATTACK: &str = "</title><script>alert(1)</script>\"' onload='x' &\u{202e}\u{1b}[31m\0";
    let mut summary = digits();
    for (owner, metrics) in summary.data.owners.iter_mut().zip(&mut summary.metrics.per_owner) {
        owner.name = ATTACK.to_owned();
        metrics.name = ATTACK.to_owned();
    }
    for dropped in summary.rounds.iter_mut().flat_map(|round| &mut round.dropped) {
        dropped.reason = ATTACK.to_owned();
        dropped.cause = Some(ATTACK.to_owned());
    }
    if let Some(confusion) = &mut summary.metrics.confusion {
        confusion.classes = vec![ATTACK.to_owned(); 10];
    }
    for text in [
        &mut summary.job,
        &mut summary.run_id,
        &mut summary.version,
        &mut summary.job_hash,
        &mut summary.model_hash,
        &mut summary.model.kind,
        &mut summary.model.shape,
        &mut summary.data.source,
        &mut summary.strategy,
        &mut summary.rule,
        &mut summary.aggregation_note,
        &mut summary.simulated.note,
    ] {
        *text = ATTACK.to_owned();
    }
    summary.warnings = vec![ATTACK.to_owned()];
    summary.faults = Some(ATTACK.to_owned());
    summary
}
