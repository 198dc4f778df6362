//! What everybody knows of a shared key, and how shares become a sum.

use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, Digest, MemberId};
use zeroize::Zeroizing;

use super::share::weights;
use super::{Partial, ThresholdError};
use crate::additive::{self, Dealers, PublicKey, Ring, Sum};
use crate::seal::Seed;

/// The most members of a key.
pub const MAX_MEMBERS: u16 = 64;
/// The least flooding: what an opening may tell of the key is 2 to minus this.
pub const MIN_FLOODING: u32 = 50;
/// The most flooding.
pub const MAX_FLOODING: u32 = 100;

/// What members and clients agree on before there is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    session: Digest,
    members: u16,
    threshold: u16,
    flooding: u32,
    least: u32,
    sums: additive::Terms,
}

impl Canonical for Terms {
    const DOMAIN: &'static str = "nexus/he/threshold terms";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 128;
}

impl Terms {
    /// A key of the session `session`, a digest of what nobody chose alone, that any `threshold` of
    /// `members` open sums with; sums of at least `least` vectors; with [`MIN_FLOODING`].
    ///
    /// # Errors
    /// [`ThresholdError::Members`], [`ThresholdError::Threshold`], [`ThresholdError::Least`].
    pub fn new(
        session: Digest,
        members: u16,
        threshold: u16,
        least: u32,
        sums: additive::Terms,
    ) -> Result<Self, ThresholdError> {
        Self { session, members, threshold, flooding: MIN_FLOODING, least, sums }.checked()
    }

    /// The same with more flooding.
    ///
    /// # Errors
    /// [`ThresholdError::Flooding`].
    pub fn flooding(self, bits: u32) -> Result<Self, ThresholdError> {
        Self { flooding: bits, ..self }.checked()
    }

    fn checked(self) -> Result<Self, ThresholdError> {
        let Self { members, threshold, flooding, least, sums, .. } = self;
        if !(2..=MAX_MEMBERS).contains(&members) {
            return Err(ThresholdError::Members { got: members, limit: MAX_MEMBERS });
        }
        if !(2..=members).contains(&threshold) {
            return Err(ThresholdError::Threshold { got: threshold, members });
        }
        if !(MIN_FLOODING..=MAX_FLOODING).contains(&flooding) {
            let (least, most) = (MIN_FLOODING, MAX_FLOODING);
            return Err(ThresholdError::Flooding { got: flooding, least, most });
        }
        if !(1..=sums.clients()).contains(&least) {
            return Err(ThresholdError::Least { got: least, clients: sums.clients() });
        }
        Ok(self)
    }

    /// n.
    pub const fn members(&self) -> u16 {
        self.members
    }

    /// t.
    pub const fn threshold(&self) -> u16 {
        self.threshold
    }

    /// The fewest vectors in a sum that is opened.
    pub const fn least(&self) -> u32 {
        self.least
    }
}

/// The tables of a shared key: what clients encrypt with, and what opens.
#[derive(Debug)]
pub struct Group {
    terms: Terms,
    ring: Ring,
    digest: Digest,
    seed: Seed,
    a: Vec<u64>,
}

impl Group {
    /// The tables of these terms.
    ///
    /// # Errors
    /// [`ThresholdError::Additive`] if no parameters hold such sums and their noise.
    pub fn new(terms: Terms) -> Result<Self, ThresholdError> {
        let terms = terms.checked()?;
        let dealers = Dealers { count: terms.members, flooding: Some(terms.flooding) };
        let ring = Ring::with(terms.sums, dealers)?;
        let bytes = [&terms.encode()?[..], &ring.digest().0].concat();
        let digest = Digest::of("nexus/he/threshold/key v1", &bytes);
        let halves = ["nexus/he/threshold/a 1", "nexus/he/threshold/a 2"];
        let [first, second] = halves.map(|domain| Digest::of(domain, &digest.0).0);
        let mut seed = [0; 64];
        seed[..32].copy_from_slice(&first);
        seed[32..].copy_from_slice(&second);
        let seed = Seed::new(seed);
        let a = ring.uniform(seed);
        Ok(Self { terms, ring, digest, seed, a })
    }

