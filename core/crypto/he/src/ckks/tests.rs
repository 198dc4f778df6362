use std::sync::Arc;

use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{Ciphertext, Context, Encoder, HeError, Parameters, PublicKey, SecretKey};

const SCALE: f64 = 1_099_511_627_776.0; // 2^40

struct Set {
    context: Arc<Context>,
    encoder: Encoder,
    secret: SecretKey,
    public: PublicKey,
    rng: ChaCha12Rng,
}

fn parameters((bits, special): (&[u32], usize)) -> Parameters {
    Parameters::ckks(8192, bits).unwrap().with_special(special).unwrap()
}

fn set(list: (&[u32], usize)) -> Set {
    let context = Context::new(parameters(list)).unwrap();
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let secret = SecretKey::generate(&context, &mut rng);
    let (public, encoder) = (secret.public(&mut rng), Encoder::new(&context).unwrap());
    Set { context, encoder, secret, public, rng }
}

impl Set {
    fn numbers(&self, seed: u64) -> Vec<f64> {
        let sine = |at: usize| (0.37 * (at as f64 + 1.0) * (seed as f64 + 1.0)).sin();
        (0..self.encoder.slots()).map(sine).collect()
    }

    fn encrypt(&mut self, numbers: &[f64]) -> Ciphertext {
        let plain = self.encoder.encode(numbers, SCALE).unwrap();
        self.secret.encrypt(&plain, &mut self.rng).unwrap()
    }

    fn check(&self, ciphertext: &Ciphertext, expected: impl Fn(usize) -> f64, error: f64) {
        let got = self.encoder.decode(&self.secret.decrypt(ciphertext).unwrap()).unwrap();
        for (at, got) in got.into_iter().enumerate() {
            let expected = expected(at);
            assert!((got - expected).abs() < error, "slot {at}: {got}, not {expected}");
        }
    }
}

/// Primes for the kernels of 50 bits, SEAL's usual ones, and two for keys: bits, and how many for keys.
const LISTS: [(&[u32], usize); 3] =
    [(&[50, 40, 40, 50], 1), (&[60, 40, 40, 60], 1), (&[45, 40, 40, 44, 44], 2)];

#[test]
fn numbers_come_back_from_both_encryptions() {
    for list in LISTS {
        let mut set = set(list);
        let numbers = set.numbers(1);
        let by_secret = set.encrypt(&numbers);
        set.check(&by_secret, |at| numbers[at], 1e-8);
        for moduli in 1..=3 {
            let plain = set.encoder.encode_at(&numbers, SCALE, moduli).unwrap();
            let by_public = set.public.encrypt(&plain, &mut set.rng).unwrap();
            set.check(&by_public, |at| numbers[at], 1e-7);
        }
    }
}

#[test]
fn arithmetic_is_that_of_the_numbers() {
    for list in LISTS {
        let mut set = set(list);
        let (x, y) = (set.numbers(1), set.numbers(2));
        let (a, b) = (set.encrypt(&x), set.encrypt(&y));
        let plain = set.encoder.encode(&y, SCALE).unwrap();
        set.check(&a.clone().plus(&b).unwrap(), |at| x[at] + y[at], 1e-7);
        set.check(&a.clone().minus(&b).unwrap(), |at| x[at] - y[at], 1e-7);
        set.check(&a.clone().negated(), |at| -x[at], 1e-7);
        set.check(&a.clone().add_plain(&plain).unwrap(), |at| x[at] + y[at], 1e-7);
        let product = a.clone().multiply_plain(&plain).unwrap();
        set.check(&product, |at| x[at] * y[at], 1e-7);
        set.check(&product.rescale().unwrap(), |at| x[at] * y[at], 1e-7);

        let key = set.secret.relinearisation(&mut set.rng).unwrap();
        let product = a.multiply(&b).unwrap();
        set.check(&product, |at| x[at] * y[at], 1e-7);
        let product = product.relinearise(&key).unwrap().rescale().unwrap();
        assert_eq!((product.size(), product.moduli()), (2, 2));
        set.check(&product, |at| x[at] * y[at], 1e-7);
        let square = product.multiply(&product).unwrap().relinearise(&key).unwrap();
        set.check(&square.rescale().unwrap(), |at| (x[at] * y[at]).powi(2), 1e-6);
    }
}

