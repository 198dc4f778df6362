//! What the parts do together.

use std::collections::BTreeMap;

use nexus_field::{Cubic, Fp};
use nexus_types::MemberId;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

const SIZES: [u16; 5] = [4, 7, 16, 50, 100];

fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

fn random_secrets(rng: &mut ChaCha12Rng, count: usize) -> Vec<Fp> {
    (0..count).map(|_| Fp::random(rng)).collect()
}

fn answers(dealing: &Dealing) -> BTreeMap<MemberId, Vec<Fp>> {
    (0..).map(MemberId).zip(dealing.rows().iter().map(|row| row.elements.clone())).collect()
}

#[test]
fn what_is_dealt_is_checked_and_recovered() {
    for members in SIZES {
        let mut rng = rng(u64::from(members));
        let layout = Layout::committee(members).unwrap();
        let secrets = random_secrets(&mut rng, 20);
        let dealing = Dealing::new(&layout, &mut rng, &secrets);
        let answers = answers(&dealing);
        let rows = dealing.rows().to_vec();
        let r = Cubic::random(&mut rng);
        let check = dealing.check(r);
        for (member, row) in MemberId::all(members).zip(&rows) {
            assert!(verify(&layout, member, row, r, &check));
        }
        let found = recover(&layout, &answers, 20, |candidate| candidate == secrets).unwrap();
        assert_eq!(found, Recovered { secrets, liars: vec![], disputed: vec![] });
    }
}
