//! Key generation with silent, crashing and lying members.

use super::board::{Bench, Nobody, shares_of};
use crate::threshold::polynomial::lagrange;

#[test]
fn any_t_shares_give_the_secret_of_the_public_key() {
    for size in [4, 5, 7, 16] {
        let mut bench = Bench::new(size, u64::from(size));
        let (shares, faults) = shares_of(bench.generate(&Nobody), 0);
        assert!(faults.is_empty());
        secret_of(&shares);
        bench.certify(&shares);
    }
}

fn secret_of(shares: &[crate::threshold::KeyShare]) {
    let t = usize::from(shares[0].public().threshold());
    for window in shares.windows(t) {
        let members: Vec<_> = window.iter().map(|share| share.member()).collect();
        let weights = lagrange::<curve25519_dalek::Scalar>(&members).unwrap();
        let secret: curve25519_dalek::Scalar =
            window.iter().zip(weights).map(|(share, w)| share.secret.0 * w).sum();
        assert_eq!(crate::threshold::Point::base(&secret), *shares[0].public().key());
    }
}
