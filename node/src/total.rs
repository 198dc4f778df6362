//! The total of several owners' tables, cell by cell, under a key that nobody holds: owners encrypt, a
//! coordinator adds ciphertexts, some members of a committee open the total and nothing else. All of them are
//! this machine; what they tell each other are bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_he::additive::{self, AdditiveError, AdditiveHe, PublicKey, Sum};
use nexus_he::threshold::{Effect, Event, Group, Member, Partial, Terms, ThresholdError};
use nexus_models::data::{Cell, Column, DataError, Place, Table};
use nexus_mpc::{PacketKey, PacketSecret, SealError};
use nexus_types::{Canonical, CodecError, CryptoRng, Digest, MemberId};
use zeroize::Zeroizing;

use crate::random::SystemRng;

/// Digits that may be kept behind the point.
pub const MAX_DECIMALS: u32 = 9;
/// The only opening of a key that is made for one total.
const OPENING: u64 = 1;

/// What is added up how.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The largest magnitude of a cell.
    pub bound: f64,
    /// Digits behind the point that are kept.
    pub decimals: u32,
    /// Members of the committee.
    pub members: u16,
    /// Members that it takes to open a total.
    pub threshold: u16,
    /// Members that open it.
    pub by: Vec<u16>,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Total {
    /// The total.
    pub table: Table,
    /// Bytes that each owner sent.
    pub upload: usize,
    /// Bytes that each member that opened sent.
    pub share: usize,
}

/// Why there is no total.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TotalError {
    /// The bound times a power of ten is no whole number that is possible.
    #[error(
        "a bound of {got} with {decimals} decimals; it must be above 0 and, times 10^{decimals}, at most {limit}"
    )]
    Bound {
        /// The bound.
        got: f64,
        /// Digits behind the point.
        decimals: u32,
        /// The largest possible.
        limit: u64,
    },
    /// Too many digits.
    #[error("{got} decimals; up to {MAX_DECIMALS} are possible")]
    Decimals {
        /// How many.
        got: u32,
    },
    /// Tables that cannot be added.
    #[error("{table} has other columns or rows than {first}")]
    Shape {
        /// One table.
        table: String,
        /// The first one.
        first: String,
    },
    /// A cell that is no number.
    #[error("{place}: column `{column}` is `{value}`, which is no number")]
    Cell {
        /// Its row.
        place: Place,
        /// Its column.
        column: String,
        /// What is there.
        value: String,
    },
    /// A number above the bound.
    #[error("{place}: column `{column}` is {value}; magnitudes up to {bound} are possible")]
    Large {
        /// Its row.
        place: Place,
        /// Its column.
        column: String,
        /// The number.
        value: f64,
        /// The bound.
        bound: f64,
    },
    /// The key cannot be made, or a sum not be opened.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    /// A vector cannot be encrypted or added.
    #[error(transparent)]
    Additive(#[from] AdditiveError),
    /// A packet between members does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Bytes are too many.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The total is no table.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl TotalError {
    /// Whether more members are needed.
    pub const fn is_shortage(&self) -> bool {
        matches!(self, Self::Threshold(ThresholdError::TooFew { .. }))
    }
}

/// Adds up tables of the same shape.
///
/// # Errors
/// [`TotalError`].
pub fn total(tables: &[Table], plan: &Plan) -> Result<Total, TotalError> {
    let rng = &mut SystemRng::default();
    let (scale, bound) = plan.scaled()?;
    let vectors = vectors(tables, plan, scale)?;
    let values = vectors.first().map_or(0, Vec::len);
    let owners = u32::try_from(tables.len()).unwrap_or(u32::MAX);
    let sums = additive::Terms::new(bound, owners, values)?;
    let terms = Terms::new(session(rng), plan.members, plan.threshold, owners, sums)?;
    let mut committee = Committee::new(Arc::new(Group::new(terms)?), rng)?;
    let group = Arc::clone(&committee.group);
    let key = group.ring().write_key(&committee.key()?);

    let mut sum: Option<Sum> = None;
    let mut upload = 0;
    for vector in &vectors {
        let bytes = group.ring().write(&sealed(&group, &key, vector, rng)?)?;
        upload = bytes.len();
        let own = group.ring().read(&bytes)?;
        match &mut sum {
            Some(sum) => group.ring().add(sum, &own)?,
            None => sum = Some(own),
        }
    }
    let sum = sum.ok_or(AdditiveError::Addends { got: 0, limit: owners })?;
    let partials = committee.open(&sum, &plan.by, rng)?;
    let share = partials.first().map_or(0, Vec::len);
    let partials = partials.iter().map(|bytes| Partial::decode(bytes));
    let opened = group.combine(&sum, &partials.collect::<Result<Vec<_>, _>>()?)?;
    let table = rebuilt(&tables[0], &opened, scale)?;
    Ok(Total { table, upload, share })
}

