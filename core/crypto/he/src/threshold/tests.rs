use std::sync::Arc;

use nexus_field::rns::Modulus;
use nexus_types::{Canonical, Digest, MemberId};
use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::share::weights;
use super::*;
use crate::additive::{self, AdditiveError, AdditiveHe, Sum};

const CLIENTS: u32 = 3;

struct World {
    group: Arc<Group>,
    members: Vec<Member>,
    rng: ChaCha12Rng,
}

impl World {
    /// A key of `threshold` of `members`, made by messages.
    fn new(members: u16, threshold: u16, values: usize) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(u64::from(members) + 100);
        let sums = additive::Terms::new(1000, CLIENTS, values).unwrap();
        let session = Digest::of("test", b"session");
        let terms = Terms::new(session, members, threshold, 2, sums).unwrap();
        let group = Arc::new(Group::new(terms).unwrap());
        let mut world = Self { group, members: Vec::new(), rng };
        let mut first = Vec::new();
        for id in MemberId::all(members) {
            let (member, effects) = Member::new(&world.group, id, &mut world.rng).unwrap();
            world.members.push(member);
            first.push((id, effects));
        }
        world.carry(first);
        rng = ChaCha12Rng::seed_from_u64(7);
        world.rng = rng;
        assert!(world.members.iter().all(|member| member.public().is_some()));
        world
    }

    /// Carries messages until there are none; what is released comes back.
    fn carry(&mut self, mut waiting: Vec<(MemberId, Vec<Effect>)>) -> Vec<Partial> {
        let mut released = Vec::new();
        while !waiting.is_empty() {
            let mut next = Vec::new();
            for (from, effects) in waiting {
                for effect in effects {
                    match effect {
                        Effect::Publish(bytes) => {
                            for member in self.members.iter_mut().filter(|it| it.id() != from) {
                                let event = Event::Published { from, bytes: &bytes };
                                next.push((
                                    member.id(),
                                    member.step(event, &mut self.rng).unwrap(),
                                ));
                            }
                        }
                        Effect::Send { to, bytes } => {
                            let event = Event::Received { from, bytes: &bytes };
                            let member = &mut self.members[to.index()];
                            next.push((to, member.step(event, &mut self.rng).unwrap()));
                        }
                        Effect::Release(partial) => released.push(partial),
                        Effect::Ready | Effect::Prepared { .. } | Effect::Persist => {}
                    }
                }
            }
            waiting = next;
        }
        released
    }

    fn prepare(&mut self, opening: u64) {
        let mut effects = Vec::new();
        for member in &mut self.members {
            let event = Event::Prepare { opening };
            effects.push((member.id(), member.step(event, &mut self.rng).unwrap()));
        }
        self.carry(effects);
    }

    fn open(&mut self, opening: u64, sum: &Sum, who: &[u16]) -> Vec<Partial> {
        let mut released = Vec::new();
        for at in who {
            let member = &mut self.members[usize::from(*at)];
            let effects = member.step(Event::Open { opening, sum }, &mut self.rng).unwrap();
            released.extend(self.carry(vec![(MemberId(*at), effects)]));
        }
        released
    }

    /// A sum of all clients' vectors, and what is in it.
    fn sum(&mut self) -> (Sum, Vec<i64>) {
        let values = self.group.ring().terms().values();
        let key = self.members[0].public().unwrap().clone();
        let mut clear = vec![0; values];
        let mut total: Option<Sum> = None;
        for client in 0..i64::from(CLIENTS) {
            let own: Vec<i64> = (0..1000)
                .cycle()
                .take(values)
                .map(|at| (at + client) % 1001 * (1 - client))
                .collect();
            clear.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own);
            let sealed = self.group.ring().encrypt(&key, &own, &mut self.rng).unwrap();
            match &mut total {
                Some(total) => self.group.ring().add(total, &sealed).unwrap(),
                None => total = Some(sealed),
            }
        }
        (total.unwrap(), clear)
    }
}

#[test]
fn any_three_of_five_open_a_sum() {
    let mut world = World::new(5, 3, 20_000);
    let (sum, clear) = world.sum();
    let mut opening = 0;
    for who in [[0, 1, 2], [2, 3, 4], [4, 0, 2], [1, 4, 3]] {
        opening += 1;
        world.prepare(opening);
        let partials = world.open(opening, &sum, &who);
        assert_eq!(*world.group.combine(&sum, &partials).unwrap(), clear);
    }
    world.prepare(9);
    let all = world.open(9, &sum, &[4, 3, 2, 1, 0]);
    assert_eq!(*world.group.combine(&sum, &all).unwrap(), clear);
    let coded: Vec<_> =
        all.iter().map(|it| Partial::decode(&it.encode().unwrap()).unwrap()).collect();
    assert_eq!(coded, all);
}

