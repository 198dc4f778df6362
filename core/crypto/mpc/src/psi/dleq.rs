//! Proof that many elements were raised to one key: Chaum & Pedersen 1992 on a random combination
//! of all pairs (RFC 9497, section 2.2, with weights of 128 bits: a wrong pair passes with
//! probability 2^-128).

use borsh::{BorshDeserialize, BorshSerialize};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use nexus_types::{CryptoRng, Digest, borsh};
use zeroize::Zeroizing;

use super::group::PsiKey;
use super::points::{Element, Points, decode};

/// Challenge and response, 32 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    challenge: [u8; 32],
    response: [u8; 32],
}

/// What is claimed: `to[i]` = key·`from[i]`, and `public` = key·G.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    /// The session.
    pub(super) session: &'a Digest,
    pub(super) public: &'a Element,
    pub(super) from: &'a [Element],
    pub(super) to: &'a [Element],
}

impl Claim<'_> {
    /// Proves the claim; `points` are those of `from`.
    pub(super) fn prove(&self, key: &PsiKey, points: &Points, rng: &mut dyn CryptoRng) -> Proof {
        let from = points.combine(&self.weights());
        let to = from * key.scalar();
        let nonce = self.nonce(key, rng);
        let (first, second) = (RistrettoPoint::mul_base(&nonce), from * *nonce);
        let challenge = self.challenge(&[from, to, first, second]);
        let response = *nonce - challenge * key.scalar();
        Proof { challenge: challenge.to_bytes(), response: response.to_bytes() }
    }

    /// Whether the proof holds; the points are those of `from` and `to`.
    pub(super) fn holds(&self, from: &Points, to: &Points, proof: &Proof) -> bool {
        let Some(public) = decode(self.public) else { return false };
        let scalar = |bytes| Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes));
        let (Some(c), Some(s)) = (scalar(proof.challenge), scalar(proof.response)) else {
            return false;
        };
        let weights = self.weights();
        let (from, to) = (from.combine(&weights), to.combine(&weights));
        let first = RistrettoPoint::vartime_double_scalar_mul_basepoint(&c, &public, &s);
        let second = RistrettoPoint::vartime_multiscalar_mul([s, c], [from, to]);
        self.challenge(&[from, to, first, second]) == c
    }

    fn transcript(&self, domain: &str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        hasher.update(&self.session.0).update(self.public);
        hasher.update(&(self.from.len() as u64).to_le_bytes());
        hasher.update(self.from.as_flattened()).update(self.to.as_flattened());
        hasher
    }

    fn weights(&self) -> Vec<u128> {
        let mut stream = self.transcript("nexus/mpc/psi/weights v1").finalize_xof();
        let weight = |_| {
            let mut bytes = [0; 16];
            stream.fill(&mut bytes);
            u128::from_le_bytes(bytes)
        };
        (0..self.from.len()).map(weight).collect()
    }

    /// Hedged: neither a repeated random number nor a repeated claim repeats a nonce alone.
    fn nonce(&self, key: &PsiKey, rng: &mut dyn CryptoRng) -> Zeroizing<Scalar> {
        let mut fresh = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *fresh);
        let mut hasher = self.transcript("nexus/mpc/psi/nonce v1");
        hasher.update(key.scalar().as_bytes()).update(&*fresh);
        Zeroizing::new(wide(&hasher))
    }

    fn challenge(&self, points: &[RistrettoPoint; 4]) -> Scalar {
        let mut hasher = self.transcript("nexus/mpc/psi/challenge v1");
        for point in points {
            hasher.update(&point.compress().0);
        }
        wide(&hasher)
    }
}

fn wide(hasher: &blake3::Hasher) -> Scalar {
    let mut bytes = Zeroizing::new([0; 64]);
    hasher.finalize_xof().fill(&mut *bytes);
    Scalar::from_bytes_mod_order_wide(&bytes)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::super::points::decode_all;
    use super::*;

    #[test]
    fn a_proof_holds_for_its_claim_only() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let (key, other) = (PsiKey::generate(&mut rng), PsiKey::generate(&mut rng));
        let from: Vec<Element> =
            (0..5).map(|_| RistrettoPoint::random(&mut rng).compress().0).collect();
        let points = decode_all(&from).unwrap();
        let (to, session, public) = (key.raise(&points), Digest([1; 32]), key.public());
        let claim = Claim { session: &session, public: &public, from: &from, to: &to };
        let proof = claim.prove(&key, &points, &mut rng);
        let holds = |claim: Claim<'_>, proof: &Proof| {
            let points = |elements| decode_all(elements).unwrap();
            claim.holds(&points(claim.from), &points(claim.to), proof)
        };
        assert!(holds(claim, &proof));
        assert_ne!(claim.prove(&key, &points, &mut rng), proof, "nonces are fresh");

        let mut swapped = to.clone();
        swapped.swap(0, 1);
        assert!(!holds(Claim { to: &swapped, ..claim }, &proof));
        let mut wrong = to.clone();
        wrong[4] = other.raise(&points)[4];
        assert!(!holds(Claim { to: &wrong, ..claim }, &proof));
        let forged = Claim { to: &wrong, ..claim };
        assert!(!holds(forged, &forged.prove(&key, &points, &mut rng)), "another key for one pair");
        assert!(!holds(Claim { public: &other.public(), ..claim }, &proof));
        assert!(!holds(Claim { session: &Digest([2; 32]), ..claim }, &proof));
        for bit in 0..512 {
            let mut damaged = proof;
            let half = if bit < 256 { &mut damaged.challenge } else { &mut damaged.response };
            half[bit % 256 / 8] ^= 1 << (bit % 8);
            assert!(!holds(claim, &damaged), "bit {bit}");
        }
    }
}