impl Plan {
    /// 10^decimals, and the bound in such units.
    fn scaled(&self) -> Result<(f64, u64), TotalError> {
        let Self { bound, decimals, .. } = *self;
        if decimals > MAX_DECIMALS {
            return Err(TotalError::Decimals { got: decimals });
        }
        let limit = additive::MAX_BOUND;
        let scale = 10_f64.powi(decimals.cast_signed());
        let scaled = (bound * scale).ceil();
        if bound > 0.0 && (1.0..=limit as f64).contains(&scaled) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole number from 1 to the limit"
            )]
            let scaled = scaled as u64;
            return Ok((scale, scaled));
        }
        Err(TotalError::Bound { got: bound, decimals, limit })
    }
}

/// What an owner does with the bytes of the key and its own numbers.
fn sealed(
    group: &Group,
    key: &[u8],
    vector: &[i64],
    rng: &mut dyn CryptoRng,
) -> Result<Sum, AdditiveError> {
    group.ring().encrypt(&group.ring().read_key(key)?, vector, rng)
}

/// A name that nobody chose.
fn session(rng: &mut dyn CryptoRng) -> Digest {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    Digest::of("nexus/node/total session v1", &bytes)
}

/// The cells of every table, row by row, as whole numbers.
fn vectors(tables: &[Table], plan: &Plan, scale: f64) -> Result<Vec<Vec<i64>>, TotalError> {
    let names = |table: &Table| -> Vec<String> {
        table.columns().iter().map(|column| column.name().to_owned()).collect()
    };
    let shape = |table: &Table| (names(table), table.rows());
    let mut vectors = Vec::with_capacity(tables.len());
    for table in tables {
        let first = &tables[0];
        if shape(table) != shape(first) {
            let [table, first] = [table, first].map(|table| table.name().to_owned());
            return Err(TotalError::Shape { table, first });
        }
        let cells = (0..table.rows())
            .flat_map(|row| table.columns().iter().map(move |column| (row, column)));
        let whole = |(row, column)| whole(table, row, column, plan.bound, scale);
        vectors.push(cells.map(whole).collect::<Result<_, _>>()?);
    }
    Ok(vectors)
}