#[test]
fn two_of_two_and_other_sizes_open_too() {
    for (members, threshold) in [(2, 2), (4, 3), (7, 5)] {
        let mut world = World::new(members, threshold, 100);
        let (sum, clear) = world.sum();
        world.prepare(1);
        let who: Vec<u16> = (members - threshold..members).collect();
        let partials = world.open(1, &sum, &who);
        assert_eq!(*world.group.combine(&sum, &partials).unwrap(), clear);
    }
}

/// With two shares of three every sum is possible: for each there is a third share that gives it, as likely as
/// any other, for the share of a polynomial of degree 2 at a third place is uniform.
#[test]
fn two_shares_say_nothing() {
    let mut world = World::new(5, 3, 10);
    let (sum, clear) = world.sum();
    world.prepare(1);
    let partials = world.open(1, &sum, &[0, 1, 2]);
    let group = &world.group;
    let two = group.combine(&sum, &partials[..2]).unwrap_err();
    assert_eq!(two, ThresholdError::TooFew { got: 2, need: 3 });

    let ring = group.ring();
    let (degree, count) = (ring.layout().degree(), ring.layout().words());
    let words = |partial: &Partial| ring.unpacked("", &partial.packed, 1).unwrap();
    for candidate in [vec![0; 10], vec![-3; 10], (0..10).collect::<Vec<i64>>()] {
        // The right third share is moved by what the candidate differs by, over its weight.
        let mut third = words(&partials[2]);
        let key = world.members[0].public().unwrap();
        let zero = |values: &[i64], rng: &mut ChaCha12Rng| ring.encrypt(key, values, rng).unwrap();
        let shift: Vec<i64> = candidate.iter().zip(&clear).map(|(a, b)| a - b).collect();
        let bounded: Vec<i64> = shift.iter().map(|it| (*it).clamp(-1000, 1000)).collect();
        let noise_free = {
            let sealed = zero(&bounded, &mut world.rng);
            let secret = secret_of(&world.members[..3], ring);
            let (c0, c1) = sealed.words.split_at(count);
            let mut phase = c0.to_vec();
            ring.base().add_products(&mut phase, c1, &secret);
            phase
        };
        for (at, modulus) in ring.layout().moduli().iter().enumerate() {
            let range = at * degree..(at + 1) * degree;
            let weight = weights(*modulus, &[MemberId(0), MemberId(1), MemberId(2)])[2];
            let mut moved = noise_free[range.clone()].to_vec();
            modulus.scale(&mut moved, modulus.inverse(weight).unwrap());
            modulus.add_assign(&mut third[range], &moved);
        }
        let forged = Partial { packed: ring.packed(&third), ..partials[2].clone() };
        let with = [partials[0].clone(), partials[1].clone(), forged];
        let got = group.combine(&sum, &with).unwrap();
        let expected: Vec<i64> = clear.iter().zip(&bounded).map(|(a, b)| a + b).collect();
        assert_eq!(*got, expected);
    }
}

/// The secret of a key from enough members' shares.
fn secret_of(members: &[Member], ring: &additive::Ring) -> Vec<u64> {
    let ids: Vec<MemberId> = members.iter().map(Member::id).collect();
    let (degree, mut secret) = (ring.layout().degree(), vec![0; ring.layout().words()]);
    for (at, modulus) in ring.layout().moduli().iter().enumerate() {
        let range = at * degree..(at + 1) * degree;
        let shares = members.iter().map(|it| &it.secret_share()[range.clone()]);
        let terms: Vec<(&[u64], u64)> = shares.zip(weights(*modulus, &ids)).collect();
        modulus.weighted_sum(&mut secret[range.clone()], &terms, modulus.bits());
    }
    secret
}

/// Shares of two sums under the same noise differ by (c₁ − c₁′)·sₖ: a division shows the share of the key.
fn attack(first: &Partial, second: &Partial, sums: [&Sum; 2], group: &Group) -> Vec<u64> {
    let ring = group.ring();
    let (degree, count) = (ring.layout().degree(), ring.layout().words());
    let [mut difference, other] =
        [first, second].map(|it| ring.unpacked("", &it.packed, 1).unwrap());
    ring.base().each(&mut difference, &other, Modulus::sub_assign);
    let mut by = sums[0].words[count..2 * count].to_vec();
    ring.base().each(&mut by, &sums[1].words[count..2 * count], Modulus::sub_assign);
    for (at, (word, by)) in difference.iter_mut().zip(&by).enumerate() {
        let modulus = ring.layout().moduli()[at / degree];
        *word = modulus.mul(*word, modulus.inverse(*by).unwrap_or_default());
    }
    difference
}

