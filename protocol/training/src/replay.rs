//! Repeating a job with masked sums from its records: what an auditor runs.

use nexus_mpc::aggregation::nx;
use nexus_types::{Canonical, CodecError, Digest, MemberId, OwnerId, Round};

use crate::error::TrainingError;
use crate::message::TrainTask;
use crate::plan::Plan;
use crate::secure::{
    JobTerms, ManifestRefusal, Payload, SumRecord, decode_statistics, expected_values,
};
use crate::server::Server;

/// A job as its records tell it, sum after sum.
#[derive(Clone, Debug)]
pub struct Replay {
    plan: Plan,
    server: Server,
    accepted: Vec<Round>,
    summary: Vec<f64>,
    unit: f64,
    next: Round,
    slot: Option<u32>,
}

/// What the record of one sum says, after every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The round; 0 is the statistics stage.
    pub round: Round,
    /// The owners in the sum.
    pub survivors: Vec<OwnerId>,
    /// Whether the messages were kept and their fingerprints add up to that of the sum. Each
    /// owner can tell its own fingerprint from a false one; if none was kept, the coordinator
    /// could have added a vector of its own.
    pub sum_audited: bool,
    /// The root over the published fingerprints: what every owner compares with the one it was
    /// shown. Until they have, only the coordinator says that the entries are the owners' own.
    pub root: Option<Digest>,
    /// Members whose shares do not fit the others', where it may be the others that are wrong.
    pub disputed: Vec<MemberId>,
    /// Sums opened for this round before this one, or at least numbered: attempts that failed.
    pub attempts_before: u32,
}

/// Why a record does not check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The engine keeps no transcripts.
    #[error("sums of this suite leave no transcript that others could check")]
    NoTranscript,
    /// The manifest is not one of the job.
    #[error(transparent)]
    Manifest(#[from] ManifestRefusal),
    /// Something in the record is not what the manifest says.
    #[error("the transcript's {what} is not that of the manifest")]
    Other {
        /// What.
        what: &'static str,
    },
    /// The sum is out of order.
    #[error("round {got} where {expected} was expected")]
    Order {
        /// The round of the record.
        got: Round,
        /// The next round.
        expected: Round,
    },
    /// The owners of the round were asked to train another model than the one before made.
    #[error("the model of round {round} is not the one that the sums before it make")]
    Model {
        /// The round.
        round: Round,
    },
    /// The engine's transcript does not check.
    #[error(transparent)]
    Audit(#[from] nx::AuditError),
    /// The bytes are no transcript.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The plan is not one of masked sums.
    #[error(transparent)]
    Plan(#[from] TrainingError),
}

impl Replay {
    /// A replay of `plan` from the model with `parameters` on.
    ///
    /// # Errors
    /// [`TrainingError`] if the plan is impossible.
    pub fn new(plan: Plan, parameters: Vec<f32>) -> Result<Self, TrainingError> {
        plan.check()?;
        let (got, expected) = (parameters.len(), plan.parameters as usize);
        if got != expected {
            return Err(TrainingError::Length { what: "parameters", got, expected });
        }
        Ok(Self {
            server: Server::new(&plan.strategy, parameters),
            accepted: vec![Round(0); plan.owners as usize],
            summary: Vec::new(),
            unit: 1.0,
            next: if plan.summarises() { Round(0) } else { Round(1) },
            slot: None,
            plan,
        })
    }

    /// The model so far.
    pub fn parameters(&self) -> &[f32] {
        &self.server.parameters
    }

    /// Checks the record of the next sum and repeats what the coordinator did with it.
    ///
    /// # Errors
    /// [`ReplayError`]: the record is not one of an honest coordinator.
    pub fn take(&mut self, record: &SumRecord) -> Result<Replayed, ReplayError> {
        let missing = TrainingError::NoIdentity { party: "coordinator" };
        let terms = self.plan.terms().cloned().ok_or(missing)?;
        let audited = self.check(&terms, record)?;
        let (manifest, round) = (&record.manifest.manifest, self.next);
        let survivors = u32::try_from(audited.survivors.len()).unwrap_or(u32::MAX);
        if round == Round(0) {
            let limit = terms.engine.limit(manifest.asked())?;
            (self.summary, self.unit) =
                decode_statistics(&self.plan, &audited.sum, limit, survivors)?;
        } else {
            let payload = Payload::of(&self.plan, &terms, manifest)?;
            let totals =
                payload.decode((&self.plan, &terms), round, &audited.sum, &audited.survivors)?;
            self.server.absorb(&self.plan, &totals, survivors);
            audited.survivors.iter().for_each(|owner| self.accepted[owner.index()] = round);
        }
        self.next = round.next();
        let first = self.slot.map_or(0, |before| before.saturating_add(1));
        let attempts_before = manifest.slot.saturating_sub(first);
        self.slot = Some(manifest.slot);
        let nx::Audited { survivors, sum_audited, root, disputed, .. } = audited;
        Ok(Replayed { round, survivors, sum_audited, root, disputed, attempts_before })
    }

    fn check(&self, terms: &JobTerms, record: &SumRecord) -> Result<nx::Audited, ReplayError> {
        let digest = record.manifest.check(terms)?;
        let manifest = &record.manifest.manifest;
        let (got, expected) = (manifest.task.round, self.next);
        if got != expected
            || !manifest.is_of(self.plan.rounds)
            || self.slot.is_some_and(|before| manifest.slot <= before)
        {
            return Err(ReplayError::Order { got, expected });
        }
        let values = expected_values(&self.plan, terms, manifest.task, manifest.asked())?;
        let same = manifest.owners == self.plan.summed(got)
            && manifest.values as usize == values
            && manifest.weight_unit.to_bits() == self.unit.to_bits();
        if !same {
            return Err(ReplayError::Other { what: "plan" });
        }
        let model = || {
            let Self { plan, server, accepted, summary, .. } = self;
            TrainTask::new(plan, manifest.task, server, accepted, summary).fingerprint()
        };
        if got != Round(0) && manifest.model != model()? {
            return Err(ReplayError::Model { round: got });
        }
        let bytes = record.transcript.as_deref().ok_or(ReplayError::NoTranscript)?;
        let transcript = nx::Transcript::decode(bytes)?;
        let session = manifest.session(terms, digest);
        let claims = [
            ("manifest", transcript.manifest == digest),
            ("number of owners", transcript.n_min == manifest.n_min),
            ("number of values", transcript.values == manifest.values),
            ("terms", Some(&transcript.terms) == manifest.nx_terms(terms)?.as_ref()),
            (
                "list of owners",
                transcript
                    .owners
                    .iter()
                    .copied()
                    .eq(session.owners.iter().map(|(owner, key)| (*owner, *key))),
            ),
        ];
        if let Some((what, _)) = claims.into_iter().find(|(_, holds)| !holds) {
            return Err(ReplayError::Other { what });
        }
        Ok(nx::audit(&transcript)?)
    }
}
