//! What a message says, for people.

use nexus_types::{Canonical, CodecError, Digest, OwnerId, peek_tag, tag_of};

use super::message::{
    Advert, Certificate, Delivery, Directory, Masked, Proposal, Reveal, Share, Shares, Vote,
};
use super::terms::Terms;
use crate::aggregation::nx::Description;

/// Describes an encoded message of this engine; nothing if `bytes` carry another tag.
pub fn describe(bytes: &[u8]) -> Option<Result<Description, CodecError>> {
    let tag = peek_tag(bytes)?;
    let known = KINDS.iter().find(|(domain, _)| tag_of(domain) == tag)?;
    Some(known.1(bytes))
}

type Reader = fn(&[u8]) -> Result<Description, CodecError>;

const KINDS: [(&str, Reader); 10] = [
    (Terms::DOMAIN, read::<Terms>),
    (Advert::DOMAIN, read::<Advert>),
    (Directory::DOMAIN, read::<Directory>),
    (Shares::DOMAIN, read::<Shares>),
    (Delivery::DOMAIN, read::<Delivery>),
    (Masked::DOMAIN, read::<Masked>),
    (Proposal::DOMAIN, read::<Proposal>),
    (Vote::DOMAIN, read::<Vote>),
    (Certificate::DOMAIN, read::<Certificate>),
    (Reveal::DOMAIN, read::<Reveal>),
];

fn read<T: Canonical + Show>(bytes: &[u8]) -> Result<Description, CodecError> {
    let message = T::decode(bytes)?;
    Ok(Description { title: T::TITLE, fields: message.fields() })
}

type Fields = Vec<(&'static str, String)>;

trait Show {
    const TITLE: &'static str;
    fn fields(&self) -> Fields;
}

fn round(session: &Digest) -> (&'static str, String) {
    ("round manifest", session.to_string())
}

fn list(owners: impl IntoIterator<Item = OwnerId>) -> String {
    owners.into_iter().map(|owner| owner.to_string()).collect::<Vec<_>>().join(", ")
}

macro_rules! show {
    ($($type:ty, $title:literal, $message:ident => [$($field:expr),* $(,)?];)*) => {$(
        impl Show for $type {
            const TITLE: &'static str = $title;

            fn fields(&self) -> Fields {
                let $message = self;
                vec![$($field),*]
            }
        }
    )*};
}

show! {
    Terms, "terms of a sum without a committee (SecAgg+)", terms => [
        ("corrupt, permille", terms.corrupt_permille.to_string()),
        ("drop-outs, permille", terms.dropout_permille.to_string()),
    ];
    Advert, "an owner's keys (SecAgg+, first message of owners)", advert => [
        round(&advert.session),
        ("owner", advert.keys.owner.to_string()),
        ("key for packets", Digest(advert.keys.seal.0).to_string()),
        ("key for masks", Digest(advert.keys.mask.0).to_string()),
    ];
    Directory, "all owners' keys (SecAgg+, first message of the coordinator)", directory => [
        round(&directory.session),
        ("owners", list(directory.keys.iter().map(|keys| keys.owner))),
    ];
    Shares, "sealed shares (SecAgg+, second message of owners)", shares => [
        round(&shares.session),
        ("owner", shares.owner.to_string()),
        ("commitment", shares.commitment.to_string()),
        ("neighbours", list(shares.packets.iter().map(|packet| packet.peer))),
    ];
    Delivery, "shares delivered (SecAgg+, second message of the coordinator)", delivery => [
        round(&delivery.session),
        ("shared by", list(delivery.sharers.iter().copied())),
        ("packets from", list(delivery.packets.iter().map(|packet| packet.peer))),
    ];
    Masked, "masked values (SecAgg+, third message of owners)", masked => [
        round(&masked.session),
        ("owner", masked.owner.to_string()),
        ("values", (masked.values.len() / 4).to_string()),
        ("packets that did not open", list(masked.unopened.iter().copied())),
    ];
    Proposal, "survivors proposed (SecAgg+, third message of the coordinator)", proposal => [
        round(&proposal.session),
        ("survivors", list(proposal.survivors.iter().copied())),
    ];
    Vote, "a vote for the survivors (SecAgg+, fourth message of owners)", vote => [
        round(&vote.session),
        ("owner", vote.owner.to_string()),
    ];
    Certificate, "survivors certified (SecAgg+, last message of the coordinator)", certificate => [
        round(&certificate.session),
        ("votes", list(certificate.votes.iter().map(|vote| vote.0))),
        ("survivors without a vote", list(certificate.views.iter().map(|view| view.0))),
    ];
    Reveal, "shares revealed (SecAgg+, last message of owners)", reveal => [
        round(&reveal.session),
        ("owner", reveal.owner.to_string()),
        ("for masks of", list(owners(reveal, |share| matches!(share, Share::Own(_))))),
        ("for keys of", list(owners(reveal, |share| matches!(share, Share::Key(_))))),
    ];
}

fn owners(reveal: &Reveal, kind: impl Fn(&Share) -> bool) -> Vec<OwnerId> {
    reveal.shares.iter().filter(|(_, share)| kind(share)).map(|(owner, _)| *owner).collect()
}
