//! Numbers as polynomials: slot j is the value at ζ^(3^j), ζ = exp(iπ/N).

use std::f64::consts::PI;
use std::sync::Arc;

use crate::context::{Context, places};
use crate::{HeError, Plaintext, Scheme};

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Complex {
    /// Its real part.
    pub re: f64,
    /// Its imaginary part.
    pub im: f64,
}

impl Complex {
    fn of_angle(angle: f64) -> Self {
        let (im, re) = angle.sin_cos();
        Self { re, im }
    }

    const fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }
}

impl From<f64> for Complex {
    fn from(re: f64) -> Self {
        Self { re, im: 0.0 }
    }
}

impl std::ops::Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl std::ops::Sub for Complex {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl std::ops::Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

/// Turns vectors of N/2 numbers into plaintexts and back.
#[derive(Clone, Debug)]
pub struct Encoder {
    context: Arc<Context>,
    /// ζ^rev(i) at index i.
    roots: Vec<Complex>,
    /// Where slot j and its conjugate are among the values at all odd powers of ζ, in the order of
    /// the transforms.
    places: Vec<[u32; 2]>,
}

impl Encoder {
    /// For one set of parameters.
    ///
    /// # Errors
    /// [`HeError::Scheme`] unless it is CKKS.
    pub fn new(context: &Arc<Context>) -> Result<Self, HeError> {
        if context.parameters().scheme() != Scheme::Ckks {
            return Err(HeError::Scheme { operation: "encoding real numbers" });
        }
        let degree = context.degree();
        let bits = degree.ilog2();
        let reverse = |at: u32| at.reverse_bits() >> (u32::BITS - bits);
        #[expect(clippy::cast_possible_truncation, reason = "a degree is at most 2^17")]
        let count = degree as u32;
        let root = |at: u32| Complex::of_angle(PI * f64::from(reverse(at)) / f64::from(count));
        let (roots, places) = ((0..count).map(root).collect(), places(degree));
        Ok(Self { context: Arc::clone(context), roots, places })
    }

    /// The tables it encodes for.
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// How many numbers a plaintext holds: N/2.
    pub fn slots(&self) -> usize {
        self.places.len()
    }

    /// A plaintext for fresh ciphertexts: `values`, then zeros.
    ///
    /// # Errors
    /// As [`Encoder::encode_at`].
    pub fn encode(&self, values: &[f64], scale: f64) -> Result<Plaintext, HeError> {
        self.encode_at(values, scale, self.context.parameters().top())
    }

    /// A plaintext for ciphertexts of `moduli` moduli: `values`, then zeros, times `scale`, rounded.
    ///
    /// # Errors
    /// [`HeError::Values`], [`HeError::Level`]; [`HeError::Number`] for a scale that is not positive, a
    /// value that is not finite, and what is too large for the moduli.
    pub fn encode_at(
        &self,
        values: &[f64],
        scale: f64,
        moduli: usize,
    ) -> Result<Plaintext, HeError> {
        let values: Vec<Complex> = values.iter().map(|value| Complex::from(*value)).collect();
        self.encode_complex(&values, scale, moduli)
    }

    /// [`Encoder::encode_at`] for complex numbers.
    ///
    /// # Errors
    /// As there.
    pub fn encode_complex(
        &self,
        values: &[Complex],
        scale: f64,
        moduli: usize,
    ) -> Result<Plaintext, HeError> {
        let bits = self.check(values.len(), scale, moduli)?;
        let mut slots = vec![Complex::default(); self.roots.len()];
        for (value, [own, other]) in values.iter().zip(&self.places) {
            slots[*own as usize] = *value;
            slots[*other as usize] = value.conjugate();
        }
        self.to_coefficients(&mut slots);
        let unit = scale / self.roots.len() as f64;
        let round = |slot: &Complex| whole(slot.re * unit, bits);
        let coefficients = slots.iter().map(round).collect::<Result<Vec<_>, _>>()?;
        let words = self.context.lift(&coefficients, moduli);
        Ok(Plaintext { context: Arc::clone(&self.context), words, moduli, scale })
    }

