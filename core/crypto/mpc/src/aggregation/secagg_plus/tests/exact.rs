//! The sum is the exact sum, whoever drops out and whoever is killed.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_types::OwnerId;
use proptest::prelude::*;

use super::stage::{Stage, index, peer, rng, session};
use crate::aggregation::secagg_plus::{Collector, Owner, Terms, limit, value_bits};
use crate::aggregation::{Collector as _, Contributor, Opened, Outgoing, Progress, SumError};

fn check(
    owners: u32,
    values: u32,
    gone: &BTreeMap<u32, u8>,
    seed: u64,
) -> Result<(), TestCaseError> {
    let mut stage = Stage::new(owners, values, Terms::default(), seed).unwrap();
    let quorum = Terms::default().quorum(owners);
    let left = |phase: u8| {
        owners - u32::try_from(gone.values().filter(|from| **from <= phase).count()).unwrap()
    };
    match stage.run(gone) {
        Ok(opened) => {
            let alive = OwnerId::all(owners).filter(|id| gone.get(&id.0).is_none_or(|p| *p > 2));
            prop_assert_eq!(&opened.survivors, &alive.collect::<Vec<_>>());
            prop_assert_eq!(&opened.sum, &stage.expected(&opened.survivors));
        }
        Err(SumError::TooFew { have, need }) => {
            prop_assert!(have < need);
            // Where all are neighbours, a quorum that answers to the end is enough.
            prop_assert!(owners >= 40 || left(4) < quorum, "{have} of {need}, {gone:?}");
        }
        Err(other) => prop_assert!(false, "{other}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_masked_sum_is_the_integer_sum(
        owners in 3u32..=60, values in 0u32..40, seed: u64,
        leaving in prop::collection::btree_map(0u32..60, 0u8..5, 0..24),
    ) {
        let most = owners as usize * 2 / 5;
        let gone = leaving.into_iter().filter(|(id, _)| *id < owners).take(most).collect();
        check(owners, values, &gone, seed)?;
    }
}

#[test]
fn a_sampled_neighbourhood_sums_too() {
    let gone = (0..13).map(|id| (9 * id, u8::try_from(id % 5).unwrap())).collect();
    let mut stage = Stage::new(150, 7, Terms::default(), 3).unwrap();
    let hood = Terms::default().neighbourhood(150, 150).unwrap();
    assert!(u32::from(hood.degree) < 149);
    let opened = stage.run(&gone).unwrap();
    assert_eq!(opened.sum, stage.expected(&opened.survivors));
    assert_eq!(opened.dropped.len(), 6); // away from phase 1 or 2 on
}

#[test]
fn values_at_the_limit_sum_and_above_are_refused() {
    for owners in [3, 7, 33] {
        let mut stage = Stage::new(owners, 2, Terms::default(), 1).unwrap();
        let most = limit(owners);
        assert!(
            i64::from(owners) * most < 1 << 31 && i64::from(owners) * (most + 1) > (1 << 31) - 1
        );
        stage.values = vec![vec![most, -most]; owners as usize];
        let opened = stage.run(&BTreeMap::new()).unwrap();
        assert_eq!(opened.sum, [i64::from(owners) * most, -i64::from(owners) * most]);

        let mut owner = Stage::new(owners, 2, Terms::default(), 1).unwrap().owners.remove(0);
        for (index, large) in [(0, most + 1), (1, -most - 1), (1, i64::MIN)] {
            let mut values = [0, 0];
            values[index] = large;
            let refused = SumError::Value { index: index as u64, got: large, limit: most };
            assert_eq!(owner.contribute(&mut rng(1), &values), Err(refused));
        }
        let refused = SumError::Length { got: 1, expected: 2 };
        assert_eq!(owner.contribute(&mut rng(1), &[0]), Err(refused));
        assert!(owner.contribute(&mut rng(1), &[0, 0]).is_ok());
        assert_eq!(owner.contribute(&mut rng(1), &[0, 0]), Err(SumError::Spent));
    }
}

#[test]
fn half_of_the_range_is_kept_for_noise() {
    assert_eq!([1, 2, 3, 100, 128, 129].map(value_bits), [31, 30, 29, 24, 24, 23]);
    for owners in [1u32, 2, 3, 10, 100, 1000, 65_536] {
        let largest = (1i64 << (value_bits(owners) - 1)) - 1;
        assert!(i64::from(owners) * largest < 1 << 30);
        assert!(largest < limit(owners));
    }
}

/// Every party is written down and read back before and after everything it does.
struct Fragile {
    stage: Stage,
    steps: usize,
    killed_at: usize,
}

impl Fragile {
    fn owner(&mut self, at: usize, bytes: &[u8]) -> Arc<[u8]> {
        self.steps += 1;
        let (session, terms) = (self.stage.session.clone(), self.stage.terms);
        let before = self.stage.owners[at].snapshot();
        let mut answer =
            self.stage.owners[at].receive(&mut self.stage.rng, bytes).unwrap().unwrap();
        if self.steps == self.killed_at {
            // Killed before the new state was written: the answer was not sent.
            let identity = Arc::clone(&self.stage.identities[at]);
            let id = OwnerId(u32::try_from(at).unwrap());
            let back = Owner::restore(session.clone(), terms, id, identity, &before).unwrap();
            assert_eq!(back.snapshot(), before);
            self.stage.owners[at] = back;
            answer = self.stage.owners[at].receive(&mut self.stage.rng, bytes).unwrap().unwrap();
            // Killed after: the same answer again, and no other.
            let after = self.stage.owners[at].snapshot();
            let identity = Arc::clone(&self.stage.identities[at]);
            let back = Owner::restore(session, terms, id, identity, &after).unwrap();
            assert_eq!(back.snapshot(), after);
            self.stage.owners[at] = back;
            assert_eq!(self.stage.owners[at].sent().unwrap(), answer);
            let again = self.stage.owners[at].receive(&mut self.stage.rng, bytes).unwrap().unwrap();
            assert_eq!(again, answer);
        }
        answer
    }

    fn coordinator(&mut self) {
        self.steps += 1;
        if self.steps == self.killed_at {
            let snapshot = self.stage.coordinator.snapshot();
            let (session, terms) = (self.stage.session.clone(), self.stage.terms);
            let back = Collector::restore(session, terms, &snapshot).unwrap();
            assert_eq!(back.snapshot(), snapshot);
            assert_eq!(back.repeat(), self.stage.coordinator.repeat());
            self.stage.coordinator = back;
        }
    }

    fn run(&mut self) -> Opened {
        self.stage.contribute(&[5].into());
        loop {
            self.coordinator();
            let messages = match self.stage.coordinator.close().unwrap() {
                Progress::Done(opened) => return opened,
                Progress::Continue(messages) => messages,
            };
            self.coordinator();
            assert_eq!(messages, self.stage.coordinator.repeat());
            let proposal = self.stage.coordinator.contributions() > 0;
            for Outgoing { to, message } in &messages {
                if index(*to) == 2 && !proposal && self.stage.coordinator.waiting().len() < 6 {
                    continue;
                }
                let answer = self.owner(index(*to), message);
                self.stage.coordinator.receive(*to, &answer).unwrap();
                assert_eq!(self.stage.coordinator.receive(*to, &answer), Ok(Vec::new()));
                self.coordinator();
            }
        }
    }
}

#[test]
fn killed_anywhere_the_sum_is_the_same() {
    let mut killed_at = 0;
    loop {
        let stage = Stage::new(6, 5, Terms { corrupt_permille: 1, ..Terms::default() }, 4).unwrap();
        let mut fragile = Fragile { stage, steps: 0, killed_at };
        let opened = fragile.run();
        assert_eq!(opened.sum, fragile.stage.expected(&opened.survivors));
        if killed_at > fragile.steps {
            assert!(fragile.steps > 20);
            break;
        }
        killed_at += 1;
    }
}

#[test]
fn snapshots_of_another_sum_do_not_fit() {
    let terms = Terms::default();
    let stage = Stage::new(4, 2, terms, 1).unwrap();
    let other = session("round 2", 4, 2, terms);
    let snapshot = stage.coordinator.snapshot();
    let back = Collector::restore(other.clone(), terms, &snapshot);
    assert!(matches!(back, Err(SumError::Snapshot { .. })));
    let longer = crate::aggregation::Session { values: 3, ..stage.session.clone() };
    let back = Collector::restore(longer, terms, &snapshot);
    assert!(matches!(back, Err(SumError::Snapshot { .. })));
    let back = Collector::restore(stage.session.clone(), terms, &snapshot[1..]);
    assert!(matches!(back, Err(SumError::Snapshot { .. })));
    let snapshot = stage.owners[0].snapshot();
    let identity = Arc::clone(&stage.identities[0]);
    let back = Owner::restore(other, terms, OwnerId(0), identity, &snapshot);
    assert!(matches!(back, Err(SumError::Snapshot { .. })));
    let identity = Arc::clone(&stage.identities[1]);
    let stranger = Owner::new(stage.session, terms, OwnerId(0), identity);
    assert!(matches!(stranger, Err(SumError::Key { .. })));
    assert_eq!(peer(0), crate::aggregation::Peer::Owner(OwnerId(0)));
}