#[test]
fn slots_rotate_and_conjugate_at_every_level() {
    for list in LISTS {
        let mut set = set(list);
        let (x, slots) = (set.numbers(3), set.encoder.slots());
        let mut keys = set.secret.rotations(&[1, -3, 1000], &mut set.rng).unwrap();
        for moduli in [3, 2, 1] {
            let ciphertext = set.encrypt(&x).drop_to(moduli).unwrap();
            for steps in [1_i64, -3, 1000] {
                let rotated = ciphertext.rotate(steps, &keys).unwrap();
                let turn = usize::try_from(steps.rem_euclid(4096)).unwrap();
                let from = |at: usize| (at + turn) % slots;
                set.check(&rotated, |at| x[from(at)], 1e-5);
            }
        }
        keys = set.secret.galois(&[set.context.conjugation()], &mut set.rng).unwrap();
        let ciphertext = set.encrypt(&x);
        set.check(&ciphertext.conjugate(&keys).unwrap(), |at| x[at], 1e-5);
        let refused = ciphertext.rotate(2, &keys).unwrap_err();
        assert_eq!(refused, HeError::NoKey { element: 9 });
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut set = set(LISTS[0]);
    let x = set.numbers(1);
    let (a, other) = (set.encrypt(&x), set.encrypt(&x));
    assert_eq!(a.clone().minus(&a).unwrap_err(), HeError::Transparent);
    let zero = set.encoder.encode(&[], SCALE).unwrap();
    assert_eq!(a.clone().multiply_plain(&zero).unwrap_err(), HeError::Transparent);
    let low = other.clone().drop_to(2).unwrap();
    assert!(matches!(a.clone().plus(&low), Err(HeError::Level { got: 2, needed: 3, .. })));
    let scaled = set.encoder.encode(&x, SCALE / 2.0).unwrap();
    assert!(matches!(a.clone().add_plain(&scaled), Err(HeError::Scale { .. })));
    let product = a.multiply(&other).unwrap();
    assert!(matches!(
        product.multiply(&a),
        Err(HeError::Size { got: 3, .. } | HeError::Number { .. })
    ));
    assert!(matches!(a.clone().drop_to(1).unwrap().rescale(), Err(HeError::Exhausted)));
    assert!(matches!(
        a.clone().drop_to(1).unwrap().multiply(&a.clone().drop_to(1).unwrap()),
        Err(HeError::Number { .. })
    ));
    let encode = |values: &[f64], scale| set.encoder.encode(values, scale).unwrap_err();
    assert!(matches!(encode(&vec![0.0; 4097], SCALE), HeError::Values { got: 4097, limit: 4096 }));
    for (value, scale) in
        [(f64::NAN, SCALE), (1.0, 0.0), (1.0, f64::INFINITY), (1e30, SCALE), (1.0, -1.0)]
    {
        assert!(matches!(encode(&[value], scale), HeError::Number { .. }), "{value} {scale}");
    }
    let stranger = Context::new(parameters(LISTS[1])).unwrap();
    let strange = SecretKey::generate(&stranger, &mut set.rng);
    assert_eq!(strange.decrypt(&a).unwrap_err(), HeError::OtherParameters);
    let bfv = Context::new(Parameters::bfv(4096, &[36, 36, 37], 20).unwrap()).unwrap();
    assert!(matches!(Encoder::new(&bfv), Err(HeError::Scheme { .. })));
}

#[test]
fn several_moduli_for_keys_leave_the_noise_as_it_was() {
    // Keys differ, and so does the error in their worst slots.
    let bits = [40, 30, 30, 30, 30, 30, 30];
    let error = |special: usize, each: u32| {
        let bits = [&bits[..], &vec![each; special]].concat();
        let parameters = Parameters::ckks(16_384, &bits).unwrap().with_special(special).unwrap();
        let context = Context::new(parameters).unwrap();
        let mut rng = ChaCha12Rng::seed_from_u64(special as u64);
        let secret = SecretKey::generate(&context, &mut rng);
        let encoder = Encoder::new(&context).unwrap();
        let public = secret.public(&mut rng);
        let mut set = Set { context, encoder, secret, public, rng };
        let (x, scale) = (set.numbers(4), 2_f64.powi(30));
        let keys = set.secret.rotations(&[1, 5], &mut set.rng).unwrap();
        let plain = set.encoder.encode(&x, scale).unwrap();
        let all = set.secret.encrypt(&plain, &mut set.rng).unwrap();
        let mut worst: f64 = 0.0;
        for moduli in 1..=7 {
            let ciphertext = all.clone().drop_to(moduli).unwrap();
            let hoisted = ciphertext.rotations(&[1, 5], &keys).unwrap();
            let alone = ciphertext.rotate(1, &keys).unwrap();
            for (turn, rotated) in [(1, &alone), (1, &hoisted[0]), (5, &hoisted[1])] {
                let got = set.encoder.decode(&set.secret.decrypt(rotated).unwrap()).unwrap();
                let wrong = |at: usize| (got[at] - x[(at + turn) % x.len()]).abs();
                worst = (0..x.len()).map(wrong).fold(worst, f64::max);
            }
        }
        worst
    };
    let one = error(1, 44);
    for (special, each) in [(2, 37), (3, 35), (4, 34), (5, 33)] {
        let several = error(special, each);
        assert!(several < 3.0 * one, "{special}: {several}, not {one}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_encoded_is_decoded(values in prop::collection::vec(-1e6..1e6, 0..512), moduli in 1_usize..3) {
        let context = Context::new(Parameters::ckks(1024, &[27]).unwrap()).unwrap();
        let wide = Context::new(Parameters::ckks(4096, &[36, 36, 37]).unwrap()).unwrap();
        for (context, scale, moduli) in [(context, 4.0, 1), (wide, 1024.0, moduli)] {
            let encoder = Encoder::new(&context).unwrap();
            let plain = encoder.encode_at(&values, scale, moduli).unwrap();
            let back = encoder.decode(&plain).unwrap();
            let error = 40.0 * context.degree() as f64 / scale / 32.0;
            for (got, expected) in back.iter().zip(values.iter().chain(std::iter::repeat(&0.0))) {
                prop_assert!((got - expected).abs() < error, "{} {}", got, expected);
            }
        }
    }
}
