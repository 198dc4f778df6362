//! From shares to secrets to masks to the sum.

use std::collections::{BTreeMap, BTreeSet};

use curve25519_dalek::{RistrettoPoint, Scalar};
use nexus_field::mask::{self, MaskKey, Sign};
use nexus_types::OwnerId;
use zeroize::Zeroizing;

use super::message::{Share, Shares, Signed};
use super::secret::{Secret, Way, commitment, own_mask};
use super::terms::Setup;
use crate::aggregation::{Peer, SumError};
use crate::identity::Signature;
use crate::sharing::polynomial::{Basis, evaluate};
use crate::sharing::{decode_column, lagrange_at_zero};

/// Masks that are expanded in one pass over the sum: their keys fit a cache of the second level.
const MASKS_AT_ONCE: usize = 512;

/// What the owners revealed.
#[derive(Debug)]
pub(super) struct Secrets {
    /// Seeds of the survivors' own masks.
    seeds: BTreeMap<OwnerId, Secret>,
    /// Mask keys of those who dropped out.
    keys: BTreeMap<OwnerId, Secret>,
    /// Shares that are false for certain: whose secret they are of, and who revealed them. One of
    /// the two lied.
    contradictions: Vec<[OwnerId; 2]>,
}

/// Reconstructed from shares.
struct Found {
    secret: Secret,
    /// Holders whose shares do not belong to it.
    off: Vec<u16>,
}

/// Lagrange coefficients by the holders whose shares they are for: with few drop-outs the same
/// few sets occur again and again.
#[derive(Default)]
struct Coefficients(BTreeMap<Vec<u16>, Vec<Scalar>>);

impl Coefficients {
    fn combine(&mut self, shares: &[(u16, Scalar)]) -> Result<Scalar, SumError> {
        let holders: Vec<u16> = shares.iter().map(|share| share.0).collect();
        if !self.0.contains_key(&holders) {
            let lambdas = lagrange_at_zero(&holders).map_err(|_| SumError::Garbled)?;
            self.0.insert(holders.clone(), lambdas);
        }
        let lambdas = self.0.get(&holders).into_iter().flatten();
        Ok(lambdas.zip(shares).map(|(lambda, share)| lambda * share.1).sum())
    }

    /// The secret that `accept` takes. Right with up to `(shares − threshold)/2` false shares,
    /// wherever they are, and with more as long as some `threshold` true ones are neighbours in
    /// a ring of all.
    fn recover(
        &mut self,
        shares: &[(u16, Scalar)],
        threshold: u16,
        decodes: bool,
        accept: impl Fn(&Secret) -> bool,
    ) -> Result<Found, SumError> {
        let (have, need) = (shares.len(), usize::from(threshold));
        if have < need {
            let have = u32::try_from(have).unwrap_or(u32::MAX);
            return Err(SumError::TooFew { have, need: threshold.into() });
        }
        // All of them at once: a single false one shows.
        let secret = Secret(self.combine(shares)?);
        if accept(&secret) {
            return Ok(Found { secret, off: Vec::new() });
        }
        let decoded = decodes.then(|| decode_column(nodes(shares), &values(shares), need));
        if let Some(polynomial) = decoded.flatten().map(Zeroizing::new) {
            let secret = Secret(polynomial.first().copied().unwrap_or_default());
            if accept(&secret) {
                return Ok(Found { secret, off: off(&polynomial, shares) });
            }
        }
        for start in 0..have {
            let mut window: Vec<_> =
                shares.iter().cycle().skip(start).take(need).copied().collect();
            window.sort_unstable_by_key(|share| share.0);
            let secret = Secret(self.combine(&window)?);
            if accept(&secret) {
                let basis = Basis::new(nodes(&window)).ok_or(SumError::Garbled)?;
                let polynomial = Zeroizing::new(basis.coefficients(&values(&window)));
                return Ok(Found { secret, off: off(&polynomial, shares) });
            }
        }
        Err(SumError::Garbled)
    }
}

fn nodes(shares: &[(u16, Scalar)]) -> Vec<Scalar> {
    shares.iter().map(|(holder, _)| Scalar::from(*holder)).collect()
}

fn values(shares: &[(u16, Scalar)]) -> Zeroizing<Vec<Scalar>> {
    Zeroizing::new(shares.iter().map(|(_, value)| *value).collect())
}

/// Holders whose shares are not on the polynomial.
fn off(polynomial: &[Scalar], shares: &[(u16, Scalar)]) -> Vec<u16> {
    let differs = |share: &&(u16, Scalar)| evaluate(polynomial, Scalar::from(share.0)) != share.1;
    shares.iter().filter(differs).map(|(holder, _)| *holder).collect()
}

impl Secrets {
    /// Puts the shares together.
    ///
    /// # Errors
    /// [`SumError::TooFew`] if too few holders of one secret answered, and [`SumError::Garbled`]
    /// if their shares are of no secret that was committed to.
    pub(super) fn recover(
        setup: &Setup,
        adverts: &BTreeMap<OwnerId, Signed>,
        shares: &BTreeMap<OwnerId, Shares>,
        survivors: &BTreeMap<OwnerId, Signature>,
        reveals: &BTreeMap<OwnerId, Vec<(OwnerId, Share)>>,
        decodes: bool,
    ) -> Result<Self, SumError> {
        let threshold = setup.neighbourhood(adverts.len())?.threshold;
        let revealed = by_owner(shares, reveals);
        let mut coefficients = Coefficients::default();
        let mut secrets =
            Self { seeds: BTreeMap::new(), keys: BTreeMap::new(), contradictions: Vec::new() };
        let corrupt = setup.terms.corrupt(setup.owners());
        let session = &setup.session.manifest;
        for (owner, packets) in shares {
            let given = revealed.get(owner).map_or(&[][..], Vec::as_slice);
            let found = if survivors.contains_key(owner) {
                let right = |seed: &Secret| commitment(session, *owner, seed) == packets.commitment;
                let found = coefficients.recover(given, threshold, decodes, right)?;
                secrets.seeds.insert(*owner, found.secret.clone());
                found
            } else {
                let public = adverts.get(owner).map(|signed| signed.mask);
                let right = |key: &Secret| Some(key.public()) == public;
                let found = coefficients.recover(given, threshold, decodes, right)?;
                secrets.keys.insert(*owner, found.secret.clone());
                found
            };
            if certain(given.len() - found.off.len(), threshold, corrupt) {
                let holders = found
                    .off
                    .iter()
                    .filter_map(|place| packets.packets.get(usize::from(*place).checked_sub(1)?));
                secrets.contradictions.extend(holders.map(|packet| [*owner, packet.peer]));
            }
        }
        Ok(secrets)
    }

