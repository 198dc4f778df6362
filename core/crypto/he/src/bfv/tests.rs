use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::{Parameters, RelinearisationKey, Scheme, SecretKey};

/// Degree, bits of primes, bits of t; how many primes are for keys.
type Set = (usize, &'static [u32], u32, usize);

const SETS: [Set; 5] = [
    (1024, &[27], 14, 0),
    (4096, &[36, 36, 37], 20, 1),
    (8192, &[43, 43, 44, 44, 44], 20, 1),
    (8192, &[60, 40, 40, 60], 30, 1),
    (8192, &[40, 40, 40, 44, 44], 20, 2),
];

struct Party {
    context: Arc<Context>,
    encoder: Encoder,
    secret: SecretKey,
    rng: ChaCha12Rng,
}

impl Party {
    fn new((degree, bits, plain, special): Set) -> Self {
        let mut parameters = Parameters::bfv(degree, bits, plain).unwrap();
        if special > 0 {
            parameters = parameters.with_special(special).unwrap();
        }
        let context = Context::new(parameters).unwrap();
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        let encoder = Encoder::new(&context).unwrap();
        Self { secret: SecretKey::generate(&context, &mut rng), encoder, rng, context }
    }

    fn numbers(&mut self) -> Vec<i64> {
        let t = self.context.parameters().plain().unwrap();
        let mut number = || (self.rng.next_u64() % t).cast_signed() - (t / 2).cast_signed();
        (0..self.context.degree()).map(|_| number()).collect()
    }

    fn encrypt(&mut self, numbers: &[i64]) -> Ciphertext {
        let plain = self.encoder.encode(numbers).unwrap();
        self.secret.encrypt_integers(&plain, &mut self.rng).unwrap()
    }

    fn decrypt(&self, ciphertext: &Ciphertext) -> Vec<i64> {
        self.encoder.decode(&self.secret.decrypt_integers(ciphertext).unwrap()).unwrap()
    }

    fn relinearisation(&mut self) -> RelinearisationKey {
        self.secret.relinearisation(&mut self.rng).unwrap()
    }

    /// Slot by slot modulo t, of smallest magnitude.
    fn modulo(&self, values: impl Iterator<Item = i128>) -> Vec<i64> {
        let t = i128::from(self.context.parameters().plain().unwrap());
        let centre = |value: i128| {
            let rest = value.rem_euclid(t);
            i64::try_from(if rest > t / 2 { rest - t } else { rest }).unwrap()
        };
        values.map(centre).collect()
    }
}

#[test]
fn what_is_encrypted_is_decrypted_with_either_key() {
    for set in SETS {
        let mut party = Party::new(set);
        let numbers = party.numbers();
        let plain = party.encoder.encode(&numbers).unwrap();
        assert_eq!(party.encoder.decode(&plain).unwrap(), numbers);
        let public = party.secret.public(&mut party.rng);
        let ours = public.encrypt_integers(&plain, &mut party.rng).unwrap();
        let theirs = party.encrypt(&numbers);
        assert_eq!(party.decrypt(&ours), numbers, "{set:?}");
        assert_eq!(party.decrypt(&theirs), numbers, "{set:?}");
        // Fresh ciphertexts of one message have nothing in common.
        assert!(ours.polynomials()[0] != theirs.polynomials()[0]);
        assert!(party.encrypt(&numbers).polynomials()[1] != theirs.polynomials()[1]);
    }
}

#[test]
fn sums_products_and_rotations_are_exact() {
    for set in &SETS[1..] {
        let mut party = Party::new(*set);
        let (x, y) = (party.numbers(), party.numbers());
        let (a, b) = (party.encrypt(&x), party.encrypt(&y));
        let pairs = || x.iter().zip(&y).map(|(x, y)| (i128::from(*x), i128::from(*y)));
        let sums = party.modulo(pairs().map(|(x, y)| x + y));
        let differences = party.modulo(pairs().map(|(x, y)| x - y));
        let products = party.modulo(pairs().map(|(x, y)| x * y));
        let squares = party.modulo(pairs().map(|(x, _)| x * x));
        let plain = party.encoder.encode(&y).unwrap();
        assert_eq!(party.decrypt(&a.clone().plus(&b).unwrap()), sums);
        assert_eq!(party.decrypt(&a.clone().add_plain(&plain).unwrap()), sums);
        assert_eq!(party.decrypt(&a.clone().minus(&b).unwrap()), differences);
        assert_eq!(party.decrypt(&b.clone().minus(&a).unwrap().negated()), differences);
        assert_eq!(party.decrypt(&a.clone().multiply_plain(&plain).unwrap()), products);
        let product = a.multiply(&b).unwrap();
        assert_eq!(product.size(), 3);
        assert_eq!(party.decrypt(&product), products, "{set:?}");
        assert_eq!(party.decrypt(&a.multiply(&a).unwrap()), squares);
        let key = party.relinearisation();
        let product = product.relinearise(&key).unwrap();
        assert_eq!(party.decrypt(&product), products);
        let lower = product.clone().drop_last().unwrap();
        assert_eq!(party.decrypt(&lower), products);
        assert_eq!(
            party.decrypt(&lower.plus(&a.clone().drop_last().unwrap()).unwrap()).len(),
            x.len()
        );

        let keys = party.secret.rotations(&[3], &mut party.rng).unwrap();
        let half = x.len() / 2;
        let (mut first, mut second) = (x[..half].to_vec(), x[half..].to_vec());
        first.rotate_left(3);
        second.rotate_left(3);
        assert_eq!(party.decrypt(&a.rotate(3, &keys).unwrap()), [first, second].concat());
        let element = party.context.conjugation();
        let keys = party.secret.galois(&[element], &mut party.rng).unwrap();
        let swapped = [&x[half..], &x[..half]].concat();
        assert_eq!(party.decrypt(&a.swap_rows(&keys).unwrap()), swapped);
    }
}

/// Products of known polynomials: the slots are those of the transform modulo t.
#[test]
fn coefficients_multiply_as_polynomials() {
    let mut party = Party::new(SETS[1]);
    let context = Arc::clone(&party.context);
    let t = context.parameters().plain().unwrap();
    // (1 − X)·X^(N−1) = X^(N−1) + 1.
    let mut top = vec![0; 4096];
    top[4095] = 1;
    let (a, b) =
        (Plaintext::new(&context, &[1, t - 1]).unwrap(), Plaintext::new(&context, &top).unwrap());
    let encrypted = party.secret.encrypt_integers(&a, &mut party.rng).unwrap();
    top[0] = 1;
    let product = encrypted.clone().multiply_plain(&b).unwrap();
    assert_eq!(party.secret.decrypt_integers(&product).unwrap().coefficients(), top);
    let other = party.secret.encrypt_integers(&b, &mut party.rng).unwrap();
    let product = encrypted.multiply(&other).unwrap();
    assert_eq!(party.secret.decrypt_integers(&product).unwrap().coefficients(), top);
}

/// Against schoolbook arithmetic of large integers: the product rounds t·x/Q to the nearest, of operands
/// at the very ends of Q.
#[test]
fn a_product_is_the_exact_one_rounded_to_the_nearest() {
    let context = Context::new(Parameters::bfv(1024, &[27], 14).unwrap()).unwrap();
    let (q, t) = (context.modulus(0), i128::from(context.parameters().plain().unwrap()));
    let large = i128::from(q.value());
    let ends = [0, 1, q.value() / 2, q.value() / 2 + 1, q.value() - 1, q.value() / 3];
    let polynomial = |seed: usize| -> Vec<u64> {
        (0..1024).map(|at| ends[(at * at + seed * at + seed) % ends.len()]).collect()
    };
    let as_ciphertext = |polynomials: [Vec<u64>; 2]| {
        let transformed = polynomials.map(|mut words| {
            context.base().forward(&mut words);
            words
        });
        Ciphertext::new(&context, transformed.into(), 1)
    };
    let pairs = [[polynomial(1), polynomial(2)], [polynomial(3), polynomial(5)]];
    let product = as_ciphertext(pairs[0].clone()).multiply(&as_ciphertext(pairs[1].clone()));
    let negacyclic = |a: &[u64], b: &[u64]| {
        let mut sum = vec![0_i128; 1024];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                let term = i128::from(q.centred(*x)) * i128::from(q.centred(*y));
                sum[(i + j) % 1024] += if i + j < 1024 { term } else { -term };
            }
        }
        sum
    };
    let [[a0, a1], [b0, b1]] = &pairs;
    let middle = negacyclic(a0, b1).into_iter().zip(negacyclic(a1, b0)).map(|(x, y)| x + y);
    let exact = [negacyclic(a0, b0), middle.collect(), negacyclic(a1, b1)];
    for (got, exact) in product.unwrap().polynomials().iter().zip(&exact) {
        let mut got = got.clone();
        context.base().inverse(&mut got);
        for (got, exact) in got.iter().zip(exact) {
            // Q is odd, so there is no tie.
            let nearest = (2 * t * exact + large).div_euclid(2 * large).rem_euclid(large);
            assert_eq!(i128::from(*got), nearest);
        }
    }
}

