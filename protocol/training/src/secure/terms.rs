//! What an owner accepts when it joins a job with masked sums. A round cannot change it.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_mpc::PublicKey;
use nexus_mpc::aggregation::{SumError, nx, secagg_plus};
use nexus_mpc::sharing::Layout;
use nexus_types::limits::MAX_OWNERS;
use nexus_types::{Canonical, JobId, OwnerId};

use super::private::PrivacyTerms;
use crate::error::TrainingError;
use crate::plan::{Plan, in_range};

/// Most attempts at one round: each opens another sum over the same model.
pub const MAX_SUM_ATTEMPTS: u32 = 16;
/// Fewest owners over whom a sum may be opened: one alone has no protection.
pub const MIN_SUM_OWNERS: u32 = 2;
/// Most leaves: a member's answer has one share for each.
const MAX_LEAVES: u32 = 128;
/// Most owners in a thousand that may be assumed corrupt.
const MAX_CORRUPT: f64 = 990.0;
/// The longest update that owners may be asked to send without clipping.
const MAX_CLIP: f64 = 1e9;

/// The terms of a job with masked sums: the allow-list of owners, the committee, the floor under
/// the number of owners in a sum, and how often a round may be tried.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct JobTerms {
    /// The job.
    pub job: JobId,
    /// Whose signature a manifest must carry.
    pub coordinator: PublicKey,
    /// The keys of the owners, by number. Nobody else can be in a sum.
    pub owners: Vec<PublicKey>,
    /// Fewest owners in a sum: at least two more than are assumed corrupt.
    pub n_min: u32,
    /// How many manifests for one round an owner answers.
    pub attempts: u32,
    /// The longest weighted update, in Euclidean norm; a longer one is scaled down.
    pub clip: f64,
    /// How sums are masked.
    pub engine: EngineTerms,
    /// Differential privacy; `None` if sums are exact.
    pub privacy: Option<PrivacyTerms>,
}

/// How sums are masked.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum EngineTerms {
    /// One message per owner, and a committee that opens only sums.
    Nx {
        /// The keys of its members, by number: 4, 7, 16, 50 or 100.
        members: Vec<PublicKey>,
        /// Parameters per ring element; the most that leave ten bits each if not set.
        packing: Option<u8>,
        /// Parts that are opened one by one, so that a garbled one spoils no other; 1 for none.
        leaves: u16,
        /// Whether the coordinator keeps messages for the check of the sum.
        keep_messages: bool,
        /// Share of the owners in a round that may work with the coordinator, in thousandths: a
        /// sum is over two more at least, as the corrupt ones subtract themselves.
        corrupt_permille: u16,
    },
    /// Pairwise masks without a committee.
    SecAggPlus(secagg_plus::Terms),
}

impl Canonical for JobTerms {
    const DOMAIN: &'static str = "nexus/training/terms";
    const VERSION: u8 = 2;
    const MAX_BYTES: usize = 36 * MAX_OWNERS as usize + (1 << 14);
}