    /// Owners in more contradictions, on one side, than there are owners that may lie.
    pub(super) fn liars(&self, corrupt: u32) -> Vec<OwnerId> {
        let mut counts = BTreeMap::<(OwnerId, usize), u32>::new();
        for pair in &self.contradictions {
            for (side, owner) in pair.iter().enumerate() {
                *counts.entry((*owner, side)).or_default() += 1;
            }
        }
        let mut liars: Vec<OwnerId> = counts
            .into_iter()
            .filter(|(_, count)| *count > corrupt)
            .map(|((id, _), _)| id)
            .collect();
        liars.dedup();
        liars
    }

    /// The masks that are in the sum of the survivors' vectors, with the sign that removes them.
    pub(super) fn masks(
        &self,
        setup: &Setup,
        adverts: &BTreeMap<OwnerId, Signed>,
        shares: &BTreeMap<OwnerId, Shares>,
    ) -> Result<Vec<(MaskKey, Sign)>, SumError> {
        let session = &setup.session.manifest;
        let own = self.seeds.iter();
        let mut masks: Vec<(MaskKey, Sign)> =
            own.map(|(owner, seed)| (own_mask(session, *owner, seed), Sign::Minus)).collect();
        let mut points = BTreeMap::new();
        if !self.keys.is_empty() {
            for owner in self.seeds.keys() {
                let bad = || SumError::Key { peer: Peer::Owner(*owner) };
                let signed = adverts.get(owner).ok_or_else(bad)?;
                points.insert(*owner, signed.mask.element().ok_or_else(bad)?);
            }
        }
        for (gone, drawn) in partners(shares, &self.keys) {
            let Some(key) = self.keys.get(&gone) else { continue };
            let present = drawn.iter().filter_map(|owner| Some((*owner, *points.get(owner)?)));
            let (partners, points): (Vec<OwnerId>, Vec<RistrettoPoint>) = present.unzip();
            // The owner that is gone would have applied the opposite of what its partner did.
            let common = key.meet(&points);
            let pairs = partners.into_iter().zip(&common);
            masks.extend(pairs.map(|(to, common)| Way { session, from: gone, to }.mask(common)));
        }
        Ok(masks)
    }
}

/// Whether the polynomial on which `agreeing` shares lie is the one that was dealt, if the dealer is
/// honest: another one with the same secret goes through at most `threshold − 2` honest shares, and
/// through those that the corrupt holders moved onto it, of which there are fewer than `threshold`.
fn certain(agreeing: usize, threshold: u16, corrupt: u32) -> bool {
    let others = u32::from(threshold).saturating_sub(1);
    agreeing >= (others + corrupt.min(others)) as usize
}

/// The revealed shares of each owner, by the holder's place among its packets from 1.
fn by_owner(
    shares: &BTreeMap<OwnerId, Shares>,
    reveals: &BTreeMap<OwnerId, Vec<(OwnerId, Share)>>,
) -> BTreeMap<OwnerId, Vec<(u16, Scalar)>> {
    let mut given: BTreeMap<OwnerId, Vec<(u16, Scalar)>> = BTreeMap::new();
    for (holder, revealed) in reveals {
        for (owner, share) in revealed {
            let (Share::Own(value) | Share::Key(value)) = share;
            let place = shares.get(owner).and_then(|shares| place(shares, *holder));
            if let Some(place) = place {
                given.entry(*owner).or_default().push((place, value.0));
            }
        }
    }
    given
}

fn place(shares: &Shares, holder: OwnerId) -> Option<u16> {
    let place = shares.packets.binary_search_by_key(&holder, |packet| packet.peer).ok()?;
    u16::try_from(place + 1).ok()
}

/// For each owner that is gone, those that it drew as neighbours and those that drew it.
fn partners(
    shares: &BTreeMap<OwnerId, Shares>,
    gone: &BTreeMap<OwnerId, Secret>,
) -> BTreeMap<OwnerId, BTreeSet<OwnerId>> {
    let mut partners: BTreeMap<OwnerId, BTreeSet<OwnerId>> = BTreeMap::new();
    for (from, shares) in shares {
        for packet in &shares.packets {
            for (a, b) in [(*from, packet.peer), (packet.peer, *from)] {
                if gone.contains_key(&a) {
                    partners.entry(a).or_default().insert(b);
                }
            }
        }
    }
    partners
}

/// The sum without the masks, centred.
pub(super) fn remove(masks: &[(MaskKey, Sign)], sum: &[u32]) -> Vec<i64> {
    let mut sum = sum.to_vec();
    for masks in masks.chunks(MASKS_AT_ONCE) {
        mask::apply(masks, &mut sum);
    }
    sum.into_iter().map(|value| i64::from(value.cast_signed())).collect()
}