#[test]
fn noise_that_is_used_twice_shows_the_key_and_is_never_used_twice() {
    let mut world = World::new(5, 3, 10);
    let [first, second] = [0, 1].map(|_| world.sum().0);
    world.prepare(1);
    world.prepare(2);

    world.members[0].weak = true;
    let [one, two] = [&first, &second].map(|sum| world.open(1, sum, &[0]).remove(0));
    let found = attack(&one, &two, [&first, &second], &world.group);
    assert_eq!(found, world.members[0].secret_share(), "the weakened twin gives its share away");

    world.members[0].weak = false;
    let one = world.open(1, &first, &[0]).remove(0);
    for sum in [&first, &second] {
        let event = Event::Open { opening: 1, sum };
        let refused = world.members[0].step(event, &mut world.rng).err();
        let ciphertext = first.digest();
        assert_eq!(refused, Some(ThresholdError::Spent { opening: 1, ciphertext }));
    }
    let two = world.open(2, &second, &[0]).remove(0);
    let found = attack(&one, &two, [&first, &second], &world.group);
    let own = world.members[0].secret_share();
    assert!(found.iter().zip(own).filter(|(a, b)| a == b).count() < 3, "fresh noise hides it");

    let again = world.members[0].step(Event::Prepare { opening: 1 }, &mut world.rng).err();
    assert!(matches!(again, Some(ThresholdError::Spent { opening: 1, .. })));
}

#[test]
fn a_restart_forgets_neither_the_key_nor_what_was_used() {
    let mut world = World::new(3, 2, 10);
    let (sum, clear) = world.sum();
    world.prepare(1);
    world.prepare(2);
    let before = world.open(1, &sum, &[0, 1]);
    assert_eq!(*world.group.combine(&sum, &before).unwrap(), clear);
    for at in 0..3 {
        let state = world.members[at].state().unwrap();
        world.members[at] = Member::restore(&world.group, &state).unwrap();
    }
    let event = Event::Open { opening: 1, sum: &sum };
    let refused = world.members[0].step(event, &mut world.rng).err();
    assert!(matches!(refused, Some(ThresholdError::Spent { opening: 1, .. })));
    let after = world.open(2, &sum, &[1, 2]);
    assert_eq!(*world.group.combine(&sum, &after).unwrap(), clear);
    let state = world.members[0].state().unwrap();
    let other = World::new(4, 2, 10);
    assert!(matches!(Member::restore(&other.group, &state), Err(ThresholdError::OtherTerms)));
    assert!(Member::restore(&world.group, &state[..state.len() - 1]).is_err());
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let mut world = World::new(3, 2, 10);
    let (sum, _) = world.sum();
    let rng = &mut ChaCha12Rng::seed_from_u64(1);
    let mut step = |world: &mut World, event| world.members[0].step(event, rng).err().unwrap();
    let unprepared = step(&mut world, Event::Open { opening: 5, sum: &sum });
    assert_eq!(unprepared, ThresholdError::Unprepared { opening: 5 });
    let key = world.members[0].public().unwrap().clone();
    let single = world.group.ring().encrypt(&key, &[1; 10], &mut world.rng).unwrap();
    let few = step(&mut world, Event::Open { opening: 5, sum: &single });
    assert_eq!(few, ThresholdError::TooFewAddends { got: 1, least: 2 });
    let mut foreign = sum.clone();
    foreign.key = Digest::of("test", b"other");
    let other = step(&mut world, Event::Open { opening: 5, sum: &foreign });
    assert_eq!(other, ThresholdError::Additive(AdditiveError::OtherKey));
    let stranger = Event::Published { from: MemberId(3), bytes: &[] };
    assert_eq!(step(&mut world, stranger), ThresholdError::Stranger { member: MemberId(3) });

    world.prepare(1);
    let again = step(&mut world, Event::Prepare { opening: 1 });
    assert!(matches!(again, ThresholdError::Again { what: "noise", .. }));
    let partials = world.open(1, &sum, &[0, 1]);
    let group = &world.group;
    let twice = [partials[0].clone(), partials[0].clone()];
    assert!(matches!(group.combine(&sum, &twice), Err(ThresholdError::Again { .. })));
    let more = world.group.ring().encrypt(&key, &[1; 10], &mut world.rng).unwrap();
    assert!(matches!(group.combine(&more, &partials), Err(ThresholdError::OtherSum { .. })));
    let mut wrong = partials;
    wrong[1].packed[0] ^= 1;
    assert_eq!(
        group.combine(&sum, &wrong),
        Err(ThresholdError::Additive(AdditiveError::Noise)),
        "a wrong share is noticed"
    );
    wrong[1].packed.pop();
    assert!(matches!(
        group.combine(&sum, &wrong),
        Err(ThresholdError::Additive(AdditiveError::Size { .. }))
    ));
}

