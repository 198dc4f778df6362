//! The masked sum is the sum.

use std::collections::BTreeMap;

use nexus_types::OwnerId;

use super::world::{Plan, World, plain_sum};

#[test]
fn a_sum_is_exact_and_names_who_is_in_it() {
    for members in [4, 7, 16, 50, 100] {
        let mut world = World::new(&Plan { members, ..Plan::of(5, 100) });
        let values: BTreeMap<_, _> = [0, 2, 3].map(|id| (id, world.values())).into();
        let opened = world.sum(&values).unwrap();
        assert_eq!(opened.sum, plain_sum(values.values()));
        assert_eq!(opened.survivors, [0, 2, 3].map(OwnerId));
        assert!(opened.dropped.is_empty() && opened.liars.is_empty() && opened.silent.is_empty());
    }
}