fn whole(
    table: &Table,
    row: usize,
    column: &Column,
    bound: f64,
    scale: f64,
) -> Result<i64, TotalError> {
    let (place, cell) = (table.place(row), column.cell(row));
    let column = column.name().to_owned();
    let Cell::Number(value) = cell else {
        let value = cell.text().into_owned();
        return Err(TotalError::Cell { place, column, value });
    };
    if value.abs() > bound {
        return Err(TotalError::Large { place, column, value, bound });
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^40 by the bound")]
    let whole = (value * scale).round() as i64;
    Ok(whole)
}

/// The total as a table like the owners'.
fn rebuilt(like: &Table, opened: &[i64], scale: f64) -> Result<Table, TotalError> {
    let width = like.columns().len();
    let column = |(at, column): (usize, &Column)| {
        let cells = opened.iter().skip(at).step_by(width);
        Column::from_cells(column.name(), cells.map(|cell| Cell::number(*cell as f64 / scale)))
    };
    Ok(Table::new("total", like.columns().iter().enumerate().map(column).collect())?)
}

/// A member's seat: its machine, the key of its packets, and its disk.
struct Seat {
    machine: Member,
    packets: PacketSecret,
    disk: Zeroizing<Vec<u8>>,
}

/// All members, and what carries their messages: packets are sealed to their receiver.
struct Committee {
    group: Arc<Group>,
    seats: Vec<Seat>,
    keys: BTreeMap<MemberId, PacketKey>,
}

impl Committee {
    /// A committee with a key.
    fn new(group: Arc<Group>, rng: &mut dyn CryptoRng) -> Result<Self, TotalError> {
        let (mut seats, mut keys, mut waiting) = (Vec::new(), BTreeMap::new(), Vec::new());
        for id in MemberId::all(group.terms().members()) {
            let (machine, effects) = Member::new(&group, id, rng)?;
            let packets = PacketSecret::generate(rng);
            keys.insert(id, packets.public());
            seats.push(Seat { machine, packets, disk: Zeroizing::default() });
            waiting.push((id, effects));
        }
        let mut committee = Self { group, seats, keys };
        committee.carry(waiting, rng)?;
        Ok(committee)
    }

    fn key(&self) -> Result<PublicKey, ThresholdError> {
        let key = self.seats.first().and_then(|seat| seat.machine.public());
        key.cloned().ok_or(ThresholdError::NoKey)
    }

    /// All members make noise, and start again from their disks; then some release their shares.
    fn open(
        &mut self,
        sum: &Sum,
        by: &[u16],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Vec<u8>>, TotalError> {
        let mut waiting = Vec::new();
        for seat in &mut self.seats {
            let event = Event::Prepare { opening: OPENING };
            waiting.push((seat.machine.id(), seat.machine.step(event, rng)?));
        }
        self.carry(waiting, rng)?;
        for seat in &mut self.seats {
            seat.machine = Member::restore(&self.group, &seat.disk)?;
        }
        let mut released = Vec::new();
        for id in by.iter().copied().map(MemberId) {
            let stranger = ThresholdError::Stranger { member: id };
            let seat = self.seats.get_mut(id.index()).ok_or(stranger)?;
            let effects = seat.machine.step(Event::Open { opening: OPENING, sum }, rng)?;
            released.extend(self.carry(vec![(id, effects)], rng)?);
        }
        Ok(released)
    }

    /// Does what members want done until they want nothing; what they release comes back.
    fn carry(
        &mut self,
        mut waiting: Vec<(MemberId, Vec<Effect>)>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Vec<u8>>, TotalError> {
        let mut released = Vec::new();
        while !waiting.is_empty() {
            let mut next = Vec::new();
            for (from, effects) in waiting {
                for effect in effects {
                    match effect {
                        Effect::Publish(bytes) => self.publish(from, &bytes, &mut next, rng)?,
                        Effect::Send { to, bytes } => {
                            next.push((to, self.send(from, to, &bytes, rng)?));
                        }
                        Effect::Persist => {
                            if let Some(seat) = self.seats.get_mut(from.index()) {
                                seat.disk = seat.machine.state()?;
                            }
                        }
                        Effect::Release(partial) => released.push(partial.encode()?),
                        Effect::Ready | Effect::Prepared { .. } => {}
                    }
                }
            }
            waiting = next;
        }
        Ok(released)
    }

    fn publish(
        &mut self,
        from: MemberId,
        bytes: &[u8],
        next: &mut Vec<(MemberId, Vec<Effect>)>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), TotalError> {
        for seat in &mut self.seats {
            let id = seat.machine.id();
            if id != from {
                next.push((id, seat.machine.step(Event::Published { from, bytes }, rng)?));
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        from: MemberId,
        to: MemberId,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Effect>, TotalError> {
        let context =
            [&self.group.digest().0[..], &from.0.to_le_bytes(), &to.0.to_le_bytes()].concat();
        let stranger = || ThresholdError::Stranger { member: to };
        let key = self.keys.get(&to).ok_or_else(stranger)?;
        let packet = key.seal(rng, &context, bytes)?;
        let seat = self.seats.get_mut(to.index()).ok_or_else(stranger)?;
        let bytes = seat.packets.open(&context, &packet)?;
        Ok(seat.machine.step(Event::Received { from, bytes: &bytes }, rng)?)
    }
}
