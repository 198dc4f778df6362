//! How many neighbours an owner has and how many of them open its secrets: computed by every
//! party from what all know, never sent.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, OwnerId, borsh};

use crate::aggregation::{Session, SumError};
use crate::identity::PublicKey;
use crate::sharing::MAX_HOLDERS;

/// Chance that some owner's neighbours include enough corrupt ones: 2^-40.
const PRIVACY: f64 = 1.0 / (1u64 << 40) as f64;
/// Chance that some owner's secrets cannot be opened although no more than the tolerated share of
/// owners dropped out: 2^-20.
const FAILURE: f64 = 1.0 / (1u64 << 20) as f64;
/// Fewest owners in a sum: below, an owner's input is the sum less the other one's.
const LEAST_OWNERS: u32 = 3;
/// Owners from which on a sparse graph cannot fall into parts: see the tests of the graph.
const SPARSE_FROM: u32 = 40;
/// The threshold is at least this part of the degree: where few are corrupt, more would be needed.
const LEAST_PART: u32 = 3;
const MOST_CORRUPT: u16 = 333;
const MOST_DROPOUT: u16 = 450;
const PERMILLE: u64 = 1000;

/// The engine's terms of one sum. The round manifest must bind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    /// The share of the owners asked that may collude with the coordinator, in thousandths, from
    /// 1 to 333. Rounded up to whole owners.
    pub corrupt_permille: u16,
    /// The share of the owners that may fall silent once they have advertised keys, in
    /// thousandths, at most 450. Rounded down.
    pub dropout_permille: u16,
}

impl Canonical for Terms {
    const DOMAIN: &'static str = "nexus/mpc/secagg-plus/terms";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 16;
}

impl Default for Terms {
    /// A tenth of each.
    fn default() -> Self {
        Self { corrupt_permille: 100, dropout_permille: 100 }
    }
}

/// With how many others an owner shares its secrets, and how many of them open them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbourhood {
    /// Others that hold shares, `k`.
    pub degree: u16,
    /// Shares that open a secret, `t`.
    pub threshold: u16,
}

/// The largest magnitude of one owner's value among `owners`: no sum of them leaves the 32 bits
/// of the masks.
#[must_use]
pub fn limit(owners: u32) -> i64 {
    (i64::from(i32::MAX)) / i64::from(owners.max(1))
}

/// Bits, sign included, of the values that the sum of `owners` has room for when half of the
/// range is kept for noise: `n·2^(b−1) <= 2^30`, so `b = 31 − ⌈log2 n⌉`. The noise may use the
/// rest up to [`limit`].
#[must_use]
pub fn value_bits(owners: u32) -> u32 {
    31u32.saturating_sub(owners.max(1).next_power_of_two().trailing_zeros())
}

impl Terms {
    /// Owners of `owners` that may be corrupt.
    #[must_use]
    pub fn corrupt(&self, owners: u32) -> u32 {
        whole((u64::from(owners) * u64::from(self.corrupt_permille)).div_ceil(PERMILLE))
    }

    /// Owners of `owners` that may drop out.
    #[must_use]
    pub fn dropouts(&self, owners: u32) -> u32 {
        whole(u64::from(owners) * u64::from(self.dropout_permille) / PERMILLE)
    }

    /// Votes that make a set of survivors the only one: more than half of the `owners` asked and
    /// the corrupt ones, so that two such sets of voters share an honest owner, and it votes once.
    #[must_use]
    pub fn quorum(&self, owners: u32) -> u32 {
        owners.saturating_add(self.corrupt(owners)) / 2 + 1
    }

    /// Degree and threshold when `advertised` of the `owners` asked sent keys.
    ///
    /// The smallest even degree `k` and threshold `t` for which, over hypergeometric draws and
    /// all owners at once, `t` corrupt neighbours have a chance of at most 2^-40, fewer than `t`
    /// answering ones at most 2^-20, and `k/2` neighbours in a row that are corrupt or silent at
    /// most 2^-40 (the three conditions that Bell et al. 2020, section 3, put on their graphs);
    /// `t >= ⌊k/3⌋`. Below 40 owners, and where there is no such degree, everybody is everybody's
    /// neighbour, and any `quorum − 1` of the others open a secret.
    ///
    /// # Errors
    /// [`SumError::TooFew`] if fewer than the quorum advertised, and [`SumError::Setting`] if no
    /// degree up to 200 will do.
    pub fn neighbourhood(&self, owners: u32, advertised: u32) -> Result<Neighbourhood, SumError> {
        let need = self.quorum(owners).max(LEAST_OWNERS);
        if advertised < need {
            return Err(SumError::TooFew { have: advertised, need });
        }
        let (corrupt, silent) = (self.corrupt(owners), self.dropouts(advertised));
        let draws = Draws { others: advertised - 1, corrupt, silent };
        if let Some(found) = draws.smallest() {
            return Ok(found);
        }
        let most = MAX_HOLDERS;
        let degree = u16::try_from(draws.others).ok().filter(|degree| *degree <= most);
        let got = u64::from(draws.others);
        let degree =
            degree.ok_or_else(|| setting("owners with all as neighbours", got, 2, most.into()))?;
        // Whoever voted can answer: a quorum, of which an owner itself is one.
        let threshold = u16::try_from(need - 1).unwrap_or(degree).min(degree);
        Ok(Neighbourhood { degree, threshold })
    }