#[test]
fn noise_stays_within_its_bounds_and_ends_in_a_refusal() {
    for set in &SETS[1..] {
        let mut party = Party::new(*set);
        let (numbers, key) = (party.numbers(), party.relinearisation());
        let public = party.secret.public(&mut party.rng);
        let plain = party.encoder.encode(&numbers).unwrap();
        let fresh = public.encrypt_integers(&plain, &mut party.rng).unwrap();
        let bound = Noise::of_public(&party.context).unwrap();
        let measured = |it: &Ciphertext| party.secret.noise_budget(it).unwrap();
        let own = Noise::of_secret(&party.context).unwrap();
        let secretly = party.secret.encrypt_integers(&plain, &mut party.rng).unwrap();
        for (bound, it) in [(&bound, &fresh), (&own, &secretly)] {
            let (least, is) = (bound.budget(), measured(it));
            assert!(least <= is && is < least + 12.0, "{set:?}: {least} {is}");
        }
        let (mut it, mut bound, mut products) = (fresh, bound, 0);
        loop {
            bound = bound.times(&bound).unwrap().switched().unwrap();
            it = it.multiply(&it).unwrap().relinearise(&key).unwrap();
            assert!(bound.budget() <= measured(&it), "{set:?}: {}", bound.budget());
            if measured(&it) < 1.0 {
                break;
            }
            assert!(party.secret.decrypt_integers(&it).is_ok());
            products += 1;
        }
        assert!(products >= 1 && bound.budget() < 1.0);
        assert!(matches!(party.secret.decrypt_integers(&it), Err(HeError::Noise)));
    }
}

