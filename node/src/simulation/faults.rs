//! What goes wrong, when, and to whom: a pure function of a seed.

use std::fmt;
use std::time::Duration;

use nexus_training::TaskId;
use nexus_types::{MemberId, OwnerId, Round, Seed, SeededRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fault file: chances and delays, all zero unless set. Time is virtual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Seed of the faults; the run's own if not set.
    pub seed: Option<u64>,
    /// What the network does to messages.
    pub network: NetworkFaults,
    /// What happens to owners.
    pub owners: OwnerFaults,
    /// What happens to the coordinator.
    pub coordinator: CoordinatorFaults,
    /// What happens to the members of the committee.
    pub committee: CommitteeFaults,
    /// Owners that attack.
    pub attack: Vec<Attack>,
}

/// `[network]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkFaults {
    /// Milliseconds every message takes.
    pub latency_ms: u32,
    /// Milliseconds a message takes longer, at most, uniformly.
    pub jitter_ms: u32,
    /// Chance that a message is lost.
    pub loss: f64,
    /// Chance that a message arrives twice.
    pub duplicate: f64,
}

impl Default for NetworkFaults {
    fn default() -> Self {
        Self { latency_ms: 20, jitter_ms: 0, loss: 0.0, duplicate: 0.0 }
    }
}

/// `[owners]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OwnerFaults {
    /// Chance that an owner cannot be reached for a whole round.
    pub drop: f64,
    /// Chance that an owner crashes while it trains.
    pub crash: f64,
    /// Milliseconds until a crashed owner is back.
    pub restart_ms: u32,
    /// Share of owners that are slow.
    pub slow: f64,
    /// How many times longer a slow owner trains.
    pub slow_factor: f64,
}

impl Default for OwnerFaults {
    fn default() -> Self {
        Self { drop: 0.0, crash: 0.0, restart_ms: 5_000, slow: 0.0, slow_factor: 10.0 }
    }
}

/// `[coordinator]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CoordinatorFaults {
    /// Chance per round that the coordinator crashes.
    pub crash: f64,
    /// Milliseconds until it is back.
    pub restart_ms: u32,
}

impl Default for CoordinatorFaults {
    fn default() -> Self {
        Self { crash: 0.0, restart_ms: 3_000 }
    }
}

/// `[committee]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CommitteeFaults {
    /// Chance per round that a member crashes.
    pub crash: f64,
    /// Milliseconds until it is back.
    pub restart_ms: u32,
}

impl Default for CommitteeFaults {
    fn default() -> Self {
        Self { crash: 0.0, restart_ms: 3_000 }
    }
}

/// `[[attack]]`: owners that send something else than they trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Who attacks.
    pub owners: Vec<u32>,
    /// What they send.
    pub kind: AttackKind,
    /// Length of what they send, in lengths of the honest update.
    #[serde(default = "one")]
    pub scale: f32,
}

const fn one() -> f32 {
    1.0
}

/// What an attacker sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttackKind {
    /// Its update with the sign turned.
    SignFlip,
    /// A random direction.
    Random,
    /// Bytes that are no message.
    Garbage,
}

impl fmt::Display for AttackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignFlip => "`sign_flip`",
            Self::Random => "`random`",
            Self::Garbage => "`garbage`",
        })
    }
}

/// A value of a fault file that is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` is {value}, it must be from {least} to {most}")]
pub struct FaultRange {
    /// The key.
    pub key: &'static str,
    /// The value.
    pub value: f64,
    /// The smallest value possible.
    pub least: f64,
    /// The largest value possible.
    pub most: f64,
}

impl Faults {
    /// Checks every value against its range, and the attackers against the number of owners.
    ///
    /// # Errors
    /// [`FaultRange`] for the first value outside its range.
    pub fn check(&self, owners: u32) -> Result<(), FaultRange> {
        let ranges = [
            ("network.loss", self.network.loss, 0.0, 1.0),
            ("network.duplicate", self.network.duplicate, 0.0, 1.0),
            ("owners.drop", self.owners.drop, 0.0, 1.0),
            ("owners.crash", self.owners.crash, 0.0, 1.0),
            ("owners.slow", self.owners.slow, 0.0, 1.0),
            ("owners.slow_factor", self.owners.slow_factor, 1.0, 1e6),
            ("coordinator.crash", self.coordinator.crash, 0.0, 1.0),
            ("committee.crash", self.committee.crash, 0.0, 1.0),
        ];
        let scales = self.attack.iter().map(|a| ("attack.scale", f64::from(a.scale), -1e6, 1e6));
        let last = f64::from(owners) - 1.0;
        let attackers = self.attack.iter().flat_map(|attack| &attack.owners);
        let attackers = attackers.map(|&owner| ("attack.owners", f64::from(owner), 0.0, last));
        for (key, value, least, most) in ranges.into_iter().chain(scales).chain(attackers) {
            if !(least..=most).contains(&value) {
                return Err(FaultRange { key, value, least, most });
            }
        }
        Ok(())
    }

    /// Whether any party can crash, so that what it persists must be kept.
    pub fn crashes(&self) -> bool {
        self.owners.crash > 0.0 || self.coordinator.crash > 0.0 || self.committee.crash > 0.0
    }
}

/// Draws from [`Faults`]: the same question has the same answer, whenever it is asked.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    faults: Faults,
    seed: Seed,
}

impl FaultPlan {
    /// The plan of `faults` in a run with `seed`.
    pub fn new(faults: Faults, seed: &Seed) -> Self {
        let seed = faults.seed.map_or(*seed, Seed::from_number).derive("faults", &[]);
        Self { faults, seed }
    }

