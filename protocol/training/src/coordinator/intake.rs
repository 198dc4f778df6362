//! The updates of a round while they arrive.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::OwnerId;

use crate::message::Update;
use crate::plan::Plan;
use crate::rule::ExactSum;

/// Updates taken so far: as a running sum where the rule allows, so that memory does not grow
/// with the number of owners.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Intake {
    gathered: Gathered,
    /// SCAFFOLD: the sum of what moves the control variate.
    steers: Option<ExactSum>,
    weight: u64,
    updates: u32,
    taken: BTreeMap<OwnerId, Taken>,
}

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
enum Gathered {
    Sum(ExactSum),
    Each(BTreeMap<OwnerId, Vec<f32>>),
}

/// What remains of an owner's updates besides their part in the sum.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Taken {
    examples: u64,
    loss_sum: f64,
    steps: u64,
    clipped: bool,
}

/// The figures of a round that come from its updates.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) participants: Vec<OwnerId>,
    pub(super) clipped: Vec<OwnerId>,
    pub(super) clipped_owners: u32,
    pub(super) updates: u32,
    pub(super) train_loss: Option<f64>,
    pub(super) steps: u64,
}

impl Intake {
    pub(super) fn new(plan: &Plan) -> Self {
        let zero = || ExactSum::zero(plan.parameters as usize);
        let gathered = if plan.rule.keeps_updates() {
            Gathered::Each(BTreeMap::new())
        } else {
            Gathered::Sum(zero())
        };
        let steers = plan.strategy.has_control().then(zero);
        Self { gathered, steers, weight: 0, updates: 0, taken: BTreeMap::new() }
    }

    /// Takes a checked update, which counts `factor` times its weight.
    pub(super) fn take(&mut self, plan: &Plan, owner: OwnerId, update: Update, factor: f64) {
        let weight = plan.weight(update.examples);
        let taken = self.taken.entry(owner).or_default();
        taken.examples = taken.examples.saturating_add(update.examples);
        taken.loss_sum += update.loss_sum;
        taken.steps = taken.steps.saturating_add(update.steps);
        self.weight += u64::from(weight);
        self.updates += 1;
        if let Some(steers) = &mut self.steers {
            steers.add(&update.delta, -1.0 / update.displacement);
        }
        match &mut self.gathered {
            Gathered::Each(each) => {
                each.insert(owner, update.delta);
            }
            Gathered::Sum(sum) => {
                let scale = plan.rule.scale(&update.delta);
                taken.clipped |= scale < 1.0;
                sum.add(&update.delta, f64::from(weight) * factor * scale);
            }
        }
    }

    pub(super) fn has(&self, owner: OwnerId) -> bool {
        self.taken.contains_key(&owner)
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = OwnerId> {
        self.taken.keys().copied()
    }

    pub(super) const fn updates(&self) -> u32 {
        self.updates
    }

    /// The aggregated update.
    pub(super) fn aggregate(&self, plan: &Plan) -> Vec<f64> {
        match &self.gathered {
            Gathered::Sum(sum) => sum.over(self.weight as f64),
            Gathered::Each(each) => {
                let updates: Vec<&[f32]> = each.values().map(Vec::as_slice).collect();
                plan.rule.aggregate(&updates)
            }
        }
    }

    /// SCAFFOLD: the sum of what moves the control variate.
    pub(super) fn steers(&self) -> Option<Vec<f64>> {
        self.steers.as_ref().map(|steers| steers.over(1.0))
    }

    pub(super) fn figures(&self) -> Figures {
        let taken = self.taken.values();
        let examples: u128 = taken.clone().map(|t| u128::from(t.examples)).sum();
        let losses: f64 = taken.clone().map(|t| t.loss_sum).sum();
        let clipped = self.taken.iter().filter(|(_, t)| t.clipped);
        let clipped: Vec<OwnerId> = clipped.map(|(owner, _)| *owner).collect();
        Figures {
            participants: self.owners().collect(),
            clipped_owners: u32::try_from(clipped.len()).unwrap_or(u32::MAX),
            clipped,
            updates: self.updates,
            train_loss: Some(losses / examples as f64),
            steps: taken.fold(0, |sum, t| sum.saturating_add(t.steps)),
        }
    }

    /// Bytes of the sums and of the updates held.
    pub(super) fn held_bytes(&self) -> usize {
        let gathered = match &self.gathered {
            Gathered::Sum(sum) => sum.held_bytes(),
            Gathered::Each(each) => each.values().map(|delta| 4 * delta.len()).sum(),
        };
        gathered + self.steers.as_ref().map_or(0, ExactSum::held_bytes)
    }

    /// Whether a restored intake is one of this plan.
    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let length = plan.parameters as usize;
        let gathered = match &self.gathered {
            Gathered::Sum(sum) => !plan.rule.keeps_updates() && sum.len() == length,
            Gathered::Each(each) => {
                plan.rule.keeps_updates()
                    && each.len() == self.updates as usize
                    && each.keys().eq(self.taken.keys())
                    && each.values().all(|delta| delta.len() == length)
            }
        };
        let weight = u64::from(self.updates) * u64::from(plan.example_cap);
        gathered
            && self.steers.is_some() == plan.strategy.has_control()
            && self.steers.iter().all(|steers| steers.len() == length)
            && self.taken.keys().all(|owner| owner.0 < plan.owners)
            && self.taken.len() <= self.updates as usize
            && self.updates <= plan.owners
            && (u64::from(self.updates)..=weight).contains(&self.weight)
    }
}
