//! Sums that were opened without anyone seeing what was added.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Round, percent};
use crate::job::Suite;

/// How updates were added up without anyone seeing one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecureSum {
    /// The engine: the suite of the job, never `clear`.
    pub engine: Suite,
    /// The committee that opened the sums; `null` for an engine without one.
    pub committee: Option<Committee>,
    /// What is assumed of the owners instead; `null` for an engine with a committee.
    pub assumed: Option<Assumed>,
    /// Fewest owners over whom a sum is opened.
    pub n_min: u32,
    /// How often owners answer for one model at most.
    pub max_attempts: u32,
    /// Euclidean norm that no owner's weighted update exceeds.
    pub clip: f64,
    /// Updates that were longer and were scaled down, over all rounds.
    pub clipped_updates: u64,
    /// Bits for one value of one owner.
    pub bits: u8,
    /// Values in one element of the mask's ring; `null` for an engine without it.
    pub values_per_word: Option<u8>,
    /// Groups of owners whose sums are opened one by one.
    pub leaves: u16,
    /// Whether the masked messages were kept, so that anyone can check the sums.
    pub sums_audited: bool,
    /// Files that hold them; `null` if they were not kept.
    pub transcripts: Option<u32>,
}

/// The committee that opens sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Committee {
    /// Its size.
    pub members: u16,
    /// Members that must answer before a sum is opened.
    pub threshold: u16,
    /// Members that learn nothing even if they put together what they hold.
    pub privacy: u16,
    /// Members whose shares did not fit the others', and in how many rounds.
    pub disputed: Vec<MemberRounds>,
    /// Members that did not answer, and in how many rounds.
    pub silent: Vec<MemberRounds>,
}

/// A member of the committee, and in how many rounds it did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRounds {
    /// Its number.
    pub member: u16,
    /// Rounds in which it did.
    pub rounds: u32,
}

/// What is assumed of owners that mask pairwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    /// Share of them that may be corrupt, 0 to 1.
    pub corrupt: f64,
    /// Share of them that may drop out of a round, 0 to 1.
    pub dropout: f64,
}

/// What the committee did in one round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitteeRound {
    /// Members whose shares did not fit the others'.
    pub disputed: Vec<u16>,
    /// Members that did not answer.
    pub silent: Vec<u16>,
}

impl Committee {
    /// A committee about which no round has said anything yet, see [`SecureSum::counting`].
    pub const fn new(members: u16, threshold: u16, privacy: u16) -> Self {
        Self { members, threshold, privacy, disputed: Vec::new(), silent: Vec::new() }
    }
}

impl SecureSum {
    /// The same, with what `rounds` say about clipped updates and about the committee.
    #[must_use]
    pub fn counting(mut self, rounds: &[Round]) -> Self {
        self.clipped_updates = rounds.iter().map(|round| u64::from(round.clipped)).sum();
        if let Some(committee) = &mut self.committee {
            let records = || rounds.iter().filter_map(|round| round.committee.as_ref());
            committee.disputed = count_rounds(records().flat_map(|record| &record.disputed));
            committee.silent = count_rounds(records().flat_map(|record| &record.silent));
        }
        self
    }

    /// The sums in a line: `nx: committee of 4, 3 answer; sums over at least 5 owners`.
    pub(crate) fn line(&self) -> String {
        let who = match (&self.committee, &self.assumed) {
            (Some(committee), _) => {
                format!("committee of {}, {} answer", committee.members, committee.threshold)
            }
            (None, Some(assumed)) => format!(
                "pairwise masks, {} corrupt and {} away at most",
                percent(assumed.corrupt),
                percent(assumed.dropout)
            ),
            (None, None) => "pairwise masks".to_owned(),
        };
        format!("{}: {who}; sums over at least {} owners", self.engine.name(), self.n_min)
    }