    fn check(self, owners: u32, n_min: u32) -> Result<(), SumError> {
        let corrupt = u64::from(self.corrupt_permille);
        if !(1..=MOST_CORRUPT).contains(&self.corrupt_permille) {
            return Err(setting("corrupt_permille", corrupt, 1, MOST_CORRUPT.into()));
        }
        let (n, dropout) = (u64::from(owners), u64::from(self.dropout_permille));
        if owners < LEAST_OWNERS || i64::from(owners) > i64::from(i32::MAX) {
            return Err(setting("owners", n, LEAST_OWNERS.into(), i32::MAX.unsigned_abs().into()));
        }
        let spare = n - u64::from(self.quorum(owners)).min(n);
        let most = u64::from(MOST_DROPOUT).min(spare * PERMILLE / n);
        if self.quorum(owners) > owners || u64::from(self.dropouts(owners)) > spare {
            return Err(setting("dropout_permille", dropout, 0, most));
        }
        // One honest owner alone in the set would have no protection.
        let least = u64::from(self.corrupt(owners)) + 2;
        if u64::from(n_min) < least || n_min > owners {
            return Err(setting("n_min", n_min.into(), least, n));
        }
        self.neighbourhood(owners, owners).map(|_| ())
    }
}

fn whole(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn setting(name: &str, got: u64, least: u64, most: u64) -> SumError {
    SumError::Setting { setting: name.to_owned(), got, least, most }
}

/// Drawing neighbours among all other owners.
struct Draws {
    others: u32,
    corrupt: u32,
    silent: u32,
}

impl Draws {
    fn smallest(&self) -> Option<Neighbourhood> {
        if self.others < SPARSE_FROM - 1 {
            return None;
        }
        // Beyond, a draw without marked ones is impossible, and so is the recurrence of `tails`.
        let unmarked = |marked: u32| self.others.saturating_sub(marked);
        let most = unmarked(self.corrupt.max(self.silent))
            .min(2 * unmarked(self.corrupt + self.silent))
            .min(self.others - 1)
            .min(MAX_HOLDERS.into());
        (2..=most).step_by(2).find_map(|degree| self.with(degree))
    }

    fn with(&self, degree: u32) -> Option<Neighbourhood> {
        let owners = f64::from(self.others) + 1.0;
        let corrupt = self.tails(degree, self.corrupt);
        let thresholds = (degree / LEAST_PART).max(1)..degree;
        let threshold = thresholds.into_iter().find(|t| owners * at(&corrupt, *t) <= PRIVACY)?;
        let silent = self.tails(degree, self.silent);
        let stuck = at(&silent, degree - threshold + 1);
        let cut = at(&self.tails(degree / 2, self.corrupt + self.silent), degree / 2);
        let good = owners * stuck <= FAILURE && owners * cut <= PRIVACY;
        let numbers = good.then(|| (u16::try_from(degree), u16::try_from(threshold)));
        match numbers {
            Some((Ok(degree), Ok(threshold))) => Some(Neighbourhood { degree, threshold }),
            _ => None,
        }
    }

    /// The chance that at least `x` of `drawn` others are among the `marked`, at index `x`:
    /// hypergeometric. Only `+`, `×` and `÷`, which IEEE 754 rounds the same everywhere, so that
    /// all parties find the same numbers.
    fn tails(&self, drawn: u32, marked: u32) -> Vec<f64> {
        let (all, marked, drawn) = (f64::from(self.others), f64::from(marked), f64::from(drawn));
        let mut chance = counts(drawn).fold(1.0, |p, i| p * ((all - marked - i) / (all - i)));
        let mut chances = vec![chance];
        for x in counts(drawn.min(marked)) {
            let more = (marked - x) * (drawn - x) / ((x + 1.0) * (all - marked - drawn + x + 1.0));
            chance *= more;
            chances.push(chance);
        }
        let mut sum = 0.0;
        for chance in chances.iter_mut().rev() {
            sum += *chance;
            *chance = sum;
        }
        chances
    }
}

fn counts(below: f64) -> impl Iterator<Item = f64> {
    (0..).map(f64::from).take_while(move |i| *i < below)
}

fn at(tails: &[f64], x: u32) -> f64 {
    tails.get(x as usize).copied().unwrap_or(0.0)
}

/// A session with terms that fit it.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) session: Session,
    pub(super) terms: Terms,
}

impl Setup {
    pub(super) fn new(session: Session, terms: Terms) -> Result<Self, SumError> {
        let setup = Self { session, terms };
        terms.check(setup.owners(), setup.session.n_min)?;
        Ok(setup)
    }

    pub(super) fn owners(&self) -> u32 {
        u32::try_from(self.session.owners.len()).unwrap_or(u32::MAX)
    }

    /// Fewest owners with whom any phase may end.
    pub(super) fn need(&self) -> u32 {
        self.terms.quorum(self.owners()).max(self.session.n_min)
    }

    /// Fewest of `advertised` owners with whom any later phase may end. The degree of the graph
    /// was computed for few drop-outs: were more allowed, a coordinator that sees the graph
    /// could choose whom to leave out so that it falls apart.
    pub(super) fn need_of(&self, advertised: usize) -> u32 {
        let advertised = u32::try_from(advertised).unwrap_or(u32::MAX);
        let hood = self.terms.neighbourhood(self.owners(), advertised);
        if hood.is_ok_and(|hood| u32::from(hood.degree) + 1 >= advertised) {
            return self.need();
        }
        self.need().max(advertised.saturating_sub(self.terms.dropouts(advertised)))
    }

    pub(super) fn key(&self, owner: OwnerId) -> Option<&PublicKey> {
        self.session.owners.get(&owner)
    }

    pub(super) fn neighbourhood(&self, advertised: usize) -> Result<Neighbourhood, SumError> {
        let advertised = u32::try_from(advertised).unwrap_or(u32::MAX);
        self.terms.neighbourhood(self.owners(), advertised)
    }

    pub(super) fn limit(&self) -> i64 {
        limit(self.owners())
    }
}
