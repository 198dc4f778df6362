//! An owner's part of masked sums.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_privacy::budget::BudgetTicket;
use nexus_privacy::flow::{Clipped, Label, Masked, Noised};
use nexus_types::{Canonical, Cleared, CodecError, CryptoRng, Digest, JobId};

use super::{
    Effects, Outcome, Participant, ParticipantEffect, Refusal, Statistics, next_control, refused,
};
use crate::egress;
use crate::error::TrainingError;
use crate::message::{TaskId, Update};
use crate::secure::{
    Contributor, JobTerms, Kept, Manifest, ManifestRefusal, Mask, Payload, Seen, SignedManifest,
    encode_statistics, expected_values,
};

/// The sum that the owner works for.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Part {
    manifest: Manifest,
    digest: Digest,
    machine: Option<Kept<Contributor>>,
}

impl Participant {
    /// Checks the manifest of a task against the job, the task and the manifests before it.
    /// True if it opens a new sum, which is then the one worked for.
    pub(super) fn admit(
        &mut self,
        signed: Option<&SignedManifest>,
        task: TaskId,
        model: Option<Digest>,
    ) -> Result<bool, ManifestRefusal> {
        let (terms, signed) = match (self.plan.terms().cloned(), signed) {
            (None, None) => return Ok(false),
            (Some(terms), Some(signed)) => (terms, signed),
            (None, Some(_)) | (Some(_), None) => return Err(ManifestRefusal::Protection),
        };
        let digest = signed.check(&terms)?;
        let manifest = &signed.manifest;
        self.check_content(&terms, manifest, task, model)?;
        let anew = self.state.ledger.look_up(manifest, digest, terms.attempts)? == Seen::New;
        if anew {
            self.state.ledger.enter(manifest, digest);
            self.state.answer = None;
            let manifest = manifest.clone();
            self.state.part = Some(Part { manifest, digest, machine: None });
        }
        Ok(anew)
    }

    fn check_content(
        &self,
        terms: &JobTerms,
        manifest: &Manifest,
        task: TaskId,
        model: Option<Digest>,
    ) -> Result<(), ManifestRefusal> {
        let outside = |what: &str| ManifestRefusal::Outside { what: what.to_owned() };
        if !manifest.is_of(self.plan.rounds) {
            return Err(outside("round"));
        }
        if manifest.task != task || model.is_some_and(|model| manifest.model != model) {
            return Err(ManifestRefusal::Model);
        }
        if manifest.owners != self.plan.summed(task.round) {
            return Err(outside("list of owners"));
        }
        if manifest.owners.binary_search(&self.state.owner).is_err() {
            return Err(outside("list of owners, which lacks this one,"));
        }
        let values = expected_values(&self.plan, terms, task, manifest.asked());
        if values.is_ok_and(|values| values == manifest.values as usize) {
            return Ok(());
        }
        Err(outside("number of values"))
    }

    /// The part in the sum of `task`, if nothing has been contributed to it yet.
    fn part_of(&self, task: TaskId) -> Option<(&Part, &Arc<JobTerms>)> {
        let part = self.state.part.as_ref().filter(|part| part.manifest.task == task)?;
        part.machine.is_none().then_some(part).zip(self.plan.terms())
    }

    pub(super) fn contribute_statistics(
        &mut self,
        rng: &mut dyn CryptoRng,
        statistics: &Statistics,
    ) -> Outcome {
        let Some((part, terms)) = self.part_of(TaskId::SUMMARY) else {
            return Ok(Effects::new());
        };
        let limit = terms.engine.limit(part.manifest.asked())?;
        let weight = self.plan.weight(statistics.examples);
        match encode_statistics(&statistics.sums, weight, limit) {
            Ok(values) => self.contribute(rng, values),
            Err(error) => self.decline(TaskId::SUMMARY, &error.to_string()),
        }
    }

    pub(super) fn contribute_update(
        &mut self,
        rng: &mut dyn CryptoRng,
        update: &Update,
        correction: Option<&[f32]>,
    ) -> Outcome {
        let Some((part, terms)) = self.part_of(update.id) else { return Ok(Effects::new()) };
        let Payload::Exact(layout) = Payload::of(&self.plan, terms, &part.manifest)? else {
            return self.decline(update.id, "the job takes sums with noise, and this has none");
        };
        match layout.encode(&self.plan, update) {
            Ok(encoded) => {
                if let Some((correction, steer)) = correction.zip(encoded.steer.as_deref()) {
                    self.state.pending = Some(next_control(correction, steer));
                }
                self.contribute(rng, encoded.values)
            }
            Err(error) => self.decline(update.id, &error.to_string()),
        }
    }

