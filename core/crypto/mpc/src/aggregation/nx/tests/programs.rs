//! Malicious parties, as programs. They hold real keys and deviate where a test says.

use std::sync::Arc;

use nexus_field::{Fp, N};
use nexus_types::{Canonical, Digest, MemberId, OwnerId};

use super::world::{World, member_identity};
use crate::aggregation::nx::Packing;
use crate::aggregation::nx::challenge;
use crate::aggregation::nx::masked::{MaskingKey, mask};
use crate::aggregation::nx::message::{
    Certificate, Contribution, Header, Proposal, SumShares, Verdict, Vote, packet_context,
    packet_digest,
};
use crate::aggregation::nx::slots::split;
use crate::sharing::{CheckPolynomial, Dealing, pack3};

/// What a malicious owner does differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgery {
    /// Nothing.
    None,
    /// It shares another key than it masks with.
    OtherKey,
    /// It masks with a long key, and shares it.
    LongKey,
    /// It adds a long error.
    LongError,
    /// One member's row is off the polynomials.
    BadRow(MemberId),
    /// One member's packet is sealed in the context of another owner.
    OtherContext(MemberId),
    /// It chooses its first value and error so that one word is 7, and writes that word so.
    Seven(u64),
}

/// A message of a malicious owner: everything is signed as it should be.
pub(super) fn forge(world: &mut World, id: u32, values: &[i64], forgery: Forgery) -> Arc<[u8]> {
    forge_telling(world, id, values, forgery).0
}

/// [`forge`], and what is told to a member that acts for the owner: by how much the elements of
/// the key that it masks with differ from those of the key that it shares.
pub(super) fn forge_telling(
    world: &mut World,
    id: u32,
    values: &[i64],
    forgery: Forgery,
) -> (Arc<[u8]>, Vec<Fp>) {
    let (manifest, owner) = (world.session.manifest, OwnerId(id));
    let layout =
        crate::sharing::Layout::committee(world.members.len().try_into().unwrap()).unwrap();
    let rng = &mut world.rng;
    let honest = MaskingKey::generate(rng);
    let key = if forgery == Forgery::LongKey { MaskingKey::chosen(vec![127; N]) } else { honest };
    let mut masked = mask(&manifest, world.terms.packing, &key, rng, values);
    if forgery == Forgery::LongError {
        // The same word in every slot is a constant: an error of 10,000 in coefficient 0.
        let long = Fp::new(10_000) * Fp::new(1 << world.terms.packing.log2_t());
        masked.words_mut()[..N].iter_mut().for_each(|w| *w = (Fp::new(*w) + long).value());
    }
    if let Forgery::Seven(written) = forgery {
        write_seven(world.terms.packing, masked.words_mut(), written);
    }
    let other = MaskingKey::generate(rng);
    let shared = if forgery == Forgery::OtherKey { &other } else { &key };
    let dealing = Dealing::new(&layout, rng, &pack3(shared.coefficients()).unwrap());
    let mut rows = dealing.rows().to_vec();
    if let Forgery::BadRow(member) = forgery {
        rows[member.index()].elements[5] += Fp::ONE;
    }
    let digest = masked.digest();
    let mut packets = Vec::new();
    for (member, (keys, row)) in
        MemberId::all(layout.members()).zip(world.terms.members.iter().zip(&rows))
    {
        let stranger = forgery == Forgery::OtherContext(member);
        let sealed_as = if stranger { OwnerId(id + 1) } else { owner };
        let context = packet_context(&manifest, sealed_as, member, &digest);
        packets.push(
            keys.packet
                .as_ref()
                .unwrap()
                .seal(rng, &context, &borsh::to_vec(row).unwrap())
                .unwrap(),
        );
    }
    let header = Header {
        manifest,
        owner,
        masked: digest,
        packets: packets.iter().map(packet_digest).collect(),
        commitment: None,
        check: CheckPolynomial { coefficients: Vec::new() },
    };
    let r = challenge::packets(&header);
    let header = Header { check: dealing.check(r), ..header };
    let signature = header.sign(&world.identities[id as usize]).unwrap();
    let message = Contribution { header, signature, packets, masked }.encode().unwrap().into();
    let [masks, shares] = [&key, shared].map(|key| pack3(key.coefficients()).unwrap());
    (message, masks.iter().zip(&shares).map(|(mask, share)| *mask - *share).collect())
}