    /// What was agreed on.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The scheme: it encrypts and adds, and reads and writes sums and keys.
    pub const fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The name of terms and parameters.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn a(&self) -> &[u64] {
        &self.a
    }

    /// Bits of each member's noise.
    pub(super) fn flood(&self) -> u32 {
        self.ring.layout().flood().unwrap_or_default()
    }

    pub(super) fn knows(&self, member: MemberId) -> Result<(), ThresholdError> {
        let known = member.0 < self.terms.members;
        if known { Ok(()) } else { Err(ThresholdError::Stranger { member }) }
    }

    /// The key of all members' parts.
    pub(super) fn key(&self, b: Vec<u64>) -> PublicKey {
        self.ring.public(self.seed, self.a.clone(), b)
    }

    /// The sum in the clear, from the shares of any t members.
    ///
    /// # Errors
    /// [`ThresholdError::TooFew`]; [`ThresholdError::Stranger`], [`ThresholdError::Again`],
    /// [`ThresholdError::OtherSum`], [`ThresholdError::OtherTerms`]; [`ThresholdError::Additive`] for bytes that are no
    /// polynomials, and if what comes out is no sum: then some share is wrong.
    pub fn combine(
        &self,
        sum: &Sum,
        partials: &[Partial],
    ) -> Result<Zeroizing<Vec<i64>>, ThresholdError> {
        self.ring.own(sum)?;
        let (got, need) = (partials.len(), usize::from(self.terms.threshold));
        let used = partials.get(..need).ok_or(ThresholdError::TooFew { got, need })?;
        let (name, opening) = (sum.digest(), used.first().map(Partial::opening));
        let mut members: Vec<MemberId> = Vec::with_capacity(need);
        let mut shares = Vec::with_capacity(need);
        for partial in used {
            let member = partial.member;
            self.knows(member)?;
            if partial.key != self.digest {
                return Err(ThresholdError::OtherTerms);
            }
            if partial.ciphertext != name || Some(partial.opening) != opening {
                return Err(ThresholdError::OtherSum { member });
            }
            if members.contains(&member) {
                return Err(ThresholdError::Again { member, what: "share" });
            }
            members.push(member);
            let blocks = self.ring.layout().blocks();
            shares.push(self.ring.unpacked("a share of a sum", &partial.packed, blocks)?);
        }
        let phases = self.phases(sum, &members, &shares);
        let members = f64::from(self.terms.members);
        let noise = members * 2_f64.powi(self.flood().cast_signed()) + self.ring.layout().noise();
        Ok(self.ring.read_phases(phases, sum.addends, noise)?)
    }

    /// c₀ + Σ λₖ dₖ of every block.
    fn phases(&self, sum: &Sum, members: &[MemberId], shares: &[Vec<u64>]) -> Zeroizing<Vec<u64>> {
        let layout = self.ring.layout();
        let (degree, count) = (layout.degree(), layout.words());
        let all: Vec<Vec<u64>> = layout.moduli().iter().map(|it| weights(*it, members)).collect();
        let mut phases = Zeroizing::new(vec![0; count * layout.blocks()]);
        let blocks = phases.chunks_mut(count).zip(sum.words.chunks(2 * count)).enumerate();
        for (at, (phase, block)) in blocks {
            let limbs = phase.chunks_mut(degree).zip(layout.moduli()).zip(&all).enumerate();
            for (prime, ((limb, modulus), weights)) in limbs {
                let from = prime * degree;
                let mut terms: Vec<(&[u64], u64)> = vec![(&block[from..from + degree], 1)];
                for (share, weight) in shares.iter().zip(weights) {
                    let from = at * count + from;
                    terms.push((&share[from..from + degree], *weight));
                }
                modulus.weighted_sum(limb, &terms, modulus.bits());
            }
        }
        phases
    }
}
