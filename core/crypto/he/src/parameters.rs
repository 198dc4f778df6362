//! Parameters: a closed table of degrees, and lists of primes that are secure with them.

use nexus_field::rns::{Modulus, choose, choose_in_steps};

use crate::HeError;
use crate::blake2b::Node;

/// The most primes in a list.
pub const MAX_MODULI: usize = 64;

/// Bits of the product of all moduli that leave 128 bits of security with ternary secrets and errors
/// of deviation 3.2 (Homomorphic Encryption Standard 2018, table 1).
pub(crate) const TABLE: [(usize, u32); 6] =
    [(1024, 27), (2048, 54), (4096, 109), (8192, 218), (16_384, 438), (32_768, 881)];

/// What is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Integers modulo t, exactly (Fan & Vercauteren 2012, ePrint 2012/144).
    Bfv,
    /// Real and complex numbers, approximately (Cheon, Kim, Kim & Song 2017, ePrint 2016/421).
    Ckks,
}

/// The name of a level of parameters: SEAL's `parms_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParametersId(pub [u8; 32]);

/// Parameters of one scheme: a degree N, primes that are 1 modulo 2N, of which the last is for keys
/// only if there are several, and for BFV a plain modulus t, which need be no prime.
///
/// More than one can be for keys ([`Parameters::with_special`]): then keys are smaller and switching is
/// faster, and SEAL has no such keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    scheme: Scheme,
    degree: usize,
    moduli: Vec<Modulus>,
    /// How many of them are for keys only.
    special: usize,
    plain: Option<u64>,
}

impl Parameters {
    /// These.
    ///
    /// # Errors
    /// [`HeError`] if the degree is not in the table, the moduli are not distinct primes that are 1 modulo 2N
    /// or too large for 128 bits of security; in BFV, unless t is from 2 to every modulus; in
    /// CKKS, if there is a t.
    pub fn new(
        scheme: Scheme,
        degree: usize,
        moduli: &[u64],
        plain: Option<u64>,
    ) -> Result<Self, HeError> {
        let row = TABLE.iter().find(|row| row.0 == degree);
        let limit = row.ok_or(HeError::Degree { got: degree })?.1;
        if !(1..=MAX_MODULI).contains(&moduli.len()) {
            return Err(HeError::Moduli { got: moduli.len(), least: 1, most: MAX_MODULI });
        }
        let moduli = moduli.iter().map(|value| Ok(Modulus::new(*value)?));
        let moduli = moduli.collect::<Result<Vec<_>, HeError>>()?;
        for (at, modulus) in moduli.iter().enumerate() {
            if moduli[..at].iter().any(|other| other.value() == modulus.value()) {
                return Err(HeError::Twice { got: modulus.value() });
            }
            on_the_circle(*modulus, degree)?;
        }
        let bits = product_bits(&moduli);
        if bits > limit {
            return Err(HeError::Insecure { got: bits, limit, degree });
        }
        let plain = plain_of(scheme, &moduli, plain)?;
        let special = usize::from(moduli.len() > 1);
        Ok(Self { scheme, degree, moduli, special, plain })
    }

    /// The same with the last `special` moduli for keys only: hybrid key switching (Han & Ki 2020, ePrint
    /// 2019/688), which takes polynomials apart modulo so many moduli at a time.
    ///
    /// # Errors
    /// [`HeError::Special`] unless one modulus at least is for keys and one for data, and the product
    /// of those for keys has as many bits as that of any part, if there are several.
    pub fn with_special(self, special: usize) -> Result<Self, HeError> {
        let refuse = |problem| Err(HeError::Special { got: special, problem });
        if special == 0 || special >= self.moduli.len() {
            return refuse("one is needed, and one for data");
        }
        let (data, keys) = self.moduli.split_at(self.moduli.len() - special);
        let (largest, room) =
            (data.chunks(special).map(product_bits).max(), Some(product_bits(keys)));
        if special > 1 && largest > room {
            return refuse("their product is smaller than that of as many for data");
        }
        Ok(Self { special, ..self })
    }

    /// CKKS with primes of these sizes, as SEAL chooses them; the last is for keys.
    ///
    /// # Errors
    /// As [`Parameters::new`], and where there are not enough primes.
    pub fn ckks(degree: usize, bits: &[u32]) -> Result<Self, HeError> {
        Self::new(Scheme::Ckks, degree, &values(&choose(degree, bits)?), None)
    }

