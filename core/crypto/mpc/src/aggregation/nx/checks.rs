//! What a party checks about a message before it believes any of it.

use nexus_types::{Canonical, Digest, MemberId};

use super::message::{Certificate, Header, Proposal, SumShares, Verdict, Vote};
use super::opening::KEY_ELEMENTS;
use super::terms::Setup;
use crate::aggregation::{Peer, Refusal};
use crate::identity::Signature;
use crate::twin::{Check, enforced};

pub(super) fn decoded<T: Canonical>(bytes: &[u8]) -> Result<T, Refusal> {
    T::decode(bytes).map_err(|error| Refusal::Malformed { problem: error.to_string() })
}

/// The encoding of what is within its limit whenever the terms are.
pub(super) fn encoded<T: Canonical>(message: &T) -> Result<Vec<u8>, Refusal> {
    message.encode().map_err(|error| Refusal::Malformed { problem: error.to_string() })
}

pub(super) fn forbidden(rule: &str) -> Refusal {
    Refusal::Forbidden { rule: rule.to_owned() }
}

pub(super) fn length(what: &str, got: usize, expected: usize) -> Result<(), Refusal> {
    if got == expected {
        return Ok(());
    }
    Err(Refusal::Length { what: what.to_owned(), got: got as u64, expected: expected as u64 })
}

/// The digest of a header of the right shape that its owner signed for this sum.
pub(super) fn header(
    setup: &Setup,
    header: &Header,
    signature: &Signature,
) -> Result<Digest, Refusal> {
    if header.manifest != setup.manifest() {
        return Err(Refusal::OtherRound);
    }
    let key = setup.owner_key(header.owner).ok_or(Refusal::Stranger)?;
    length("packets", header.packets.len(), setup.layout.members().into())?;
    let coefficients = header.check.coefficients.len();
    length("coefficients of the check", coefficients, setup.layout.recovery().into())?;
    let digest = header.digest().map_err(|_| forbidden("a header is small"))?;
    Header::verify(&digest, key, signature).map_err(|_| Refusal::Signature)?;
    Ok(digest)
}

/// A verdict in the name of its sender; a complaint is signed.
pub(super) fn verdict(setup: &Setup, from: MemberId, verdict: &Verdict) -> Result<(), Refusal> {
    if verdict.manifest != setup.manifest() {
        return Err(Refusal::OtherRound);
    }
    in_own_name(from, verdict.member)?;
    setup.packet_key(from).ok_or(Refusal::Stranger)?;
    let key = setup.member_key(from).ok_or(Refusal::Stranger)?;
    verdict.verify(key).map_err(|_| Refusal::Signature)
}

/// A member's vote for the proposal with this digest.
pub(super) fn vote(
    setup: &Setup,
    from: MemberId,
    digest: Digest,
    vote: &Vote,
) -> Result<(), Refusal> {
    if (vote.manifest, vote.slot) != (setup.manifest(), setup.terms.slot) {
        return Err(Refusal::OtherRound);
    }
    in_own_name(from, vote.member)?;
    if vote.proposal != digest {
        return Err(Refusal::Contradiction);
    }
    let key = setup.member_key(from).ok_or(Refusal::Stranger)?;
    vote.verify(key).map_err(|_| Refusal::Signature)
}

/// A member's answer to the certificate of the proposal with this digest, of the right shape. It
/// may still be a lie.
pub(super) fn answer(
    setup: &Setup,
    from: MemberId,
    digest: Digest,
    answer: &SumShares,
) -> Result<(), Refusal> {
    if (answer.manifest, answer.slot) != (setup.manifest(), setup.terms.slot) {
        return Err(Refusal::OtherRound);
    }
    in_own_name(from, answer.member)?;
    if answer.proposal != digest {
        return Err(Refusal::Contradiction);
    }
    let elements = setup.layout.elements(KEY_ELEMENTS);
    answer.rows.iter().try_for_each(|row| length("elements", row.len(), elements))?;
    let key = setup.member_key(from).ok_or(Refusal::Stranger)?;
    answer.verify(key).map_err(|_| Refusal::Signature)
}

fn in_own_name(from: MemberId, name: MemberId) -> Result<(), Refusal> {
    if from == name { Ok(()) } else { Err(Refusal::OtherSender { name: Peer::Member(name) }) }
}

/// The digest of a proposal that is well-formed: of this sum, large enough, in strictly rising
/// order, of owners that were asked.
pub(super) fn proposal(setup: &Setup, proposal: &Proposal) -> Result<Digest, Refusal> {
    if proposal.manifest != setup.manifest() || proposal.slot != setup.terms.slot {
        return Err(Refusal::OtherRound);
    }
    let entries = &proposal.entries;
    if enforced(Check::Floor) && entries.len() < setup.session.n_min as usize {
        return Err(forbidden("a set of survivors has at least n_min owners"));
    }
    if enforced(Check::Order) && !entries.is_sorted_by(|a, b| a.owner < b.owner) {
        return Err(forbidden("a set of survivors is in strictly rising order"));
    }
    if entries.iter().any(|entry| setup.owner_key(entry.owner).is_none()) {
        return Err(forbidden("only owners that were asked can survive"));
    }
    proposal.digest().map_err(|error| Refusal::Malformed { problem: error.to_string() })
}

/// The digest of the proposal of a certificate with the votes of a quorum, each member's once.
pub(super) fn certificate(setup: &Setup, certificate: &Certificate) -> Result<Digest, Refusal> {
    let Certificate { proposal, votes } = certificate;
    let digest = self::proposal(setup, proposal)?;
    let (got, expected) = (votes.len() as u64, u64::from(setup.layout.quorum()));
    if got < expected {
        return Err(Refusal::Length { what: "votes".to_owned(), got, expected });
    }
    if !votes.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(forbidden("a member votes once"));
    }
    let (manifest, slot) = (proposal.manifest, proposal.slot);
    for &(member, signature) in votes {
        let key = setup.member_key(member).ok_or(Refusal::Stranger)?;
        let vote = Vote { manifest, slot, member, proposal: digest, signature };
        vote.verify(key).map_err(|_| Refusal::Signature)?;
    }
    Ok(digest)
}
