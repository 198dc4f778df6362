use super::*;

fn transform(kernel: Kernel, q: Modulus, degree: usize) -> Transform {
    Transform::with_kernel(kernel, q, degree).unwrap()
}

fn reversed(i: usize, degree: usize) -> u64 {
    (i as u64).reverse_bits() >> (64 - degree.trailing_zeros())
}

/// The product modulo X^N + 1, term by term.
fn schoolbook(q: Modulus, a: &[u64], b: &[u64]) -> Vec<u64> {
    let degree = a.len();
    let mut product = vec![0; degree];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            let term = q.mul(*x, *y);
            let slot = &mut product[(i + j) % degree];
            *slot = if i + j < degree { q.add(*slot, term) } else { q.sub(*slot, term) };
        }
    }
    product
}

fn multiply(transform: &Transform, a: &[u64], b: &[u64]) -> Vec<u64> {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    transform.forward(&mut a);
    transform.forward(&mut b);
    transform.modulus().mul_assign(&mut a, &b);
    transform.inverse(&mut a);
    a
}

/// Vectors at the edges of what the kernels can bear, and random ones.
fn vectors(q: u64, degree: usize) -> Vec<Vec<u64>> {
    let constants = [0, 1, q / 2, q / 2 + 1, q - 1].map(|word| vec![word; degree]);
    let alternating = (0..degree).map(|i| if i % 2 == 0 { q - 1 } else { 1 }).collect();
    let halves = (0..degree).map(|i| if i < degree / 2 { q / 2 } else { q / 2 + 1 }).collect();
    let mut unit = vec![0; degree];
    unit[degree - 1] = q - 1;
    let randoms = (0..3).map(|seed| random(seed, q, degree));
    constants.into_iter().chain([alternating, halves, unit]).chain(randoms).collect()
}

/// Roots that SEAL 4.4.3 takes.
#[test]
fn roots_are_those_of_seal() {
    let roots = [
        (4096, 0xf_fffc_4001, 29_008_497),
        (4096, 0xf_c001, 194),
        (8192, 0xfff_ffff_ffff_c001, 25_959_043_411_404),
    ];
    for (degree, value, root) in roots {
        let transform = Transform::new(Modulus::new(value).unwrap(), degree).unwrap();
        assert_eq!(transform.root(), root);
    }
}

#[test]
fn the_root_is_the_smallest_of_its_order() {
    let q = Modulus::new(12289).unwrap();
    for degree in [16, 64, 1024, 2048] {
        let is_root = |x: &u64| q.pow(*x, degree as u64) == q.value() - 1;
        assert_eq!(Transform::new(q, degree).unwrap().root(), (2..12289).find(is_root).unwrap());
    }
}

#[test]
fn slots_are_values_at_the_odd_powers_of_the_root() {
    for degree in [16, 32, 64, 1024, 4096, 8192] {
        for q in moduli(degree) {
            let coefficients = random(1, q.value(), degree);
            for kernel in Kernel::available() {
                let transform = transform(kernel, q, degree);
                let mut slots = coefficients.clone();
                transform.forward(&mut slots);
                for i in [0, 1, 2, 3, 5, 8, 15, degree / 2, degree - 2, degree - 1] {
                    let point = q.pow(transform.root(), 2 * reversed(i, degree) + 1);
                    let terms = coefficients.iter().rev();
                    let value = terms.fold(0, |sum, word| q.add(q.mul(sum, point), *word));
                    assert_eq!(slots[i], value, "{kernel:?} {q:?} {degree}: slot {i}");
                }
            }
        }
    }
}

#[test]
fn products_are_the_schoolbook_ones() {
    for degree in [16, 32, 128, 512] {
        for q in moduli(degree) {
            let [a, b] = [1, 2].map(|seed| random(seed, q.value(), degree));
            let expected = schoolbook(q, &a, &b);
            for kernel in Kernel::available() {
                let transform = transform(kernel, q, degree);
                assert_eq!(multiply(&transform, &a, &b), expected, "{kernel:?} {q:?} {degree}");
            }
        }
    }
}

#[test]
fn kernels_agree_and_transforms_undo_each_other_at_the_edges() {
    for degree in [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768] {
        for q in moduli(degree) {
            let transforms: Vec<_> =
                Kernel::available().map(|kernel| transform(kernel, q, degree)).collect();
            let plain = &transforms[0];
            for vector in vectors(q.value(), degree) {
                let [mut slots, mut back] = [vector.clone(), vector.clone()];
                plain.forward(&mut slots);
                plain.inverse(&mut back);
                for (kernel, transform) in Kernel::available().zip(&transforms) {
                    let mut words = vector.clone();
                    transform.forward(&mut words);
                    assert!(words == slots, "forward {kernel:?} {q:?} {degree}");
                    transform.inverse(&mut words);
                    assert!(words == vector, "there and back {kernel:?} {q:?} {degree}");
                    transform.inverse(&mut words);
                    assert!(words == back, "inverse {kernel:?} {q:?} {degree}");
                }
            }
        }
    }
}

#[test]
fn several_polynomials_are_transformed_one_by_one() {
    let q = largest(16, 40, 1)[0];
    for kernel in Kernel::available() {
        let transform = transform(kernel, q, 16);
        let words = random(5, q.value(), 40);
        let mut together = words.clone();
        transform.forward(&mut together);
        let mut apart = words.clone();
        for polynomial in [0, 16] {
            transform.forward(&mut apart[polynomial..polynomial + 16]);
        }
        assert_eq!(together, apart);
        assert_eq!(together[32..], words[32..]);
        transform.inverse(&mut together);
        assert_eq!(together, words);
    }
}

#[test]
fn impossible_transforms_are_refused() {
    let q = Modulus::new(12289).unwrap();
    for degree in [0, 1, 8, 17, 1000, 1 << 18, usize::MAX] {
        assert_eq!(Transform::new(q, degree).unwrap_err(), RnsError::Degree { got: degree });
    }
    let refused = Transform::new(q, 4096).unwrap_err();
    assert_eq!(refused, RnsError::Root { modulus: 12289, degree: 4096 });
    assert_eq!(refused.to_string(), "12289 is not 1 modulo 8192");
    let two = Modulus::new(2).unwrap();
    assert!(Transform::new(two, 16).is_err());
}