/// Adds what an owner may add to its first value and to the error there so that one word is 7.
fn write_seven(packing: Packing, words: &mut [u64], written: u64) {
    let (slot, missing) = (0..)
        .zip(words.iter().map(|word| Fp::new(7) - Fp::new(*word)))
        .find(|(_, missing)| {
            let parts = split(packing, missing.centred());
            parts.error.abs() < 20 && parts.packed.abs() <= packing.limit() / 2
        })
        .unwrap();
    // The same word in every slot is a constant.
    for word in &mut *words {
        *word = (Fp::new(*word) + missing).value();
    }
    words[slot] = written;
}

/// The vote of a member that votes for anything.
pub(super) fn vote_of(member: MemberId, proposal: &Proposal) -> Vote {
    let digest = proposal.digest().unwrap();
    Vote::sign(&member_identity(member), proposal, digest, member)
}

/// A certificate of these members, whether or not they hold anything.
pub(super) fn certified_by(members: &[u16], proposal: &Proposal) -> Certificate {
    let vote = |&member| (MemberId(member), vote_of(MemberId(member), proposal).signature);
    Certificate { proposal: proposal.clone(), votes: members.iter().map(vote).collect() }
}

/// The answer of the first of four members that acts for an owner who masks with another key than
/// it shares: moved along a parabola that is nought at the next two members, and the difference of
/// the keys at the secret. With theirs, it opens the sum; the last member seems to lie.
pub(super) fn framing(answer: &[u8], difference: &[Fp]) -> Vec<u8> {
    let mut answer = SumShares::decode(answer).unwrap();
    // (X - 2)(X - 3) is 2 at the member's point and 12 at that of the secret, -1.
    let sixth = Fp::new(6).inverse().unwrap();
    for (share, difference) in answer.rows[0].iter_mut().zip(difference) {
        *share += *difference * sixth;
    }
    let identity = member_identity(answer.member);
    answer.sign(&identity).encode().unwrap()
}

/// The answer of a member that lies about its shares.
pub(super) fn lie(answer: &[u8]) -> Vec<u8> {
    let mut answer = SumShares::decode(answer).unwrap();
    for row in &mut answer.rows {
        row[0] += Fp::new(12_345);
    }
    let identity = member_identity(answer.member);
    answer.sign(&identity).encode().unwrap()
}

/// The answer of the first of four members that knows how shares are combined: with the next two,
/// its lie moves the sum of the keys by one in one coefficient, which is still short.
pub(super) fn short_lie(answer: &[u8]) -> Vec<u8> {
    let mut answer = SumShares::decode(answer).unwrap();
    // Lagrange's coefficient of point 1 among 1, 2, 3 at -1 is 6.
    let shift = Fp::new(6).inverse().unwrap();
    for row in &mut answer.rows {
        row[0] += shift;
    }
    let identity = member_identity(answer.member);
    answer.sign(&identity).encode().unwrap()
}

/// A member's complaint about a packet that is perfectly good.
pub(super) fn false_complaint(verdict: &[u8]) -> Vec<u8> {
    let mut verdict = Verdict::decode(verdict).unwrap();
    let identity = member_identity(verdict.member);
    verdict.complain(&identity);
    verdict.encode().unwrap()
}

/// The same proposal without one owner.
pub(super) fn without(proposal: &Proposal, owner: u32) -> Proposal {
    let mut smaller = proposal.clone();
    smaller.entries.retain(|entry| entry.owner != OwnerId(owner));
    smaller
}

pub(super) const fn other_manifest() -> Digest {
    Digest([9; 32])
}