    /// Takes the result of [`ParticipantEffect::Train`] in a job with differential privacy: the sum
    /// that was clipped as the job says, and what its noise is paid with. Ignored if the coordinator has
    /// asked for something newer since; the ticket is spent all the same.
    ///
    /// # Errors
    /// As [`Participant::step`].
    pub fn release(
        &mut self,
        rng: &mut dyn CryptoRng,
        id: TaskId,
        clipped: Clipped,
        ticket: BudgetTicket,
    ) -> Outcome {
        if id != self.state.newest || self.state.work.take_if(|work| work.id == id).is_none() {
            return Ok(Effects::new());
        }
        let Some((part, terms)) = self.part_of(id) else { return Ok(Effects::new()) };
        let Payload::Private(release) = Payload::of(&self.plan, terms, &part.manifest)? else {
            return self.decline(id, "the job promises no privacy, and this is for one that does");
        };
        if terms.privacy.as_ref().is_some_and(|terms| !clipped.label().is_for(&terms.purpose)) {
            return self.decline(id, "its rows are not for what this job is for");
        }
        self.send_masked(|machine| release.mask(clipped, ticket, machine, rng))
    }

    /// Masks `values`, which have no noise, and sends them.
    fn contribute(&mut self, rng: &mut dyn CryptoRng, values: Vec<i64>) -> Outcome {
        let exact = Noised::waived(self.waiver()?, values, Arc::new(Label::public()));
        self.send_masked(|machine| exact.mask(&mut Mask { machine, rng }))
    }

    /// Sends what `mask` makes. It is kept: masks are used once.
    fn send_masked(
        &mut self,
        mask: impl FnOnce(&mut Contributor) -> Result<Masked, TrainingError>,
    ) -> Outcome {
        let masked = self.machine(|_| None).and_then(|mut machine| {
            let message = mask(&mut machine)?;
            Ok((machine, message))
        });
        let (machine, masked) = match masked {
            Ok(masked) => masked,
            Err(error @ TrainingError::NoIdentity { .. }) => return Err(error),
            Err(error) => {
                let task = self.state.part.as_ref().map_or(TaskId::SUMMARY, |p| p.manifest.task);
                return self.decline(task, &error.to_string());
            }
        };
        if let Some(part) = &mut self.state.part {
            part.machine = Some(Kept::Alive(machine));
        }
        self.answer_sum(|job, slot| egress::contribution(job, slot, &masked))
    }

    /// Persists the message that `clear` makes for the newest sum, then sends it.
    fn answer_sum(
        &mut self,
        clear: impl FnOnce(JobId, u32) -> Result<Cleared, CodecError>,
    ) -> Outcome {
        let Some((slot, _)) = self.state.ledger.newest() else { return Ok(Effects::new()) };
        let message = clear(self.plan.job, slot)?;
        self.state.answer = Some(message.to_vec());
        Ok(vec![ParticipantEffect::Persist, ParticipantEffect::Send(message)])
    }

    /// Takes in a message of the engine.
    pub(super) fn sum_message(
        &mut self,
        rng: &mut dyn CryptoRng,
        slot: u32,
        message: &[u8],
    ) -> Outcome {
        let newest = self.state.ledger.newest().map(|(newest, _)| newest);
        let part = self.state.part.as_mut().filter(|_| newest == Some(slot));
        let machine = part.and_then(|part| part.machine.as_mut()).and_then(Kept::alive);
        let Some(machine) = machine else {
            let refusal = nexus_mpc::aggregation::Refusal::OutOfTurn;
            return Ok(refused(Refusal::Sum(refusal)));
        };
        match machine.receive(rng, message) {
            Ok(Some(reply)) => {
                if machine.has_opened() {
                    self.state.ledger.open();
                }
                self.answer_sum(|job, slot| egress::engine(job, slot, &reply))
            }
            Ok(None) => Ok(Effects::new()),
            Err(refusal) => Ok(refused(Refusal::Sum(refusal))),
        }
    }

    /// The engine's machine for the open sum: as `saved` says, or a new one.
    fn machine<'a>(
        &'a self,
        saved: impl FnOnce(&'a Part) -> Option<&'a [u8]>,
    ) -> Result<Contributor, TrainingError> {
        let missing = || TrainingError::NoIdentity { party: "owner" };
        let identity = self.identity.as_ref().ok_or_else(missing)?;
        let (part, terms) = self.state.part.as_ref().zip(self.plan.terms()).ok_or_else(missing)?;
        Contributor::open(
            terms,
            &part.manifest,
            part.digest,
            self.state.owner,
            identity,
            saved(part),
        )
    }

    /// Wakes the engine's machine of a restored state.
    pub(super) fn wake_part(&mut self) -> Result<(), TrainingError> {
        let Some(part) = &self.state.part else { return Ok(()) };
        let refuse = |problem| Err(TrainingError::Snapshot { problem });
        let Some(terms) = self.plan.terms() else {
            return refuse("it has a part in a masked sum, and sums are not masked");
        };
        let newest = self.state.ledger.newest();
        if newest != Some((part.manifest.slot, part.digest))
            || part.manifest.digest()? != part.digest
            || terms.digest()? != part.manifest.terms
        {
            return refuse("its part in a masked sum is of another manifest");
        }
        let Some(Kept::Asleep(_)) = &part.machine else { return Ok(()) };
        let machine = self.machine(|part| match &part.machine {
            Some(Kept::Asleep(bytes)) => Some(bytes),
            Some(Kept::Alive(_)) | None => None,
        })?;
        if let Some(part) = &mut self.state.part {
            part.machine = Some(Kept::Alive(machine));
        }
        Ok(())
    }
}