impl EngineTerms {
    /// The engine's name in a job file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Nx { .. } => "nx",
            Self::SecAggPlus(_) => "secagg-plus",
        }
    }

    /// The members of the committee, if there is one.
    pub fn members(&self) -> &[PublicKey] {
        match self {
            Self::Nx { members, .. } => members,
            Self::SecAggPlus(_) => &[],
        }
    }

    /// Fewest owners in a sum when `asked` are asked.
    pub fn fewest(&self, asked: u32) -> u32 {
        match self {
            Self::Nx { corrupt_permille, .. } => {
                let corrupt = u64::from(asked) * u64::from(*corrupt_permille) / 1000;
                MIN_SUM_OWNERS.saturating_add(u32::try_from(corrupt).unwrap_or(u32::MAX))
            }
            Self::SecAggPlus(terms) => terms.quorum(asked).max(MIN_SUM_OWNERS + 1),
        }
    }

    /// Parts that are opened one by one, each over the fewest owners at least.
    pub(crate) const fn leaves(&self) -> u16 {
        match self {
            Self::Nx { leaves, .. } => *leaves,
            Self::SecAggPlus(_) => 1,
        }
    }

    /// The terms of sums without a committee.
    pub(crate) fn pairwise(&self) -> Result<secagg_plus::Terms, TrainingError> {
        match self {
            Self::SecAggPlus(terms) => Ok(*terms),
            Self::Nx { .. } => Err(SumError::OutOfTurn.into()),
        }
    }

    /// How the committee shares keys; `None` without one.
    ///
    /// # Errors
    /// [`TrainingError::Masking`] for a committee of a size outside the table.
    pub fn layout(&self) -> Result<Option<Layout>, TrainingError> {
        let members = u16::try_from(self.members().len()).unwrap_or(u16::MAX);
        if members == 0 && matches!(self, Self::SecAggPlus(_)) {
            return Ok(None);
        }
        let outside = |_| SumError::Setting {
            setting: "members".to_owned(),
            got: members.into(),
            least: 4,
            most: 100,
        };
        Ok(Some(Layout::committee(members).map_err(outside)?))
    }

    /// How many members of the committee must answer; 0 without one.
    ///
    /// # Errors
    /// As [`EngineTerms::layout`].
    pub fn quorum(&self) -> Result<u32, TrainingError> {
        Ok(self.layout()?.map_or(0, |layout| layout.quorum().into()))
    }

    /// Values in one element of the mask's ring; `None` for an engine without it.
    ///
    /// # Errors
    /// As [`EngineTerms::limit`].
    pub fn values_per_word(&self, owners: u32) -> Result<Option<u8>, TrainingError> {
        match self {
            Self::Nx { packing, .. } => Ok(Some(packing_for(owners, *packing)?.values())),
            Self::SecAggPlus(_) => Ok(None),
        }
    }

    /// The largest magnitude of one of `owners` owners' values.
    ///
    /// # Errors
    /// [`TrainingError::Masking`] if the engine cannot serve so many, or so few.
    pub fn limit(&self, owners: u32) -> Result<i64, TrainingError> {
        match self {
            Self::Nx { packing, .. } => Ok(packing_for(owners, *packing)?.limit()),
            Self::SecAggPlus(_) => Ok(secagg_plus::limit(owners)),
        }
    }
}

/// The packing for sums over up to `owners` owners.
pub(crate) fn packing_for(owners: u32, values: Option<u8>) -> Result<nx::Packing, TrainingError> {
    let acceptance = nx::Acceptance::Honest;
    Ok(match values {
        None => nx::Packing::choose(owners, acceptance)?,
        Some(values) => nx::Packing::by_name(owners, values, acceptance)?,
    })
}

impl JobTerms {
    /// Checks the terms of a job with `owners` owners, of whom `asked` are in a round.
    ///
    /// # Errors
    /// [`TrainingError`] names the first that is impossible.
    pub fn check(&self, owners: u32, asked: u32) -> Result<(), TrainingError> {
        in_range("owners with keys", self.owners.len() as f64, owners.into(), owners.into())?;
        if let EngineTerms::Nx { corrupt_permille, .. } = &self.engine {
            in_range("corrupt owners in a thousand", (*corrupt_permille).into(), 0.0, MAX_CORRUPT)?;
        }
        let fewest = self.engine.fewest(asked);
        in_range("asked", asked.into(), fewest.into(), owners.into())?;
        in_range("n_min", self.n_min.into(), fewest.into(), asked.into())?;
        in_range("max_attempts", self.attempts.into(), 1.0, MAX_SUM_ATTEMPTS.into())?;
        in_range("clip", self.clip, 1e-9, MAX_CLIP)?;
        let leaves = asked / self.n_min.max(1);
        in_range("leaves", self.engine.leaves().into(), 1.0, leaves.min(MAX_LEAVES).into())?;
        self.engine.quorum()?;
        self.engine.limit(owners)?;
        self.engine.limit(asked)?;
        Ok(())
    }

    /// Checks what the job promises its owners.
    ///
    /// # Errors
    /// [`TrainingError`] names what is impossible, or not kept.
    pub(crate) fn check_privacy(&self, plan: &Plan) -> Result<(), TrainingError> {
        self.privacy.as_ref().map_or(Ok(()), |privacy| privacy.check(plan, self))
    }

    /// The key of `owner`.
    pub fn owner(&self, owner: OwnerId) -> Option<PublicKey> {
        self.owners.get(owner.index()).copied()
    }
}
