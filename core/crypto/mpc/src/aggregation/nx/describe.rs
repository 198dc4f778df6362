//! What a message says, for people.

use nexus_types::{Canonical, CodecError, MemberId, peek_tag, tag_of};

use super::message::{
    Certificate, Contribution, Delivery, Header, Opening, PacketKeyStatement, Proposal, Reminder,
    SumShares, Transcript, Verdict, Vote,
};
use super::terms::Terms;
use crate::identity::Signature;

/// A message for display: what it is, and its fields by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is.
    pub title: &'static str,
    /// Names and values.
    pub fields: Vec<(&'static str, String)>,
}

/// Describes an encoded message of this engine; nothing if `bytes` carry another tag.
pub fn describe(bytes: &[u8]) -> Option<Result<Description, CodecError>> {
    let tag = peek_tag(bytes)?;
    let known = KINDS.iter().find(|(domain, _)| tag_of(domain) == tag)?;
    Some(known.1(bytes))
}

pub(super) type Reader = fn(&[u8]) -> Result<Description, CodecError>;

pub(super) const KINDS: [(&str, Reader); 13] = [
    (Terms::DOMAIN, read::<Terms>),
    (Header::DOMAIN, read::<Header>),
    (Contribution::DOMAIN, read::<Contribution>),
    (Delivery::DOMAIN, read::<Delivery>),
    (Verdict::DOMAIN, read::<Verdict>),
    (Proposal::DOMAIN, read::<Proposal>),
    (Vote::DOMAIN, read::<Vote>),
    (Certificate::DOMAIN, read::<Certificate>),
    (SumShares::DOMAIN, read::<SumShares>),
    (Opening::DOMAIN, read::<Opening>),
    (Reminder::DOMAIN, read::<Reminder>),
    (PacketKeyStatement::DOMAIN, read::<PacketKeyStatement>),
    (Transcript::DOMAIN, read::<Transcript>),
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

fn voters(votes: &[(MemberId, Signature)]) -> String {
    votes.iter().map(|(member, _)| member.to_string()).collect::<Vec<_>>().join(", ")
}

fn bytes(count: usize) -> String {
    format!("{count} bytes")
}

impl Show for Terms {
    const TITLE: &'static str = "terms of a masked sum";
    fn fields(&self) -> Fields {
        let packing = self.packing;
        vec![
            ("slot", self.slot.to_string()),
            ("members", self.members.len().to_string()),
            ("owners", format!("at most {}", packing.owners())),
            ("values per coefficient", packing.values().to_string()),
            ("largest value", packing.limit().to_string()),
            ("messages", if self.keep_messages { "kept" } else { "not kept" }.to_owned()),
            ("leaves", self.leaves.to_string()),
        ]
    }
}

impl Show for Header {
    const TITLE: &'static str = "header of a contribution";
    fn fields(&self) -> Fields {
        vec![
            ("manifest", self.manifest.to_string()),
            ("owner", self.owner.to_string()),
            ("masked vector", self.masked.to_string()),
            ("packets", self.packets.len().to_string()),
            ("commitment", self.commitment.map_or("none".to_owned(), |c| c.to_string())),
        ]
    }
}

impl Show for Contribution {
    const TITLE: &'static str = "contribution of an owner";
    fn fields(&self) -> Fields {
        let mut fields = self.header.fields();
        fields.push(("words", self.masked.words().len().to_string()));
        let sealed = self.packets.iter().map(|packet| packet.0.len()).sum();
        fields.push(("sealed packets", bytes(sealed)));
        fields
    }
}

impl Show for Delivery {
    const TITLE: &'static str = "packet for a member";
    fn fields(&self) -> Fields {
        let mut fields = self.header.fields();
        fields.push(("sealed packet", bytes(self.packet.0.len())));
        fields
    }
}

impl Show for Verdict {
    const TITLE: &'static str = "verdict on a packet";
    fn fields(&self) -> Fields {
        let verdict = if self.complaint.is_some() { "complaint" } else { "good" };
        vec![
            ("manifest", self.manifest.to_string()),
            ("member", self.member.to_string()),
            ("owner", self.owner.to_string()),
            ("header", self.header.to_string()),
            ("verdict", verdict.to_owned()),
        ]
    }
}

impl Show for Proposal {
    const TITLE: &'static str = "proposed survivors";
    fn fields(&self) -> Fields {
        let owners: Vec<_> = self.entries.iter().map(|entry| entry.owner.to_string()).collect();
        vec![
            ("manifest", self.manifest.to_string()),
            ("slot", self.slot.to_string()),
            ("survivors", owners.len().to_string()),
            ("owners", owners.join(", ")),
        ]
    }
}

impl Show for Vote {
    const TITLE: &'static str = "vote for survivors";
    fn fields(&self) -> Fields {
        vec![
            ("manifest", self.manifest.to_string()),
            ("slot", self.slot.to_string()),
            ("member", self.member.to_string()),
            ("proposal", self.proposal.to_string()),
        ]
    }
}

impl Show for Certificate {
    const TITLE: &'static str = "certified survivors";
    fn fields(&self) -> Fields {
        let mut fields = self.proposal.fields();
        fields.push(("votes", voters(&self.votes)));
        fields
    }
}

impl Show for SumShares {
    const TITLE: &'static str = "shares of a sum of keys";
    fn fields(&self) -> Fields {
        vec![
            ("manifest", self.manifest.to_string()),
            ("slot", self.slot.to_string()),
            ("member", self.member.to_string()),
            ("proposal", self.proposal.to_string()),
            ("leaves", self.rows.len().to_string()),
            ("elements", self.rows.iter().map(Vec::len).sum::<usize>().to_string()),
        ]
    }
}

impl Show for Opening {
    const TITLE: &'static str = "opening of a sum";
    fn fields(&self) -> Fields {
        let mut fields = self.certificate.fields();
        fields.push(("summed vectors", self.sums.to_string()));
        let fingerprint = self.fingerprint.coefficients().map(|word| word.value().to_string());
        fields.push(("fingerprint", fingerprint.join(" ")));
        fields.push(("all fingerprints", self.root.to_string()));
        fields
    }
}

impl Show for Reminder {
    const TITLE: &'static str = "reminder of a vote";
    fn fields(&self) -> Fields {
        self.vote.fields()
    }
}

impl Show for PacketKeyStatement {
    const TITLE: &'static str = "packet keys of a member";
    fn fields(&self) -> Fields {
        vec![
            ("job", self.job.to_string()),
            ("member", self.member.to_string()),
            ("first slot", self.first_slot.to_string()),
            ("keys", self.keys.len().to_string()),
        ]
    }
}

impl Show for Transcript {
    const TITLE: &'static str = "transcript of a sum";
    fn fields(&self) -> Fields {
        let survivors: Vec<_> =
            self.headers.iter().map(|(header, _)| header.owner.to_string()).collect();
        let answers: Vec<_> = self.answers.iter().map(|answer| answer.member.to_string()).collect();
        let mut fields = vec![
            ("manifest", self.manifest.to_string()),
            ("fewest owners", self.n_min.to_string()),
            ("values", self.values.to_string()),
        ];
        fields.extend(self.terms.fields());
        fields.extend([
            ("survivors", survivors.join(", ")),
            ("votes", voters(&self.votes)),
            ("answers", answers.join(", ")),
            ("complaints", self.complaints.len().to_string()),
            ("fingerprints", self.fingerprints.as_ref().map_or(0, Vec::len).to_string()),
        ]);
        fields
    }
}