#[test]
fn bounds_of_the_other_operations_hold() {
    let mut party = Party::new(SETS[2]);
    let (numbers, other) = (party.numbers(), party.numbers());
    let (a, b) = (party.encrypt(&numbers), party.encrypt(&other));
    let keys = party.secret.rotations(&[1], &mut party.rng).unwrap();
    let plain = party.encoder.encode(&other).unwrap();
    let fresh = Noise::of_secret(&party.context).unwrap();
    let holds = |noise: Noise, it: &Ciphertext| {
        let (least, is) = (noise.budget(), party.secret.noise_budget(it).unwrap());
        assert!(least <= is && is < least + 16.0, "{least} {is}");
    };
    holds(fresh.plus(&fresh).unwrap(), &a.clone().plus(&b).unwrap());
    holds(fresh.plus_plain(), &a.clone().add_plain(&plain).unwrap());
    let product = a.clone().multiply_plain(&plain).unwrap();
    holds(fresh.times_plain(Some(&plain)).unwrap(), &product);
    holds(fresh.times_plain(None).unwrap(), &product);
    holds(fresh.switched().unwrap(), &a.rotate(1, &keys).unwrap());
    holds(fresh.dropped().unwrap(), &a.drop_last().unwrap());
    assert!(fresh.plus(&fresh.dropped().unwrap()).is_err());
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut party = Party::new(SETS[1]);
    let context = Arc::clone(&party.context);
    let t = context.parameters().plain().unwrap();
    assert!(matches!(party.encoder.encode(&vec![0; 4097]), Err(HeError::Values { got: 4097, .. })));
    let half = (t / 2).cast_signed();
    assert!(party.encoder.encode(&[half, -half]).is_ok());
    let refused = party.encoder.encode(&[0, half + 1]);
    assert!(matches!(refused, Err(HeError::Integer { index: 1, .. })));
    assert!(party.encoder.encode(&[i64::MIN]).is_err());
    assert!(matches!(Plaintext::new(&context, &[0, t]), Err(HeError::Word { index: 1, .. })));
    assert!(Plaintext::new(&context, &vec![0; 4097]).is_err());

    let a = party.encrypt(&[1, 2]);
    assert!(
        a.clone().minus(&a).is_err()
            && a.clone().multiply_plain(&party.encoder.encode(&[]).unwrap()).is_err()
    );
    let lower = a.clone().drop_last().unwrap();
    assert!(matches!(a.multiply(&lower), Err(HeError::Level { .. })));
    assert!(matches!(lower.clone().drop_last(), Err(HeError::Exhausted)));
    assert!(a.clone().relinearise(&party.relinearisation()).is_err());
    let product = a.multiply(&a).unwrap();
    assert!(matches!(product.multiply(&a), Err(HeError::Size { .. })));
    let factor = party.encoder.encode(&[1]).unwrap().factor(&context, 1).unwrap();
    assert!(a.clone().multiply_by(&factor).is_err() && lower.multiply_by(&factor).is_ok());

    // Of other parameters, and of the other scheme.
    let mut other = Party::new(SETS[0]);
    let stranger = other.encrypt(&[1]);
    assert!(
        party.secret.decrypt_integers(&stranger).is_err() && a.clone().plus(&stranger).is_err()
    );
    assert!(a.add_plain(&other.encoder.encode(&[1]).unwrap()).is_err());
    let ckks = Context::new(Parameters::ckks(4096, &[36, 36, 37]).unwrap()).unwrap();
    assert!(matches!(Encoder::new(&ckks), Err(HeError::Scheme { .. })));
    assert!(matches!(Plaintext::new(&ckks, &[1]), Err(HeError::Scheme { .. })));
    assert!(Noise::of_secret(&ckks).is_err());
    // No slots: t = 2^16.
    let moduli: Vec<u64> = context.parameters().moduli().iter().map(|it| it.value()).collect();
    let parameters = Parameters::new(Scheme::Bfv, 4096, &moduli, Some(1 << 16)).unwrap();
    let context = Context::new(parameters).unwrap();
    assert!(matches!(Encoder::new(&context), Err(HeError::Rns(_))));
    let secret = SecretKey::generate(&context, &mut party.rng);
    let plain = Plaintext::new(&context, &[65_535, 0, 3]).unwrap();
    let product = secret.encrypt_integers(&plain, &mut party.rng).unwrap();
    let product = secret.decrypt_integers(&product.multiply(&product).unwrap()).unwrap();
    assert_eq!(product.coefficients()[..5], [1, 0, 65_530, 0, 9]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of every t, up to the largest that the primes allow.
    #[test]
    fn messages_of_every_size_survive(t in 2_u64..(1 << 35), seed: u64) {
        let parameters = Parameters::bfv(4096, &[36, 36, 37], 20).unwrap();
        let moduli: Vec<u64> = parameters.moduli().iter().map(|it| it.value()).collect();
        let parameters = Parameters::new(Scheme::Bfv, 4096, &moduli, Some(t)).unwrap();
        let context = Context::new(parameters).unwrap();
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let secret = SecretKey::generate(&context, &mut rng);
        let mut words: Vec<u64> = (0..4096).map(|_| rng.next_u64() % t).collect();
        (words[0], words[1], words[2], words[3]) = (0, t - 1, t / 2, t.div_ceil(2) % t);
        let plain = Plaintext::new(&context, &words).unwrap();
        let fresh = secret.encrypt_integers(&plain, &mut rng).unwrap();
        prop_assert_eq!(secret.decrypt_integers(&fresh).unwrap(), plain);
    }
}
