//! Who gets what: the points of a packed sharing and what follows from them.

use std::fmt;
use std::sync::Arc;

use nexus_field::Fp;
use nexus_types::MemberId;

use super::field::Field;
use super::polynomial::Basis;

/// Largest committee.
pub const MAX_MEMBERS: u16 = 200;

/// `(m, t_priv, ρ)` of the committees that may sum updates, smallest first.
const COMMITTEES: [(u16, u16, u16); 5] =
    [(4, 2, 1), (7, 4, 1), (16, 8, 3), (50, 25, 9), (100, 50, 17)];

/// The shape of a packed Shamir sharing (M. Franklin and M. Yung, STOC 1992) over `F`.
///
/// Each polynomial of degree below [`Layout::recovery`] has secrets at `−1..=−ρ` and the share of
/// member `i` (counted from 0, as [`MemberId`] does) at `i + 1`. Any `t_priv` shares are uniform
/// and independent of the secrets; any `t_priv + ρ` determine them; in between they leak one
/// combination each.
#[derive(Clone)]
pub struct Layout<F = Fp> {
    members: u16,
    privacy: u16,
    packing: u16,
    tables: Arc<Tables<F>>,
}

struct Tables<F> {
    /// The polynomials by their values at `−1..=−ρ, 1..=t_priv`.
    basis: Basis<F>,
    /// For each member after the first `t_priv`, how its share follows from those values.
    extension: Vec<Vec<F>>,
}

/// Why there is no such layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Committees have the sizes of a closed table.
    #[error("a committee of {members}, it has 4, 7, 16, 50 or 100 members")]
    Committee {
        /// The size asked for.
        members: u16,
    },
    /// The numbers do not fit together.
    #[error(
        "{members} members, privacy {privacy} and packing {packing}: all are at least 1, \
         their sum is at most {MAX_MEMBERS} members"
    )]
    Shape {
        /// Members asked for.
        members: u16,
        /// Privacy asked for.
        privacy: u16,
        /// Packing asked for.
        packing: u16,
    },
}

impl Layout {
    /// The layout of a committee of `members`.
    ///
    /// | m | f | `t_priv` | ρ | recovery |
    /// |---|---|---|---|---|
    /// | 4 | 1 | 2 | 1 | 3 |
    /// | 7 | 2 | 4 | 1 | 5 |
    /// | 16 | 5 | 8 | 3 | 11 |
    /// | 50 | 16 | 25 | 9 | 34 |
    /// | 100 | 33 | 50 | 17 | 67 |
    ///
    /// # Errors
    /// [`LayoutError::Committee`] for any other size.
    pub fn committee(members: u16) -> Result<Self, LayoutError> {
        let &(members, privacy, packing) = COMMITTEES
            .iter()
            .find(|row| row.0 == members)
            .ok_or(LayoutError::Committee { members })?;
        Self::with(members, privacy, packing)
    }
}

impl<F: Field> Layout<F> {
    /// A sharing among `members` that `privacy` of them cannot open, with `packing` secrets per
    /// polynomial.
    ///
    /// # Errors
    /// [`LayoutError::Shape`] if a number is nought or `privacy + packing > members`, or if the
    /// field has too few points.
    pub fn with(members: u16, privacy: u16, packing: u16) -> Result<Self, LayoutError> {
        let shape = LayoutError::Shape { members, privacy, packing };
        let fits = members <= MAX_MEMBERS && privacy.saturating_add(packing) <= members;
        if privacy == 0 || packing == 0 || !fits {
            return Err(shape);
        }
        let all = (1..=packing).map(secret_point).chain((1..=members).map(point));
        if Basis::<F>::new(all.collect()).is_none() {
            return Err(shape);
        }
        let nodes = (1..=packing).map(secret_point).chain((1..=privacy).map(point));
        let basis = Basis::new(nodes.collect()).ok_or(shape)?;
        let extension = (privacy + 1..=members).map(|x| basis.at(point(x))).collect();
        Ok(Self { members, privacy, packing, tables: Arc::new(Tables { basis, extension }) })
    }

    /// Members, `m`.
    pub const fn members(&self) -> u16 {
        self.members
    }

    /// Shares that tell nothing, `t_priv`.
    pub const fn privacy(&self) -> u16 {
        self.privacy
    }

    /// Secrets per polynomial, `ρ`.
    pub const fn packing(&self) -> u16 {
        self.packing
    }

