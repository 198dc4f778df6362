use std::convert::Infallible;
use std::sync::Arc;

use nexus_types::{Digest, Seed};
use proptest::prelude::*;

use super::*;
use crate::budget::Unit;
use crate::mechanisms::clip::Clip;
use crate::mechanisms::gaussian::Gaussian;
use crate::mechanisms::grid::{Grid, Room};
use crate::mechanisms::secret_rng;
use crate::mechanisms::shares::NoisePlan;

const NAMES: [&str; 5] = ["anna", "bert", "clinic", "lab", "registry"];

fn principal(number: usize) -> Principal {
    Principal::named(NAMES[number % NAMES.len()])
}

fn known() -> Principals {
    NAMES.into_iter().map(Principal::named).collect()
}

fn some() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0_usize..5, 0..5)
}

prop_compose! {
    /// Any label over five principals and three purposes.
    fn label()(
        owners in prop::collection::vec((0_usize..5, some()), 0..4),
        purposes in prop::option::of(prop::collection::vec(0_usize..3, 0..4)),
        vouchers in prop::option::of(some()),
    ) -> Label {
        let mut label = owners.into_iter().fold(Label::public(), |label, (owner, readers)| {
            let owned = Label::owned(principal(owner), readers.into_iter().map(principal));
            label.join(&owned)
        });
        if let Some(purposes) = purposes {
            let names = ["research", "billing", "care"];
            label = label.for_purposes(purposes.into_iter().map(|at| names[at])).unwrap();
        }
        match vouchers {
            Some(vouchers) => label.vouched_by(vouchers.into_iter().map(principal)),
            None => label,
        }
    }
}

