//! Who was missing, and why, over all rounds.

use std::collections::BTreeMap;

use super::{REASON, Summary, clip};

/// One reason for which updates are not in the model, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    /// What the coordinator saw.
    pub(crate) reason: String,
    /// The injected fault behind it.
    pub(crate) cause: Option<String>,
    /// Rounds missed for this reason, by owner.
    pub(crate) owners: BTreeMap<u32, u64>,
}

impl Absence {
    /// Updates missed for this reason.
    pub(crate) fn total(&self) -> u64 {
        self.owners.values().sum()
    }

    /// The reason, with the fault behind it where one was injected.
    pub(crate) fn words(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{} (injected: {cause})", self.reason),
            None => self.reason.clone(),
        }
    }
}

impl Summary {
    /// The reasons for which updates are not in the model, the most frequent first.
    pub(crate) fn absences(&self) -> Vec<Absence> {
        let mut reasons: BTreeMap<(&str, Option<&str>), BTreeMap<u32, u64>> = BTreeMap::new();
        for dropped in self.rounds.iter().flat_map(|round| &round.dropped) {
            let reason = (dropped.reason.as_str(), dropped.cause.as_deref());
            *reasons.entry(reason).or_default().entry(dropped.owner).or_default() += 1;
        }
        let mut absences: Vec<_> = reasons
            .into_iter()
            .map(|((reason, cause), owners)| Absence {
                reason: clip(reason, REASON),
                cause: cause.map(|cause| clip(cause, REASON)),
                owners,
            })
            .collect();
        absences.sort_by_key(|absence| std::cmp::Reverse(absence.total()));
        absences
    }
}

/// `site-2 ×2, site-7`, and how many more than `limit` there are.
pub(crate) fn name_list(
    owners: &BTreeMap<u32, u64>,
    names: &BTreeMap<u32, String>,
    limit: usize,
) -> String {
    let mut list: Vec<String> = owners
        .iter()
        .take(limit)
        .map(|(owner, times)| {
            let name = names.get(owner).cloned().unwrap_or_else(|| format!("owner {owner}"));
            if *times == 1 { name } else { format!("{name} ×{times}") }
        })
        .collect();
    if owners.len() > limit {
        list.push(format!("and {} more", owners.len() - limit));
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::example;

    #[test]
    fn absences_are_counted_by_reason() {
        let summary = example::digits();
        let absences = summary.absences();
        assert_eq!(absences.len(), 2);
        assert_eq!((absences[0].total(), absences[1].total()), (2, 1));
        assert_eq!(absences[0].words(), "no answer within 30 s (injected: crash)");
        assert_eq!(name_list(&absences[0].owners, &summary.names(), 8), "site-2 ×2");
        let many = (0..4).map(|owner| (owner, 1)).collect();
        assert_eq!(name_list(&many, &summary.names(), 2), "site-0, site-1, and 2 more");
    }
}