    /// Shares that tell everything, `t_rec = t_priv + ρ`: also the length of a check polynomial.
    pub const fn recovery(&self) -> u16 {
        self.privacy + self.packing
    }

    /// Members that may be faulty, `f = ⌊(m − 1)/3⌋`.
    pub const fn faulty(&self) -> u16 {
        (self.members - 1) / 3
    }

    /// Votes that certify a survivor set, `⌊(m + f)/2⌋ + 1`: two such quorums share an honest
    /// member.
    pub const fn quorum(&self) -> u16 {
        u16::midpoint(self.members, self.faulty()) + 1
    }

    /// Field elements in the share of `secrets` secrets.
    pub const fn elements(&self, secrets: usize) -> usize {
        secrets.div_ceil(self.packing as usize)
    }

    /// Where the polynomials have the share of `member`; nothing if it is not on the committee.
    pub(crate) fn point_of(&self, member: MemberId) -> Option<F> {
        (member.0 < self.members).then(|| F::from_u64(u64::from(member.0) + 1))
    }

    /// Where the polynomials have their secret `place`, from 1 to ρ.
    pub(crate) fn secret_points(&self) -> impl Iterator<Item = F> {
        (1..=self.packing).map(secret_point)
    }

    pub(crate) fn basis(&self) -> &Basis<F> {
        &self.tables.basis
    }

    /// How the share of the member with `index >= t_priv` follows from the values at the basis.
    pub(crate) fn extension(&self) -> &[Vec<F>] {
        &self.tables.extension
    }
}

pub(crate) fn point<F: Field>(x: u16) -> F {
    F::from_u64(u64::from(x))
}

pub(crate) fn secret_point<F: Field>(place: u16) -> F {
    -point::<F>(place)
}

impl<F> PartialEq for Layout<F> {
    fn eq(&self, other: &Self) -> bool {
        (self.members, self.privacy, self.packing) == (other.members, other.privacy, other.packing)
    }
}

impl<F> Eq for Layout<F> {}

impl<F> fmt::Debug for Layout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { members, privacy, packing, .. } = self;
        write!(f, "Layout({members} members, privacy {privacy}, packing {packing})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharing::toy::Toy;

    #[test]
    fn committees_are_those_of_the_table() {
        let table = [
            (4, 1, 2, 1, 3, 3),
            (7, 2, 4, 1, 5, 5),
            (16, 5, 8, 3, 11, 11),
            (50, 16, 25, 9, 34, 34),
            (100, 33, 50, 17, 67, 67),
        ];
        for (members, faulty, privacy, packing, recovery, quorum) in table {
            let layout = Layout::committee(members).unwrap();
            assert_eq!(layout.members(), members);
            assert_eq!(layout.faulty(), faulty);
            assert_eq!((layout.privacy(), layout.packing()), (privacy, packing));
            assert_eq!((layout.recovery(), layout.quorum()), (recovery, quorum));
            // What the rule for naming liars rests on, and two quorums share an honest member.
            assert_eq!(recovery + faulty, members);
            assert!(2 * quorum > members + faulty);
            assert!(privacy > faulty);
        }
        for members in (0..200).filter(|m| !table.iter().any(|row| row.0 == *m)) {
            assert_eq!(Layout::committee(members), Err(LayoutError::Committee { members }));
        }
    }

    #[test]
    fn impossible_shapes_are_refused() {
        for (members, privacy, packing) in
            [(0, 0, 0), (4, 0, 1), (4, 1, 0), (4, 4, 1), (201, 2, 1), (4, u16::MAX, u16::MAX)]
        {
            let refused = LayoutError::Shape { members, privacy, packing };
            assert_eq!(Layout::<Fp>::with(members, privacy, packing), Err(refused));
        }
        // −1 = 4 is member 4's point modulo 5.
        assert!(Layout::<Toy<5>>::with(4, 2, 1).is_err());
        assert!(Layout::<Toy<5>>::with(3, 2, 1).is_ok());
    }

    #[test]
    fn elements_are_counted() {
        let elements = |members| Layout::committee(members).unwrap().elements(1366);
        assert_eq!([4, 7, 16, 50, 100].map(elements), [1366, 1366, 456, 152, 81]);
        assert_eq!(Layout::committee(16).unwrap().elements(0), 0);
    }
}