proptest! {
    #[test]
    fn labels_are_a_lattice(a in label(), b in label(), c in label()) {
        prop_assert!(a.is_below(&a));
        prop_assert!(!(a.is_below(&b) && b.is_below(&a)) || a == b);
        prop_assert!(!(a.is_below(&b) && b.is_below(&c)) || a.is_below(&c));
        prop_assert!(Label::public().is_below(&a));

        let (join, meet) = (a.join(&b), a.meet(&b));
        prop_assert!(a.is_below(&join) && b.is_below(&join));
        prop_assert!(meet.is_below(&a) && meet.is_below(&b));
        // The least and the greatest of their kind.
        prop_assert!(!(a.is_below(&c) && b.is_below(&c)) || join.is_below(&c));
        prop_assert!(!(c.is_below(&a) && c.is_below(&b)) || c.is_below(&meet));

        prop_assert_eq!(&join, &b.join(&a));
        prop_assert_eq!(&meet, &b.meet(&a));
        prop_assert_eq!(a.join(&b.join(&c)), join.join(&c));
        prop_assert_eq!(a.meet(&b.meet(&c)), meet.meet(&c));
        prop_assert_eq!(&a.join(&meet), &a);
        prop_assert_eq!(&a.meet(&join), &a);
        prop_assert_eq!(&a.join(&a), &a);
        prop_assert_eq!(a.is_below(&b), join == b);
    }

    #[test]
    fn a_join_is_readable_by_those_who_may_read_both(a in label(), b in label(), who in 0_usize..5) {
        let (join, who) = (a.join(&b), principal(who));
        prop_assert_eq!(join.is_readable_by(who), a.is_readable_by(who) && b.is_readable_by(who));
        let research = Purpose::new("research").unwrap();
        prop_assert_eq!(join.is_for(&research), a.is_for(&research) && b.is_for(&research));
        prop_assert!(a.declassified().is_below(&a));
    }

    #[test]
    fn a_label_flows_up_and_never_past_someone_unknown(a in label(), b in label()) {
        prop_assert_eq!(a.flows_to(&b, &known()).is_ok(), a.is_below(&b));
        let fewer: Principals = NAMES.into_iter().skip(1).map(Principal::named).collect();
        let named = format!("{a:?}{b:?}").contains(&format!("{:?}", Principal::named(NAMES[0])));
        if named {
            let refused = matches!(a.flows_to(&b, &fewer), Err(LabelError::Unknown { .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn bytes_are_one_label_or_none(a in label(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let encoded = a.to_bytes().unwrap();
        prop_assert_eq!(&Label::from_bytes(&encoded).unwrap(), &a);
        if let Ok(label) = Label::from_bytes(&bytes) {
            prop_assert_eq!(&label.to_bytes().unwrap(), &bytes);
        }
        let mut changed = encoded;
        for (at, byte) in bytes.iter().enumerate().take(3) {
            let place = (at * 97 + usize::from(*byte)) % changed.len();
            changed[place] ^= byte;
        }
        if let Ok(label) = Label::from_bytes(&changed) {
            prop_assert_eq!(label.to_bytes().unwrap(), changed);
        }
    }
}

#[test]
fn labels_have_limits() {
    for name in ["", "Research", "a b", &"x".repeat(65)] {
        assert!(matches!(Purpose::new(name), Err(LabelError::Purpose { .. })), "{name}");
    }
    let many = (0..MAX_PRINCIPALS).map(|number| Principal::named(&number.to_string()));
    let label = Label::owned(Principal::named("x"), many);
    assert!(matches!(label.to_bytes(), Err(LabelError::TooMany { what: "principals", .. })));
}

/// Rows whose gradients are the rows themselves, in slots of one; the last of them is the slot.
struct Rows(Vec<Vec<f32>>, usize);

fn of_rows(rows: Vec<Vec<f32>>) -> Private<Rows> {
    Private::new(Rows(rows, 0), private_label())
}

impl Examples for Rows {
    fn dimension(&self) -> usize {
        self.0[0].len()
    }

    fn next_norms_sq(&mut self) -> Option<Vec<f32>> {
        let row = self.0.get(self.1)?;
        self.1 += 1;
        Some(vec![row.iter().map(|x| x * x).sum()])
    }

    fn add_weighted(&mut self, weights: &[f32], sums: &mut [f64]) {
        if weights[0] > 0.0 {
            let row = &self.0[self.1 - 1];
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(weights[0] * x));
        }
    }
}

/// Adds a constant.
struct Plain(Vec<i64>);

impl Masker for Plain {
    type Error = Infallible;

    fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, Infallible> {
        self.0 = values.to_vec();
        Ok(values.iter().flat_map(|value| value.wrapping_add(77).to_le_bytes()).collect())
    }
}

const ROOM: Room = Room { rows: 100.0, sigma: 4.0, limit: 1 << 40 };

fn private_label() -> Arc<Label> {
    Arc::new(Label::owned(principal(0), [principal(2)]).for_purposes(["research"]).unwrap())
}

fn ticket(unit: Unit, multiplier: f64) -> BudgetTicket {
    BudgetTicket::issue(Digest([1; 32]), unit, multiplier)
}

fn rows(seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Seed::from_number(seed).rng();
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
    let mut draw = || rng.normal() as f32;
    (0..20).map(|_| (0..30).map(|_| draw()).collect()).collect()
}

/// What leaves an owner, and what it was made of.
fn pipeline(rows: Vec<Vec<f32>>, seed: u64) -> (Masked, Vec<i64>) {
    let grid = Grid::new(1.0, 30, ROOM).unwrap();
    let plan = NoisePlan::new(4.01 * grid.sensitivity().l2(), 5, 1).unwrap();
    let clipped = of_rows(rows).clip_rows(grid.clip());
    let mut rng = secret_rng(seed);
    let noised = clipped.noise(ticket(Unit::Record, 4.0), &grid, &plan, &mut rng).unwrap();
    assert!(noised.receipt().is_some_and(|receipt| receipt.multiplier() >= 4.0));
    let mut masker = Plain(Vec::new());
    let masked = noised.mask(&mut masker).unwrap();
    (masked, masker.0)
}

/// Two runs that differ in one private row send the same but for the noised field; and that
/// differs by no more than the sensitivity under the same noise.
#[test]
fn one_row_changes_nothing_but_the_noised_field() {
    for seed in 0..20 {
        let (mut first, mut second) = (rows(seed), rows(seed));
        second[7] = vec![1e6; 30];
        first.rotate_left(0);
        let ((a, x), (b, y)) = (pipeline(first, seed), pipeline(second, seed));
        assert_eq!(a.label(), b.label());
        assert_eq!(a.label().to_bytes(), b.label().to_bytes());
        assert_eq!(a.message().len(), b.message().len());
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
        let moved: f64 = x.iter().zip(&y).map(|(x, y)| (x.abs_diff(*y) as f64).powi(2)).sum();
        // One row was replaced: removed and added.
        let grid = Grid::new(1.0, 30, ROOM).unwrap();
        assert!(moved.sqrt() <= 2.0 * grid.sensitivity().l2());
        assert!(moved > 0.0);
        // The same rows give the same bytes.
        assert_eq!(pipeline(rows(seed), seed).0, a);
    }
}

#[test]
fn a_row_that_is_not_finite_is_left_out() {
    let mut broken = rows(1);
    let fewer: Vec<_> = broken.iter().enumerate().filter(|(at, _)| *at != 3).collect();
    let fewer: Vec<Vec<f32>> = fewer.into_iter().map(|(_, row)| row.clone()).collect();
    for poison in [f32::NAN, f32::INFINITY, 1e30] {
        broken[3][5] = poison;
        assert_eq!(pipeline(broken.clone(), 1).1, pipeline(fewer.clone(), 1).1);
    }
}

fn owner_vector() -> Clipped {
    Private::new(vec![3.0, 4.0], private_label()).clip_whole(Clip::new(1.0).unwrap())
}

#[test]
fn noise_is_what_was_paid_for_or_there_is_none() {
    let grid = Grid::new(1.0, 2, ROOM).unwrap();
    let sensitivity = grid.whole_sensitivity().l2();
    let noise = Gaussian::at_least(5.0 * sensitivity).unwrap();
    let mut rng = secret_rng(1);
    let mut attempt = |ticket| owner_vector().noise_alone(ticket, &grid, &noise, &mut rng);
    let paid = attempt(ticket(Unit::Owner, 4.99)).ok().unwrap();
    assert_eq!(paid.receipt().map(|receipt| receipt.unit()), Some(Unit::Owner));
    let released = paid.release();
    assert_eq!(released.value().len(), 2);
    assert!(released.label().is_readable_by(Principal::named("a stranger")));
    assert!(!released.label().is_for(&Purpose::new("billing").unwrap()));
    for multiplier in [5.01, f64::INFINITY, f64::NAN] {
        let refused = attempt(ticket(Unit::Owner, multiplier)).err();
        assert!(matches!(refused, Some(FlowError::Underpaid { .. })), "{multiplier}");
    }
    let refused = attempt(ticket(Unit::Record, 1.0)).err();
    assert!(matches!(refused, Some(FlowError::Unit { .. })));
    let other = Grid::new(0.5, 2, ROOM).unwrap();
    let refused = owner_vector().noise_alone(ticket(Unit::Owner, 1.0), &other, &noise, &mut rng);
    assert!(matches!(refused.err(), Some(FlowError::Shape { .. })));
}

#[test]
fn shares_are_judged_by_the_fewest_owners_less_those_who_collude() {
    let grid = Grid::new(1.0, 2, ROOM).unwrap();
    let sigma = 4.0 * grid.whole_sensitivity().l2();
    let mut rng = secret_rng(1);
    let plan = NoisePlan::new(sigma, 4, 2).unwrap();
    let mut attempt = |multiplier| {
        owner_vector().noise(ticket(Unit::Owner, multiplier), &grid, &plan, &mut rng).is_ok()
    };
    assert!(attempt(3.99) && !attempt(4.01));
}

#[test]
fn parts_add_up_if_they_were_clipped_alike() {
    let clip = Clip::new(1.0).unwrap();
    let part = |clip| of_rows(rows(1)).clip_rows(clip);
    assert!(part(clip).plus(part(clip)).is_ok());
    assert!(matches!(
        part(clip).plus(part(Clip::new(2.0).unwrap())).err(),
        Some(FlowError::Shape { .. })
    ));
    assert!(matches!(owner_vector().plus(owner_vector()).err(), Some(FlowError::Unit { .. })));
    let other = Arc::new(Label::owned(principal(1), []));
    let sum = part(clip).plus(Private::new(Rows(rows(2), 0), other).clip_rows(clip)).ok().unwrap();
    assert!(!sum.label().is_readable_by(principal(0)) && !sum.label().is_readable_by(principal(1)));
}

#[test]
fn a_sum_out_of_range_does_not_say_what_it_is() {
    struct Liar(bool);
    impl Examples for Liar {
        fn dimension(&self) -> usize {
            2
        }
        fn next_norms_sq(&mut self) -> Option<Vec<f32>> {
            std::mem::take(&mut self.0).then(|| vec![1.0])
        }
        fn add_weighted(&mut self, _weights: &[f32], sums: &mut [f64]) {
            sums[0] = 123.456e300;
        }
    }
    let grid = Grid::new(1.0, 2, ROOM).unwrap();
    let clipped = Private::new(Liar(true), private_label()).clip_rows(grid.clip());
    let waiver = Waiver::of_job_without_privacy();
    let refused = clipped.unprotected(waiver, &grid, &mut secret_rng(1)).err().unwrap();
    assert_eq!(refused, FlowError::Range);
    assert!(!format!("{refused:?} {refused}").contains("123"));
}

/// Keeps what it is bound to.
struct Lock(Vec<u8>);

impl Sealer for Lock {
    fn seal(&mut self, plaintext: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
        self.0 = associated.to_vec();
        (!plaintext.is_empty()).then(|| plaintext.iter().map(|byte| byte ^ 0x55).collect())
    }
}

#[test]
fn what_is_sealed_is_bound_to_its_label() {
    let mut lock = Lock(Vec::new());
    let sealed = Private::new(b"row".to_vec(), private_label()).seal(&mut lock).unwrap();
    assert_eq!(lock.0, sealed.label().to_bytes().unwrap());
    assert_eq!(format!("{sealed:?}"), "Sealed { bytes: 3, .. }");
    let refused = Private::new(Vec::new(), private_label()).seal(&mut lock);
    assert_eq!(refused.err(), Some(FlowError::Seal));
}

struct Sum(Vec<i64>);

impl Opener for Sum {
    type Error = Infallible;

    fn open(&mut self) -> Result<Vec<i64>, Infallible> {
        Ok(self.0.clone())
    }
}

#[test]
fn stages_are_what_they_hold_and_a_pointer() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<Private<Vec<f64>>>(), size_of::<Vec<f64>>() + word);
    assert_eq!(size_of::<Clipped>(), size_of::<Vec<f64>>() + 3 * word);
    let released = Released::open(&mut Sum(vec![1, 2]), &private_label()).unwrap();
    assert_eq!(released.into_value(), [1, 2]);
    let pair = Private::new(1_u8, private_label()).with(Private::new(2_u8, private_label()));
    let sum = pair.map_pure(|(a, b)| vec![f64::from(a + b)]);
    assert!(sum.clip_whole(Clip::new(9.0).unwrap()).label().is_readable_by(principal(2)));
}