    /// The words for [`super::Summary::aggregation_note`] of a run with such sums, or without.
    pub fn note(sums: Option<&Self>) -> String {
        let Some(sums) = sums else {
            return "The coordinator sees each owner's update, and an update can reveal rows of the \
                    owner's data. No row leaves its owner in the clear."
                .to_owned();
        };
        let how = match (&sums.committee, &sums.assumed) {
            (Some(Committee { members, threshold, privacy, .. }), _) => format!(
                "the coordinator adds masked vectors, and a committee of {members} members, of \
                 whom {threshold} must answer, opens only their sum, once per round. Any \
                 {privacy} of its members learn nothing."
            ),
            (None, assumed) => format!(
                "owners mask theirs pairwise, without a committee, so that the coordinator learns \
                 only their sum{}.",
                assumed.as_ref().map_or_else(String::new, Assumed::words)
            ),
        };
        format!(
            "Nobody sees a single owner's update: {how} Sums for standardisation, where there are any, are masked in \
             the same way. No row leaves its owner in the clear."
        )
    }

    /// What a reader should know about sums over at least `n_min` of `owners` owners.
    pub fn warnings(suite: Suite, n_min: u32, owners: u32) -> Vec<String> {
        if !suite.masks() || n_min > 2 {
            return Vec::new();
        }
        vec![format!(
            "n_min is {n_min} of {owners} owners: if all but one of the owners in a sum collude, \
             they learn that one's update; the mask gives no protection to a single honest owner"
        )]
    }
}

impl Assumed {
    fn words(&self) -> String {
        format!(
            "; that holds while at most {} of the owners are corrupt and at most {} drop out of a \
             round",
            percent(self.corrupt),
            percent(self.dropout)
        )
    }
}

fn count_rounds<'a>(members: impl Iterator<Item = &'a u16>) -> Vec<MemberRounds> {
    let mut counts = BTreeMap::new();
    for member in members {
        *counts.entry(*member).or_default() += 1;
    }
    counts.into_iter().map(|(member, rounds)| MemberRounds { member, rounds }).collect()
}

/// `member-1 ×2, member-3`, and how many more than `limit` there are.
pub(crate) fn member_list(members: &[MemberRounds], limit: usize) -> String {
    let mut list: Vec<String> = members
        .iter()
        .take(limit)
        .map(|MemberRounds { member, rounds }| match rounds {
            1 => format!("member-{member}"),
            _ => format!("member-{member} ×{rounds}"),
        })
        .collect();
    if members.len() > limit {
        list.push(format!("and {} more", members.len() - limit));
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::example;

    #[test]
    fn rounds_are_counted() {
        let sums = example::masked().secure_sum.unwrap();
        let committee = sums.committee.unwrap();
        let rounds = |member, rounds| MemberRounds { member, rounds };
        assert_eq!((sums.clipped_updates, committee.disputed), (3, vec![rounds(2, 1)]));
        assert_eq!(committee.silent, [rounds(1, 2), rounds(3, 1)]);
        assert_eq!(member_list(&committee.silent, 1), "member-1 ×2, and 1 more");
    }

    #[test]
    fn notes_say_who_sees_what() {
        let clear = SecureSum::note(None);
        assert!(clear.contains("The coordinator sees each owner's update"), "{clear}");
        let masked = SecureSum::note(example::masked().secure_sum.as_ref());
        assert!(masked.contains("a committee of 4 members, of whom 3 must answer"), "{masked}");
        let pairwise = SecureSum::note(example::pairwise().secure_sum.as_ref());
        assert!(pairwise.contains("without a committee"), "{pairwise}");
        assert!(pairwise.contains("10.0 % of the owners are corrupt"), "{pairwise}");
    }

    #[test]
    fn a_sum_over_two_is_warned_of() {
        assert_eq!(SecureSum::warnings(Suite::Nx, 2, 10).len(), 1);
        assert!(SecureSum::warnings(Suite::SecaggPlus, 2, 3)[0].contains("2 of 3 owners"));
        assert!(SecureSum::warnings(Suite::Nx, 3, 10).is_empty());
        assert!(SecureSum::warnings(Suite::Clear, 1, 1).is_empty());
    }
}