    /// A plaintext that is `value` in every slot.
    ///
    /// # Errors
    /// As [`Encoder::encode_at`].
    pub fn constant(&self, value: f64, scale: f64, moduli: usize) -> Result<Plaintext, HeError> {
        let bits = self.check(1, scale, moduli)?;
        let rounded = whole(value * scale, bits)?;
        let degree = self.context.degree();
        let modulus = |at| self.context.modulus(at);
        let words = (0..moduli)
            .flat_map(|at| std::iter::repeat_n(modulus(at).reduce_signed(rounded), degree));
        let words = words.collect();
        Ok(Plaintext { context: Arc::clone(&self.context), words, moduli, scale })
    }

    /// Bits of the product of the moduli, after a look at everything else.
    fn check(&self, values: usize, scale: f64, moduli: usize) -> Result<u32, HeError> {
        let parameters = self.context.parameters();
        if values > self.slots() {
            return Err(HeError::Values { got: values, limit: self.slots() });
        }
        if !(1..=parameters.top()).contains(&moduli) {
            return Err(HeError::Level {
                what: "a plaintext",
                got: moduli,
                needed: parameters.top(),
            });
        }
        let bits =
            parameters.moduli()[..moduli].iter().map(|modulus| modulus.bits()).sum::<u32>() - 1;
        if !(scale.is_normal() && scale > 0.0 && scale.log2() < f64::from(bits)) {
            let problem = "it must be positive and fit the moduli";
            return Err(HeError::Number { what: "the scale", got: scale, problem });
        }
        Ok(bits)
    }

    /// The numbers in a plaintext, as complex ones.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`].
    pub fn decode_complex(&self, plain: &Plaintext) -> Result<Vec<Complex>, HeError> {
        plain.context.same(&self.context)?;
        let mut slots = plain.coefficients();
        for slot in &mut slots {
            slot.re /= plain.scale;
        }
        self.to_values(&mut slots);
        Ok(self.places.iter().map(|[own, _]| slots[*own as usize]).collect())
    }

    /// The real parts of the numbers in a plaintext.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`].
    pub fn decode(&self, plain: &Plaintext) -> Result<Vec<f64>, HeError> {
        Ok(self.decode_complex(plain)?.into_iter().map(|value| value.re).collect())
    }

    /// Coefficients to values at all odd powers of ζ, by the passes of the transforms.
    fn to_values(&self, slots: &mut [Complex]) {
        let mut width = slots.len() / 2;
        let mut groups = 1;
        while width > 0 {
            for (group, root) in slots.chunks_exact_mut(2 * width).zip(&self.roots[groups..]) {
                let (left, right) = group.split_at_mut(width);
                for (a, b) in left.iter_mut().zip(right) {
                    let turned = *b * *root;
                    (*a, *b) = (*a + turned, *a - turned);
                }
            }
            (width, groups) = (width / 2, 2 * groups);
        }
    }

    /// Values to N times the coefficients.
    fn to_coefficients(&self, slots: &mut [Complex]) {
        let mut width = 1;
        let mut groups = slots.len() / 2;
        while groups > 0 {
            for (group, root) in slots.chunks_exact_mut(2 * width).zip(&self.roots[groups..]) {
                let root = root.conjugate();
                let (left, right) = group.split_at_mut(width);
                for (a, b) in left.iter_mut().zip(right) {
                    (*a, *b) = (*a + *b, (*a - *b) * root);
                }
            }
            (width, groups) = (2 * width, groups / 2);
        }
    }
}

impl Plaintext {
    /// The coefficients, centred, as floats.
    fn coefficients(&self) -> Vec<Complex> {
        let mut words = self.words.clone();
        self.context.base().inverse(&mut words);
        self.context.centred(&words).into_iter().map(Complex::from).collect()
    }
}

/// The whole number next to `got`, if it is below half of 2^bits and 2^61.
fn whole(got: f64, bits: u32) -> Result<i64, HeError> {
    let rounded = got.round();
    // What is exact as a 64-bit integer is enough: scales are below 2^60.
    let limit = 2_f64.powi(i32::try_from(bits.min(62)).unwrap_or(62));
    if rounded.abs() * 2.0 < limit {
        #[expect(clippy::cast_possible_truncation, reason = "below 2^61")]
        return Ok(rounded as i64);
    }
    let problem = "coefficients must be finite and below half the moduli and 2^61";
    Err(HeError::Number { what: "a coefficient", got, problem })
}
