use super::*;

fn values(primes: &[Modulus]) -> Vec<u64> {
    primes.iter().map(|prime| prime.value()).collect()
}

/// Lists that SEAL 4.4.3 gives.
#[test]
fn primes_are_those_of_seal() {
    let lists: [(usize, &[u32], &[u64]); 4] = [
        (4096, &[36, 36, 37], &[0xf_fffc_4001, 0xf_fffe_e001, 0x1f_fffe_0001]),
        (
            8192,
            &[60, 40, 40, 60],
            &[0xfff_ffff_fffe_8001, 0xff_fff4_c001, 0xff_fffd_c001, 0xfff_ffff_ffff_c001],
        ),
        (
            8192,
            &[40, 31, 31, 31, 40],
            &[0xff_fff4_c001, 0x7ff9_c001, 0x7ffb_c001, 0x7ffe_0001, 0xff_fffd_c001],
        ),
        (
            16384,
            &[60, 40, 40, 40, 40, 40, 40, 40, 60],
            &[
                0xfff_ffff_fffd_8001,
                0xff_ff94_0001,
                0xff_ffa7_8001,
                0xff_ffaf_8001,
                0xff_ffb2_0001,
                0xff_ffc4_0001,
                0xff_ffca_8001,
                0xff_ffe8_0001,
                0xfff_ffff_fffe_8001,
            ],
        ),
    ];
    for (degree, bits, expected) in lists {
        assert_eq!(values(&choose(degree, bits).unwrap()), expected, "{degree} {bits:?}");
    }
}

/// What `TenSEAL` 0.3.18 and SEAL 4.4.3 wrote into the parameters of sample objects.
#[test]
fn primes_are_those_of_sample_objects() {
    let tenseal = [1_099_511_390_209, 1_032_193, 1_099_511_480_321];
    assert_eq!(values(&choose(4096, &[40, 20, 40]).unwrap()), tenseal);
    let seal = [68_719_230_977, 1_073_692_673, 68_719_403_009];
    assert_eq!(values(&choose(4096, &[36, 30, 36]).unwrap()), seal);
}

#[test]
fn plain_moduli_for_slots_are_those_of_seal() {
    for (degree, bits, expected) in
        [(4096, 20, 0xfc001), (4096, 17, 0x1_c001), (16384, 20, 0xc0001)]
    {
        assert_eq!(values(&choose(degree, &[bits]).unwrap()), [expected]);
    }
}

#[test]
fn primes_in_larger_steps_are_one_modulo_the_plain_modulus_too() {
    let t = 0xf_c001;
    // t is 1 modulo 2·4096, so they share no divisor.
    for prime in choose_in_steps(8192 * t, &[50, 45, 50]).unwrap() {
        assert_eq!((prime.value() % t, prime.value() % 8192), (1, 1));
    }
}

/// The moduli that SEAL takes for BFV unless told otherwise: degree, then the list of each
/// security level.
const DEFAULTS: &[(usize, &[u64])] = &[
    (1024, &[0x7e0_0001]),
    (2048, &[0x3f_ffff_ff00_0001]),
    (4096, &[0xf_fffe_e001, 0xf_fffc_4001, 0x1f_fffe_0001]),
    (8192, &[0x7ff_fffd_8001, 0x7ff_fffc_8001, 0xfff_ffff_c001, 0xfff_fff6_c001, 0xfff_ffeb_c001]),
    (
        16384,
        &[
            0xffff_fffd_8001,
            0xffff_fffa_0001,
            0xffff_fff0_0001,
            0x1_ffff_fff6_8001,
            0x1_ffff_fff5_0001,
            0x1_ffff_ffee_8001,
            0x1_ffff_ffea_0001,
            0x1_ffff_ffe8_8001,
            0x1_ffff_ffe4_8001,
        ],
    ),
    (
        32768,
        &[
            0x7f_ffff_ffe9_0001,
            0x7f_ffff_ffbf_0001,
            0x7f_ffff_ffbd_0001,
            0x7f_ffff_ffba_0001,
            0x7f_ffff_ffaa_0001,
            0x7f_ffff_ffa5_0001,
            0x7f_ffff_ff9f_0001,
            0x7f_ffff_ff7e_0001,
            0x7f_ffff_ff77_0001,
            0x7f_ffff_ff38_0001,
            0x7f_ffff_ff33_0001,
            0x7f_ffff_ff2d_0001,
            0x7f_ffff_ff17_0001,
            0x7f_ffff_ff15_0001,
            0x7f_ffff_fef0_0001,
            0xff_ffff_fff7_0001,
        ],
    ),
    (1024, &[0x7_f001]),
    (2048, &[0x1f_fffc_0001]),
    (4096, &[0x1ff_c001, 0x1fc_e001, 0x1fc_0001]),
    (8192, &[0x3f_fffa_c001, 0x3f_fff5_4001, 0x3f_fff4_8001, 0x3f_fff2_8001]),
    (
        16384,
        &[
            0x3_ffff_ffdf_0001,
            0x3_ffff_ffd4_8001,
            0x3_ffff_ffd2_0001,
            0x3_ffff_ffd1_8001,
            0x3_ffff_ffcd_0001,
            0x3_ffff_ffc7_0001,
        ],
    ),
    (
        32768,
        &[
            0x3f_ffff_ffd6_0001,
            0x3f_ffff_ffca_0001,
            0x3f_ffff_ff6d_0001,
            0x3f_ffff_ff5d_0001,
            0x3f_ffff_ff55_0001,
            0x7f_ffff_ffe9_0001,
            0x7f_ffff_ffbf_0001,
            0x7f_ffff_ffbd_0001,
            0x7f_ffff_ffba_0001,
            0x7f_ffff_ffaa_0001,
            0x7f_ffff_ffa5_0001,
        ],
    ),
    (1024, &[0x3001]),
    (2048, &[0x1ffc_0001]),
    (4096, &[0x3ff_ffff_ff04_0001]),
    (8192, &[0x7f_fffe_c001, 0x7f_fffb_0001, 0xff_fffd_c001]),
    (
        16384,
        &[0x7fff_fffc_8001, 0x7fff_fff0_0001, 0x7fff_ffe7_0001, 0xffff_fffd_8001, 0xffff_fffa_0001],
    ),
    (
        32768,
        &[
            0xf_ffff_fff0_0001,
            0x1f_ffff_ffe3_0001,
            0x1f_ffff_ffd8_0001,
            0x1f_ffff_ffd1_0001,
            0x1f_ffff_ffc5_0001,
            0x1f_ffff_ffbf_0001,
            0x1f_ffff_ffb9_0001,
            0x1f_ffff_ffb6_0001,
            0x1f_ffff_ffa5_0001,
        ],
    ),
];

