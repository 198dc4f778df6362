//! Opening a sum: the sum of the keys from the members' answers, then the values.

use std::collections::BTreeMap;

use nexus_field::{Fp, N};
use nexus_types::MemberId;

use super::masked::{Masked, Unmasked, unmask};
use super::terms::Setup;
use crate::aggregation::SumError;
use crate::sharing::{COEFFICIENTS_PER_ELEMENT, RecoverError, Recovered, recover, unpack3};
use crate::twin::{Check, enforced};

/// Elements of a key before they are shared.
pub(super) const KEY_ELEMENTS: usize = N.div_ceil(COEFFICIENTS_PER_ELEMENT);

/// A sum, and who may have lied about its key.
#[derive(Debug, PartialEq)]
pub(super) struct OpenSum {
    pub(super) values: Vec<i64>,
    /// Members whose answers do not fit. Nothing here proves who lied: an owner that shares
    /// another key than it masks with, together with lying members, makes honest ones not fit.
    pub(super) disputed: Vec<MemberId>,
}

/// Opens the sum over `owners` owners. Key and errors must be short, or nothing is released: a
/// wrong key leaves uniform words behind.
pub(super) fn open(
    setup: &Setup,
    owners: u32,
    sum: &Masked,
    answers: &BTreeMap<MemberId, Vec<Fp>>,
) -> Result<OpenSum, SumError> {
    let packing = setup.packing();
    let bound = packing.key_bound(owners);
    let short = |key: &[i32]| key.iter().all(|k| u64::from(k.unsigned_abs()) <= bound);
    let first = sum.first_block();
    // A liar can choose a lie that leaves a wrong key short. Only the right one leaves short
    // errors, and a block shows them.
    let fits = |key: &[i32]| {
        let Unmasked { error, .. } = unmask(&setup.manifest(), packing, key, &first, 0);
        error <= packing.error_bound(owners)
    };
    let right = |key: &[i32]| !enforced(Check::KeySum) || (short(key) && fits(key));
    let accept = |secrets: &[Fp]| unpack3(secrets, N).is_ok_and(|key| right(&key));
    let recovered = recover(&setup.layout, answers, KEY_ELEMENTS, accept)
        .map_err(|error| why(setup, answers, &error))?;
    let key = unpack3(&recovered.secrets, N).map_err(|_| SumError::Garbled)?;
    let count = setup.session.values as usize;
    let Unmasked { error, values } = unmask(&setup.manifest(), packing, &key, sum, count);
    if error > packing.error_bound(owners) {
        return Err(SumError::Garbled);
    }
    let Recovered { liars, mut disputed, .. } = recovered;
    disputed.extend(liars);
    Ok(OpenSum { values, disputed })
}

fn why(setup: &Setup, answers: &BTreeMap<MemberId, Vec<Fp>>, error: &RecoverError) -> SumError {
    match error {
        RecoverError::TooFew { have, need } => SumError::CommitteeSilent {
            have: (*have).into(),
            need: (*need).into(),
            missing: setup.members().filter(|member| !answers.contains_key(member)).collect(),
        },
        RecoverError::Stranger { .. }
        | RecoverError::Rejected { .. }
        | RecoverError::Undecodable { .. } => SumError::Garbled,
    }
}