    /// What the plan draws from.
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    fn draw(&self, label: &str, path: &[u64]) -> SeededRng {
        self.seed.derive(label, path).rng()
    }

    fn happens(&self, chance: f64, label: &str, path: &[u64]) -> bool {
        chance > 0.0 && self.draw(label, path).unit() < chance
    }

    /// How long message number `sequence` takes.
    pub fn latency(&self, sequence: u64) -> Duration {
        let NetworkFaults { latency_ms, jitter_ms, .. } = self.faults.network;
        let extra = match jitter_ms {
            0 => 0,
            most => self.draw("latency", &[sequence]).below(u64::from(most) + 1),
        };
        Duration::from_millis(u64::from(latency_ms) + extra)
    }

    /// Whether message number `sequence` is lost.
    pub fn loses(&self, sequence: u64) -> bool {
        self.happens(self.faults.network.loss, "loss", &[sequence])
    }

    /// Whether message number `sequence` arrives twice.
    pub fn duplicates(&self, sequence: u64) -> bool {
        self.happens(self.faults.network.duplicate, "duplicate", &[sequence])
    }

    /// Whether `owner` cannot be reached in `round`.
    pub fn drops(&self, owner: OwnerId, round: Round) -> bool {
        self.happens(self.faults.owners.drop, "drop", &[owner.0.into(), round.0.into()])
    }

    /// How many times longer `owner` trains.
    pub fn slowness(&self, owner: OwnerId) -> f64 {
        let slow = self.happens(self.faults.owners.slow, "slow", &[owner.0.into()]);
        if slow { self.faults.owners.slow_factor } else { 1.0 }
    }

    /// The share of its training after which `owner` crashes in its `life`-th life in `round`.
    pub fn owner_crash(&self, owner: OwnerId, round: Round, life: u32) -> Option<f64> {
        let path = [owner.0.into(), round.0.into(), life.into()];
        let crash = self.happens(self.faults.owners.crash, "owner crash", &path);
        crash.then(|| self.draw("owner crash time", &path).unit())
    }

    /// The share of a deadline after which the coordinator crashes in its `life`-th life in
    /// `round`.
    pub fn coordinator_crash(&self, round: Round, life: u32) -> Option<f64> {
        let path = [round.0.into(), life.into()];
        let crash = self.happens(self.faults.coordinator.crash, "coordinator crash", &path);
        crash.then(|| self.draw("coordinator crash time", &path).unit())
    }

    /// The share of a deadline after which `member` crashes in `round`.
    pub fn member_crash(&self, member: MemberId, round: Round) -> Option<f64> {
        let path = [member.0.into(), round.0.into()];
        let crash = self.happens(self.faults.committee.crash, "member crash", &path);
        crash.then(|| self.draw("member crash time", &path).unit())
    }

    /// The attack that `owner` mounts.
    pub fn attack(&self, owner: OwnerId) -> Option<&Attack> {
        self.faults.attack.iter().find(|attack| attack.owners.contains(&owner.0))
    }

    /// What `owner` sends instead of `delta`.
    pub fn poison(&self, owner: OwnerId, task: TaskId, delta: &mut [f32]) {
        let Some(attack) = self.attack(owner) else { return };
        match attack.kind {
            AttackKind::SignFlip => delta.iter_mut().for_each(|value| *value *= -attack.scale),
            AttackKind::Random => {
                let length = delta.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
                let deviation =
                    f64::from(attack.scale) * (length / delta.len().max(1) as f64).sqrt();
                let mut rng = self.draw(
                    "random attack",
                    &[owner.0.into(), task.round.0.into(), task.repeat.into()],
                );
                #[expect(clippy::cast_possible_truncation, reason = "noise of an attacker")]
                delta.fill_with(|| (deviation * rng.normal()) as f32);
            }
            AttackKind::Garbage => {}
        }
    }

    /// The bytes that `owner` sends instead of `message` number `sequence`, if it sends garbage.
    pub fn garbage(&self, owner: OwnerId, sequence: u64, message: &[u8]) -> Option<Vec<u8>> {
        self.attack(owner).filter(|attack| attack.kind == AttackKind::Garbage)?;
        let mut rng = self.draw("garbage", &[owner.0.into(), sequence]);
        let kept = usize::try_from(rng.below(message.len() as u64 + 1)).unwrap_or(0);
        let mut bytes = message[..kept].to_vec();
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 0x55;
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_follow_their_chance() {
        let owners = OwnerFaults { drop: 0.3, ..OwnerFaults::default() };
        let faults = Faults { owners, ..Faults::default() };
        let plan = FaultPlan::new(faults, &Seed::from_number(5));
        let draws = |plan: &FaultPlan| -> Vec<bool> {
            (0..2000).map(|n| plan.drops(OwnerId(n % 10), Round(n / 10))).collect()
        };
        assert_eq!(draws(&plan), draws(&plan.clone()));
        let share = draws(&plan).iter().filter(|&&dropped| dropped).count();
        assert!((540..660).contains(&share), "{share} of 2000 at chance 0.3");
    }

    #[test]
    fn values_out_of_range_are_named() {
        let faults: Faults = toml::from_str("[network]\nloss = 1.5").unwrap();
        assert_eq!(
            faults.check(1).unwrap_err().to_string(),
            "`network.loss` is 1.5, it must be from 0 to 1"
        );
        let faults: Faults =
            toml::from_str("attack = [{ owners = [3], kind = 'random' }]").unwrap();
        assert!(faults.check(3).is_err());
        assert!(faults.check(4).is_ok());
        assert!(toml::from_str::<Faults>("[network]\nlos = 1").is_err());
    }
}