#[test]
fn the_default_moduli_of_seal_are_primes_with_a_transform() {
    for (degree, moduli) in DEFAULTS {
        for value in *moduli {
            let modulus = Modulus::new(*value).unwrap();
            assert_eq!(value % (2 * *degree as u64), 1, "{degree} {value:x}");
            assert_eq!(Transform::new(modulus, *degree).unwrap().degree(), *degree);
        }
    }
}

#[test]
fn composites_are_no_moduli() {
    // Strong pseudoprimes to the bases 2; 2, 3; .. 2 to 7; 2 to 17; a Carmichael number; squares
    // and products of large primes; and what is just small or even.
    let composites = [
        2047,
        1_373_653,
        25_326_001,
        3_215_031_751,
        341_550_071_728_321,
        561,
        0xffff_ffff * 3,
        0xf_fffc_4001 * 3,
        4_294_967_291 % (1 << 30) * 5,
        1_073_741_789 * 1_073_741_789,
        1_073_741_789 * 1_073_741_783,
        (1 << 61) - 3,
        4,
        6,
        9,
        1 << 60,
    ];
    for value in composites {
        assert_eq!(Modulus::new(value), Err(RnsError::Composite { got: value }), "{value}");
    }
}

#[test]
fn small_numbers_are_sorted_as_by_a_sieve() {
    let is_prime =
        |n: u64| n > 1 && (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    for value in 2..20_000 {
        assert_eq!(Modulus::new(value).is_ok(), is_prime(value), "{value}");
    }
}

#[test]
fn moduli_keep_to_their_sizes() {
    for value in [0, 1, 1 << 61, (1 << 61) + 15, u64::MAX] {
        assert_eq!(Modulus::new(value), Err(RnsError::Size { got: value }));
    }
    let largest = Modulus::new((1 << 61) - 1).unwrap();
    assert_eq!((largest.value(), largest.bits()), ((1 << 61) - 1, 61));
    assert_eq!(Modulus::new(2).unwrap().bits(), 2);
    assert_eq!(Modulus::new(3).unwrap().bits(), 2);
}

#[test]
fn impossible_lists_are_refused() {
    for bits in [0, 1, 61, 64, u32::MAX] {
        assert_eq!(choose(4096, &[40, bits]), Err(RnsError::Bits { got: bits }));
    }
    for degree in [0, 1, 8, 1000, 1 << 18, usize::MAX] {
        assert_eq!(choose(degree, &[40]), Err(RnsError::Degree { got: degree }));
    }
    let scarce = RnsError::Scarce { bits: 13, wanted: 1, step: 8192 };
    assert_eq!(choose(4096, &[13]), Err(scarce));
    let scarce = RnsError::Scarce { bits: 20, wanted: 200, step: 8192 };
    assert_eq!(choose(4096, &[20; 200]), Err(scarce));
    assert_eq!(choose(4096, &[40; 257]), Err(RnsError::Count { got: 257 }));
    assert!(choose_in_steps(0, &[40]).is_err() && choose_in_steps(u64::MAX, &[40]).is_err());
    assert_eq!(choose(4096, &[]), Ok(Vec::new()));
}