    /// BFV with primes of these sizes and a plain modulus of `plain_bits`, which has slots.
    ///
    /// # Errors
    /// As [`Parameters::new`], and where there are not enough primes.
    pub fn bfv(degree: usize, bits: &[u32], plain_bits: u32) -> Result<Self, HeError> {
        let step = 2 * degree as u64;
        let plain = choose_in_steps(step, &[plain_bits])?.first().map(|plain| plain.value());
        Self::new(Scheme::Bfv, degree, &values(&choose(degree, bits)?), plain)
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// N: coefficients of a polynomial.
    pub const fn degree(&self) -> usize {
        self.degree
    }

    /// All moduli; the last is for keys only, or the last [`Parameters::special`].
    pub fn moduli(&self) -> &[Modulus] {
        &self.moduli
    }

    /// Moduli of fresh ciphertexts.
    pub fn data_moduli(&self) -> &[Modulus] {
        &self.moduli[..self.top()]
    }

    /// How many moduli a fresh ciphertext has.
    pub fn top(&self) -> usize {
        self.moduli.len() - self.special
    }

    /// How many moduli are for keys only: none if there is but one.
    pub const fn special(&self) -> usize {
        self.special
    }

    /// Parts that a polynomial of so many moduli is taken apart into, to be switched: dnum.
    pub fn parts(&self, moduli: usize) -> usize {
        moduli.div_ceil(self.special.max(1))
    }

    /// t, in BFV.
    pub const fn plain(&self) -> Option<u64> {
        self.plain
    }

    /// The name of the level that has the first `moduli` of them: BLAKE2b-256 of scheme, degree,
    /// moduli and t, a 64-bit word each, and for that of keys how many are for keys only, if several
    /// are. `None` unless there are so many.
    pub fn id(&self, moduli: usize) -> Option<ParametersId> {
        let used = self.moduli.get(..moduli).filter(|used| !used.is_empty())?;
        let scheme = match self.scheme {
            Scheme::Bfv => 1,
            Scheme::Ckks => 2,
        };
        let plain = self.plain.unwrap_or_default();
        let words = [scheme, self.degree as u64].into_iter();
        let several = moduli == self.moduli.len() && self.special > 1;
        let special = several.then_some(self.special as u64);
        let words = words.chain(used.iter().map(|it| it.value())).chain([plain]).chain(special);
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let mut id = [0; 32];
        id.copy_from_slice(&Node::digest(32).hash(b"", &bytes)[..32]);
        Some(ParametersId(id))
    }
}

fn values(moduli: &[Modulus]) -> Vec<u64> {
    moduli.iter().map(|modulus| modulus.value()).collect()
}

fn on_the_circle(modulus: Modulus, degree: usize) -> Result<(), HeError> {
    if modulus.value() % (2 * degree as u64) == 1 {
        return Ok(());
    }
    Err(nexus_field::rns::RnsError::Root { modulus: modulus.value(), degree }.into())
}

/// Bits of the product, exactly.
fn product_bits(moduli: &[Modulus]) -> u32 {
    let mut product = vec![1_u64];
    for modulus in moduli {
        let mut carry = 0;
        for word in &mut product {
            let wide = u128::from(*word) * u128::from(modulus.value()) + carry;
            #[expect(clippy::cast_possible_truncation, reason = "the low word")]
            let low = wide as u64;
            (*word, carry) = (low, wide >> 64);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a carry is below the modulus")]
        let top = carry as u64;
        product.push(top);
    }
    let used = product.iter().rposition(|word| *word != 0).unwrap_or_default();
    let top = product[used].checked_ilog2().map_or(0, |log| log + 1);
    u32::try_from(used).unwrap_or(u32::MAX).saturating_mul(64).saturating_add(top)
}

fn plain_of(
    scheme: Scheme,
    moduli: &[Modulus],
    plain: Option<u64>,
) -> Result<Option<u64>, HeError> {
    let got = plain.unwrap_or_default();
    let problem = match scheme {
        Scheme::Ckks if got == 0 => return Ok(None),
        Scheme::Ckks => "CKKS has none",
        Scheme::Bfv if got < 2 => "BFV needs one, at least 2",
        Scheme::Bfv if moduli.iter().any(|modulus| modulus.value() <= got) => {
            "it must be below every modulus"
        }
        Scheme::Bfv => return Ok(Some(got)),
    };
    Err(HeError::Plain { got, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_named(parameters: &Parameters, moduli: usize, hex: &str) {
        let pairs = hex.as_bytes().as_chunks::<2>().0;
        let byte =
            |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let id: Vec<u8> = pairs.iter().map(byte).collect();
        assert_eq!(parameters.id(moduli).unwrap().0, id[..]);
    }

    /// Names that `TenSEAL` 0.3.18 and SEAL 4.4.3 wrote.
    #[test]
    fn names_of_levels_are_those_of_seal() {
        let ckks = Parameters::ckks(4096, &[40, 20, 40]).unwrap();
        assert_eq!(values(ckks.moduli()), [1_099_511_390_209, 1_032_193, 1_099_511_480_321]);
        for (moduli, id) in [
            (3, "98f4c09ba01b360c5ed5f5219e3cf5933bfacb0f02e994811dd14d189463659e"),
            (2, "f8cd99a04df6f9b5364b715a7fc0c62401d219fc14290c7e9aeddc97b8b326dc"),
            (1, "33ff98e25a3e55359318d2c52418207875a0e7d1bbeb94fb90ff0905f8c68a2e"),
        ] {
            is_named(&ckks, moduli, id);
        }
        let moduli = [68_719_403_009, 68_719_230_977, 137_438_822_401];
        let bfv = Parameters::new(Scheme::Bfv, 4096, &moduli, Some(1_032_193)).unwrap();
        is_named(&bfv, 3, "51f0b0172e4629d58f1802d4c7c257c0100dde01dcdbf661e004a4627e01f9bf");
        assert!(bfv.id(0).is_none() && bfv.id(4).is_none());
    }

    #[test]
    fn several_moduli_are_for_keys_if_they_cover_every_part() {
        let of = |bits: &[u32], special| {
            Parameters::ckks(8192, bits).and_then(|it| it.with_special(special))
        };
        let plain = Parameters::ckks(8192, &[30, 30, 30, 36, 36]).unwrap();
        let hybrid = plain.clone().with_special(2).unwrap();
        assert_eq!((hybrid.top(), hybrid.parts(3), hybrid.parts(2)), (3, 2, 1));
        assert_eq!(hybrid.id(3), plain.id(3), "data are those of SEAL");
        assert_ne!(hybrid.id(5), plain.id(5), "keys are not");
        assert_eq!(plain.clone().with_special(1).unwrap(), plain);
        for (bits, special) in [(&[30, 30][..], 0), (&[30, 30], 2), (&[40, 40, 30, 30], 2)] {
            assert!(
                matches!(of(bits, special), Err(HeError::Special { got, .. }) if got == special)
            );
        }
    }

    #[test]
    fn only_what_is_secure_and_has_a_transform_is_accepted() {
        assert_eq!(Parameters::ckks(8192, &[60, 40, 40, 60]).unwrap().top(), 3);
        assert_eq!(Parameters::ckks(1024, &[27]).unwrap().top(), 1);
        let refused = |degree, bits: &[u32]| Parameters::ckks(degree, bits).unwrap_err();
        assert!(matches!(
            refused(8192, &[60, 60, 60, 60]),
            HeError::Insecure { got: 240, limit: 218, .. }
        ));
        assert!(matches!(refused(512, &[20]), HeError::Degree { got: 512 }));
        assert!(matches!(refused(4096, &[]), HeError::Moduli { got: 0, .. }));
        let of =
            |moduli: &[u64], plain| Parameters::new(Scheme::Bfv, 4096, moduli, plain).unwrap_err();
        let prime = 68_719_403_009;
        assert!(matches!(of(&[prime, prime], Some(40_961)), HeError::Twice { .. }));
        assert!(matches!(of(&[prime + 2], Some(40_961)), HeError::Rns(_)));
        assert!(matches!(of(&[prime], None), HeError::Plain { .. }));
        assert!(matches!(of(&[prime], Some(prime)), HeError::Plain { .. }));
    }
}
