//! Secrets from answers, some of which are missing and some lies.

use std::collections::BTreeMap;

use nexus_types::MemberId;

use super::decode::Answers;
use super::field::Field;
use super::layout::Layout;

/// Largest committee among whose answers subsets are searched: 4,368 of them at most.
const SEARCH_MEMBERS: u16 = 16;

/// What the answers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered<F = nexus_field::Fp> {
    /// The secrets.
    pub secrets: Vec<F>,
    /// Members that lied, proven under the assumption that at most `f` are faulty
    /// and that the dealers shared what is accepted.
    pub liars: Vec<MemberId>,
    /// Members whose answers do not fit the others', where it may be the others that lied: the
    /// secrets are right, but too many answers are missing or wrong to tell who is.
    pub disputed: Vec<MemberId>,
}

/// Why the answers say nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Somebody answered who is not on the committee.
    #[error("an answer of {member}, the committee has {members} members")]
    Stranger {
        /// Who.
        member: MemberId,
        /// Size of the committee.
        members: u16,
    },
    /// Not enough answers of the right length.
    #[error("{have} answers, {need} are needed")]
    TooFew {
        /// Usable answers.
        have: u16,
        /// Answers needed.
        need: u16,
    },
    /// All answers agree, on secrets that are not accepted: the fault is in what was shared.
    #[error("the answers of all {answers} members agree, but on no acceptable secret")]
    Rejected {
        /// Usable answers.
        answers: u16,
    },
    /// More lies than can be told from the truth.
    #[error("{answers} answers contradict each other, more than can be resolved")]
    Undecodable {
        /// Usable answers.
        answers: u16,
    },
}

/// Recovers `secrets` secrets from the answers of the members, sums of the rows dealt to them.
///
/// `accept` decides whether a candidate is the true sum; it must not accept another one. With
/// `e` lies and `s` answers missing, the result is right if `2e + s ≤ m − t_rec`, and for up to
/// 16 members already if `e + s ≤ m − t_rec`: unique decoding comes first, then every subset of
/// `t_rec` answers is tried. Whatever the number of lies, the result passes `accept` or is an
/// error. The work is bounded: 4,368 candidates.
///
/// # Who lied
/// Members whose answers do not lie on the accepted polynomials. But `e` liars can move their
/// answers to other polynomials that have the *same* secrets and pass through the answers of
/// `t_priv − 1` honest members. If they fill up a set of `t_rec` with them (`e > ρ`), both sets
/// explain the same secrets and either may be the honest one. Hence members are named only if
/// `t_priv + f` or more answers agree, that is, in our committees, if `e + s ≤ ρ`: at most
/// `t_priv − 1` of those could be honest and moved onto by liars, and `f + 1` liars there are
/// not. Otherwise they are [`Recovered::disputed`]. This takes for granted that what `accept`
/// takes is what was shared: a dealer that has another sum accepted than it shared can lead `f`
/// liars onto polynomials through `t_rec − 1` honest members, and the rest would be named.
///
/// # Errors
/// [`RecoverError`].
pub fn recover<F: Field>(
    layout: &Layout<F>,
    answers: &BTreeMap<MemberId, Vec<F>>,
    secrets: usize,
    accept: impl Fn(&[F]) -> bool,
) -> Result<Recovered<F>, RecoverError> {
    let search = Search::new(layout, answers, secrets, accept)?;
    let (candidate, agreeing) = match search.by_decoding() {
        Some(found) => found,
        None => search.by_subsets()?,
    };
    Ok(search.verdict(layout, candidate, &agreeing))
}

struct Search<F, A> {
    members: Vec<MemberId>,
    misshapen: Vec<MemberId>,
    answers: Answers<F>,
    points: Vec<F>,
    secrets: usize,
    accept: A,
    exhaustive: bool,
}

impl<F: Field, A: Fn(&[F]) -> bool> Search<F, A> {
    fn new(
        layout: &Layout<F>,
        answers: &BTreeMap<MemberId, Vec<F>>,
        secrets: usize,
        accept: A,
    ) -> Result<Self, RecoverError> {
        let (mut members, mut misshapen) = (Vec::new(), Vec::new());
        let (mut nodes, mut rows) = (Vec::new(), Vec::new());
        for (&member, row) in answers {
            let stranger = RecoverError::Stranger { member, members: layout.members() };
            let node = layout.point_of(member).ok_or(stranger)?;
            if row.len() == layout.elements(secrets) {
                members.push(member);
                nodes.push(node);
                rows.push(row.as_slice());
            } else {
                misshapen.push(member);
            }
        }
        let dimension = usize::from(layout.recovery());
        if members.len() < dimension {
            return Err(RecoverError::TooFew { have: count(&members), need: layout.recovery() });
        }
        let answers = Answers::new(nodes, &rows, dimension);
        let points = layout.secret_points().collect();
        let exhaustive = layout.members() <= SEARCH_MEMBERS;
        Ok(Self { members, misshapen, answers, points, secrets, accept, exhaustive })
    }

    /// The candidate through the first `t_rec` of these answers, if it is accepted.
    fn accepted(&self, of: &[usize]) -> Option<Vec<F>> {
        let mut candidate = self.answers.interpolate(&of[..self.answers.dimension()], &self.points);
        candidate.truncate(self.secrets);
        (self.accept)(&candidate).then_some(candidate)
    }

    fn by_decoding(&self) -> Option<(Vec<F>, Vec<usize>)> {
        let agreeing = self.answers.decode()?;
        Some((self.accepted(&agreeing)?, agreeing))
    }

    fn by_subsets(&self) -> Result<(Vec<F>, Vec<usize>), RecoverError> {
        let answers = count(&self.members);
        let (size, dimension) = (self.members.len(), self.answers.dimension());
        let first: Vec<usize> = (0..dimension).collect();
        if self.answers.agreeing(&first).len() == size {
            return Err(RecoverError::Rejected { answers });
        }
        let mut subset = self.exhaustive.then_some(first);
        while let Some(of) = subset {
            if let Some(candidate) = self.accepted(&of) {
                return Ok((candidate, self.answers.agreeing(&of)));
            }
            subset = next_subset(of, size);
        }
        Err(RecoverError::Undecodable { answers })
    }

    fn verdict(self, layout: &Layout<F>, secrets: Vec<F>, agreeing: &[usize]) -> Recovered<F> {
        let differs = |&(i, _): &(usize, &MemberId)| agreeing.binary_search(&i).is_err();
        let off = self.members.iter().enumerate().filter(differs).map(|(_, &member)| member);
        let (mut liars, mut disputed) = (self.misshapen, Vec::new());
        if agreeing.len() >= usize::from(layout.privacy() + layout.faulty()) {
            liars.extend(off);
            liars.sort_unstable();
        } else {
            disputed.extend(off);
        }
        Recovered { secrets, liars, disputed }
    }
}

fn count(members: &[MemberId]) -> u16 {
    u16::try_from(members.len()).unwrap_or(u16::MAX)
}

/// The subset of `0..size` after this one in lexicographic order; both are increasing.
fn next_subset(mut subset: Vec<usize>, size: usize) -> Option<Vec<usize>> {
    let length = subset.len();
    let last = subset.iter().enumerate().rposition(|(i, &x)| x < size - length + i)?;
    let next = subset[last] + 1;
    for (x, value) in subset[last..].iter_mut().zip(next..) {
        *x = value;
    }
    Some(subset)
}
