//! The section on sums that nobody sees the parts of.

use super::markup::Markup;
use super::tables::{Cell, NOTHING, ROUNDS, table};
use crate::summary::{Committee, MemberRounds, SecureSum, Summary, member_list, percent, plural};

/// Members that a cell names at most.
const MEMBERS: usize = 8;

/// How the sums were made, and which members of the committee misbehaved; nothing for a run in
/// the clear.
pub(super) fn section(page: &mut Markup, summary: &Summary) {
    let Some(sums) = &summary.secure_sum else { return };
    page.tag("h2", &[("id", &"sums")], "Secure sums");
    let rows =
        facts(sums).into_iter().map(|(name, value)| vec![Cell::text(name), Cell::text(&value)]);
    table(page, "How updates were added up", &["What", "In this run"], rows);
    by_round(page, summary);
}

fn facts(sums: &SecureSum) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Engine", sums.engine.name().to_owned())];
    if let Some(Committee { members, threshold, privacy, .. }) = &sums.committee {
        let who = format!(
            "{members} members, of whom {threshold} must answer and any {privacy} learn nothing"
        );
        facts.push(("Committee", who));
    }
    if let Some(assumed) = &sums.assumed {
        let (corrupt, dropout) = (percent(assumed.corrupt), percent(assumed.dropout));
        facts.push(("Owners", format!("at most {corrupt} corrupt and {dropout} away")));
    }
    facts.extend([
        ("Fewest owners in a sum", sums.n_min.to_string()),
        ("Attempts with one model", sums.max_attempts.to_string()),
        ("Longest update", sums.clip.to_string()),
        ("Scaled down to it", plural(sums.clipped_updates, "update")),
        ("Bits for a value of an owner", sums.bits.to_string()),
    ]);
    if let Some(values) = sums.values_per_word {
        facts.push(("Values in an element of the ring", values.to_string()));
        facts.push(("Groups opened one by one", sums.leaves.to_string()));
    }
    facts.push(("Masked messages", kept(sums)));
    facts
}

fn kept(sums: &SecureSum) -> String {
    if !sums.sums_audited {
        return "not kept: nobody can check the sums afterwards".to_owned();
    }
    let files = sums.transcripts.map(|files| format!(" in {}", plural(files.into(), "file")));
    format!("kept{}: anyone can check the sums", files.unwrap_or_default())
}

fn by_round(page: &mut Markup, summary: &Summary) {
    let mut rounds: Vec<_> = summary
        .rounds
        .iter()
        .filter_map(|round| Some((round.round, round.committee.as_ref()?)))
        .filter(|(_, committee)| !(committee.disputed.is_empty() && committee.silent.is_empty()))
        .collect();
    if rounds.is_empty() {
        return;
    }
    let skipped = rounds.len().saturating_sub(ROUNDS);
    if skipped > 0 {
        page.tag("p", &[], format!("The last {ROUNDS} such rounds of {}.", rounds.len()));
    }
    let rows = rounds.drain(skipped..).map(|(round, committee)| {
        vec![
            Cell::figure(round.to_string()),
            Cell::text(&names(&committee.disputed)),
            Cell::text(&names(&committee.silent)),
        ]
    });
    table(page, "The committee by round", &["Round", "Shares that do not fit", "Silent"], rows);
}

fn names(members: &[u16]) -> String {
    let once: Vec<_> = members.iter().map(|&member| MemberRounds { member, rounds: 1 }).collect();
    if once.is_empty() { NOTHING.to_owned() } else { member_list(&once, MEMBERS) }
}
