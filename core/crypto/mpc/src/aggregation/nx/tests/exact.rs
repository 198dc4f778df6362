//! The masked sum is the sum.

use std::collections::BTreeMap;

use nexus_types::{Canonical, OwnerId};
use proptest::prelude::*;

use super::world::{Plan, World, plain_sum};
use crate::aggregation::nx::params::TABLE;
use crate::aggregation::nx::{Acceptance, Packing, Transcript, audit};

#[test]
fn a_sum_is_exact_and_names_who_is_in_it() {
    for members in [4, 7, 16, 50, 100] {
        let mut world = World::new(&Plan { members, ..Plan::of(5, 100) });
        let values: BTreeMap<_, _> = [0, 2, 3].map(|id| (id, world.values())).into();
        let opened = world.sum(&values).unwrap();
        assert_eq!(opened.sum, plain_sum(values.values()));
        assert_eq!(opened.survivors, [0, 2, 3].map(OwnerId));
        assert!(
            opened.dropped.is_empty() && opened.disputed.is_empty() && opened.silent.is_empty()
        );
    }
}

fn plan() -> impl Strategy<Value = (Plan, u32)> {
    let owners = prop_oneof![2u32..12, 2u32..60];
    let sizes = (owners, 1u32..20_000, 0u32..=40, any::<u64>(), any::<bool>(), any::<u8>());
    sizes.prop_map(|(owners, values, drop, seed, keep_messages, choice)| {
        let packings: Vec<_> = (1..=4)
            .filter_map(|values| Packing::by_name(owners, values, Acceptance::Honest).ok())
            .collect();
        let packing = packings[usize::from(choice) % packings.len()];
        // Many owners with few values, or few with many.
        let values = values.min(200_000 / owners / owners).max(1);
        let members = if owners < 12 && choice % 3 == 0 { 7 } else { 4 };
        let plan = Plan { members, packing, keep_messages, seed, ..Plan::of(owners, values) };
        (plan, owners * drop / 100)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn sums_are_exact_whoever_drops_out((plan, drop) in plan()) {
        let mut world = World::new(&plan);
        let present = (plan.owners - drop).max(plan.n_min);
        let first = plan.owners - present;
        let values: BTreeMap<_, _> =
            (first..plan.owners).map(|id| (id, world.values())).collect();
        let opened = world.sum(&values).unwrap();
        prop_assert_eq!(&opened.sum, &plain_sum(values.values()));
        prop_assert_eq!(opened.survivors.len(), present as usize);
        let transcript = Transcript::decode(&opened.transcript.unwrap()).unwrap();
        let audited = audit(&transcript).unwrap();
        prop_assert_eq!(audited.sum, opened.sum);
        prop_assert_eq!(audited.sum_audited, plan.keep_messages);
    }
}

#[test]
fn values_at_and_beyond_the_limit() {
    use crate::aggregation::{Contributor as _, SumError};
    for row in TABLE.into_iter().filter(|row| row.limit() >= 31) {
        let plan = Plan { packing: row, ..Plan::of(2, u32::from(row.values())) };
        let mut world = World::new(&plan);
        let (limit, count) = (row.limit(), usize::from(row.values()));
        let ends = [vec![limit; count], vec![-limit; count]];
        let values = (0..).zip(ends.clone()).collect();
        assert_eq!(world.sum(&values).unwrap().sum, plain_sum(&ends));
        for got in [limit + 1, -limit - 1] {
            let mut owner = world.owner(0);
            let mut values = vec![0; count];
            values[count - 1] = got;
            let error = SumError::Value { index: count as u64 - 1, got, limit };
            assert_eq!(owner.contribute(&mut world.rng, &values), Err(error));
        }
    }
}