#[test]
fn a_part_of_the_key_is_the_one_that_was_committed_to() {
    let world = World::new(2, 2, 10);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let begin = |id, rng: &mut ChaCha12Rng| Member::new(&world.group, MemberId(id), rng).unwrap();
    let ((mut ours, first), (mut theirs, second)) = (begin(0, &mut rng), begin(1, &mut rng));
    let (_, other) = begin(1, &mut rng);
    let bytes = |effects: &[Effect]| {
        let Effect::Publish(bytes) = &effects[0] else { unreachable!() };
        bytes.clone()
    };
    let hear = |member: &mut Member, from: u16, bytes: &[u8], rng: &mut ChaCha12Rng| {
        member.step(Event::Published { from: MemberId(from), bytes }, rng)
    };
    let half = bytes(&hear(&mut theirs, 0, &bytes(&first), &mut rng).unwrap());
    let early = hear(&mut ours, 1, &half, &mut rng).err();
    assert!(matches!(early, Some(ThresholdError::Early { .. })));
    hear(&mut ours, 1, &bytes(&other), &mut rng).unwrap();
    let wrong = hear(&mut ours, 1, &half, &mut rng).err();
    assert_eq!(wrong, Some(ThresholdError::Commitment { member: MemberId(1) }));
    let twice = hear(&mut ours, 1, &bytes(&second), &mut rng).err();
    assert!(matches!(twice, Some(ThresholdError::Again { what: "commitment", .. })));
}

#[test]
fn terms_have_limits() {
    let sums = additive::Terms::new(1000, 3, 10).unwrap();
    let new = |members, threshold, least| {
        Terms::new(Digest::of("test", b""), members, threshold, least, sums)
    };
    assert!(matches!(new(1, 1, 1), Err(ThresholdError::Members { got: 1, .. })));
    assert!(matches!(new(65, 3, 1), Err(ThresholdError::Members { got: 65, .. })));
    assert!(matches!(new(5, 6, 1), Err(ThresholdError::Threshold { got: 6, members: 5 })));
    assert!(matches!(new(5, 1, 1), Err(ThresholdError::Threshold { got: 1, .. })));
    assert!(matches!(new(5, 3, 0), Err(ThresholdError::Least { got: 0, .. })));
    assert!(matches!(new(5, 3, 4), Err(ThresholdError::Least { got: 4, clients: 3 })));
    let terms = new(5, 3, 1).unwrap();
    assert!(matches!(terms.flooding(49), Err(ThresholdError::Flooding { got: 49, .. })));
    let (some, more) =
        (Group::new(terms).unwrap(), Group::new(terms.flooding(80).unwrap()).unwrap());
    let layout = some.ring().layout();
    let flood = layout.flood().unwrap();
    assert!(f64::from(flood) >= layout.noise().log2() + 50.0 + (layout.degree() as f64).log2());
    assert!(layout.shift() > flood + 3, "noise of five members is below the values");
    assert!(more.ring().layout().flood().unwrap() >= flood + 30);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_bytes_make_a_member_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let sums = additive::Terms::new(1000, 3, 10).unwrap();
        let terms = Terms::new(Digest::of("test", b""), 3, 2, 1, sums).unwrap();
        let group = Arc::new(Group::new(terms).unwrap());
        let rng = &mut ChaCha12Rng::seed_from_u64(1);
        let (mut member, effects) = Member::new(&group, MemberId(0), rng).unwrap();
        let from = MemberId(1);
        let events = [
            Event::Published { from, bytes: &bytes },
            Event::Received { from, bytes: &bytes },
        ];
        for event in events {
            let refused = member.step(event, rng).is_err();
            prop_assert!(refused);
        }
        prop_assert!(Member::restore(&group, &bytes).is_err());
        prop_assert!(Partial::decode(&bytes).is_err());
        let Effect::Publish(mut post) = effects.into_iter().next().unwrap() else { unreachable!() };
        if let Some(first) = bytes.first() {
            let at = usize::from(*first) % post.len();
            post[at] ^= bytes.get(1).copied().unwrap_or(1);
            let _ = member.step(Event::Published { from, bytes: &post }, rng);
        }
    }
}
