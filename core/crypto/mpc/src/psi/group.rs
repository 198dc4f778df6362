//! Items as elements of ristretto255, raised to a secret key, many at a time.

use std::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_types::{Canonical, CryptoRng, Digest};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::points::{Element, Engine, Points};
use super::{BATCH, PsiError, Terms};

/// What entries are compared by. Two of 2^25 items share one with probability 2^-79.
pub(super) type Tag = [u8; 16];

/// A party's secret. The same key under the same terms makes the same commitment; under other
/// terms nothing links the two runs but the sender's public key, so take a new one where that
/// matters. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PsiKey(Scalar);

impl fmt::Debug for PsiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PsiKey(..)")
    }
}

impl PsiKey {
    /// A new key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(Scalar::random(rng))
    }

    /// The key made of a stored secret of 32 bytes, which is wiped.
    pub fn from_secret(mut secret: [u8; 32]) -> Self {
        let mut wide = Zeroizing::new([0; 64]);
        let mut hasher = blake3::Hasher::new_derive_key("nexus/mpc/psi/key v1");
        hasher.update(&secret);
        hasher.finalize_xof().fill(&mut *wide);
        secret.zeroize();
        Self(Scalar::from_bytes_mod_order_wide(&wide))
    }

    pub(super) fn scalar(&self) -> &Scalar {
        &self.0
    }

    pub(super) fn public(&self) -> Element {
        RistrettoPoint::mul_base(&self.0).compress().0
    }

    /// What takes this key off again.
    pub(super) fn inverse(&self) -> Self {
        Self(self.0.invert())
    }

    /// The encodings of key·P.
    pub(super) fn raise(&self, points: &Points) -> Vec<Element> {
        points.raise(&self.0)
    }
}

/// The terms, and the hash functions they select.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) terms: Terms,
    pub(super) digest: Digest,
    item_key: [u8; 32],
    tag_key: [u8; 32],
}

impl Session {
    pub(super) fn new(terms: Terms) -> Result<Self, PsiError> {
        terms.check()?;
        let digest = terms.digest()?;
        let key = |use_: &str| Digest::of(use_, &digest.0).0;
        let (item_key, tag_key) = (key("nexus/mpc/psi/item v1"), key("nexus/mpc/psi/tag v1"));
        Ok(Self { terms, digest, item_key, tag_key })
    }

    /// What H maps to the group: 64 bytes of keyed BLAKE3.
    pub(super) fn uniform(&self, item: &[u8]) -> [u8; 64] {
        let mut uniform = [0; 64];
        let mut hasher = blake3::Hasher::new_keyed(&self.item_key);
        hasher.update(item);
        hasher.finalize_xof().fill(&mut uniform);
        uniform
    }

    /// T.
    pub(super) fn tag(&self, element: &Element) -> Tag {
        let mut tag = Tag::default();
        tag.copy_from_slice(&blake3::keyed_hash(&self.tag_key, element).as_bytes()[..16]);
        tag
    }

    /// key·H(item) for every item, made into what is kept by `keep`, ascending, each with its
    /// place in the list.
    pub(super) fn raise_items<T: Ord>(
        &self,
        key: &PsiKey,
        items: impl IntoIterator<Item = impl AsRef<[u8]>>,
        keep: impl Fn(Element) -> T,
    ) -> Result<Vec<(T, u32)>, PsiError> {
        let limit = u64::from(self.terms.max_items);
        let mut items = items.into_iter();
        let (mut raised, mut places) = (Vec::new(), 0..);
        loop {
            let batch = items.by_ref().take(BATCH).map(|item| self.uniform(item.as_ref()));
            let batch: Vec<[u8; 64]> = batch.collect();
            let points = Engine::detect().map(&batch);
            raised.extend(key.raise(&points).into_iter().map(&keep).zip(&mut places));
            if raised.is_empty() || raised.len() as u64 > limit {
                return Err(PsiError::Items { got: raised.len() as u64, limit });
            }
            if batch.len() < BATCH {
                break;
            }
        }
        raised.sort_unstable();
        match raised.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(PsiError::Duplicate { first: pair[0].1, second: pair[1].1 }),
            None => Ok(raised),
        }
    }
}

/// Who committed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Receiver,
    Sender,
}

/// A strictly ascending sequence on its way: its length, its last key, and the hash of all of it,
/// which is the commitment to the set.
#[derive(Clone)]
pub(super) struct Ascending<const N: usize> {
    hasher: blake3::Hasher,
    last: Option<[u8; N]>,
    pub(super) count: usize,
}

impl<const N: usize> Ascending<N> {
    pub(super) fn new(session: &Session, role: Role) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("nexus/mpc/psi/commitment v1");
        hasher.update(&session.digest.0).update(&[role as u8]);
        Self { hasher, last: None, count: 0 }
    }

    /// The next items: what they are ordered by, and what else is committed to.
    pub(super) fn pass<'a>(
        &mut self,
        items: impl Iterator<Item = (&'a [u8; N], &'a [Element])>,
    ) -> Result<(), PsiError> {
        for (index, (key, rest)) in items.enumerate() {
            if self.last.as_ref().is_some_and(|last| last >= key) {
                return Err(PsiError::Order { index });
            }
            self.last = Some(*key);
            self.count += 1;
            self.hasher.update(key).update(rest.as_flattened());
        }
        Ok(())
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::super::Variant;
    use super::*;

    fn session(manifest: u8) -> Session {
        let manifest = Digest([manifest; 32]);
        Session::new(Terms { manifest, variant: Variant::Intersection, max_items: 9 }).unwrap()
    }

    fn hash(session: &Session, item: &[u8]) -> Element {
        RistrettoPoint::from_uniform_bytes(&session.uniform(item)).compress().0
    }

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    #[test]
    fn hashes_and_tags_are_pinned_and_bound_to_the_terms() {
        let (one, two) = (session(1), session(2));
        let element = hash(&one, b"ada");
        assert_eq!(
            element,
            bytes("c06b584a542da27b1a3b314a3377e00c44f0b760641cfd2dcb6326cc85466b60")
        );
        assert_eq!(one.tag(&element), bytes("6a5cc5371f25c655943e08aceb540e97"));
        assert_ne!(hash(&two, b"ada"), element);
        assert_ne!(two.tag(&element), one.tag(&element));
    }

    #[test]
    fn raising_is_multiplying_and_can_be_undone() {
        let key = PsiKey::generate(&mut ChaCha12Rng::seed_from_u64(1));
        let uniform: Vec<[u8; 64]> = (0..9u8).map(|item| session(1).uniform(&[item])).collect();
        let raised = key.raise(&Engine::detect().map(&uniform));
        for (element, uniform) in raised.iter().zip(&uniform) {
            let expected = RistrettoPoint::from_uniform_bytes(uniform) * key.scalar();
            assert_eq!(*element, expected.compress().0);
        }
        let back = key.inverse().raise(&Engine::detect().decode(&raised).unwrap());
        let plain: Vec<Element> = (0..9u8).map(|item| hash(&session(1), &[item])).collect();
        assert_eq!(back, plain);
    }
}
