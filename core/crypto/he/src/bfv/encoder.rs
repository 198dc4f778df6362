//! Integers in slots: slot j of the first row is the value at ψ^(3^j) modulo t, that of the second row
//! the value at its inverse.

use std::sync::Arc;

use nexus_field::rns::{Modulus, Transform};

use super::Plaintext;
use crate::HeError;
use crate::context::{Context, places};

/// Turns vectors of N integers into plaintexts and back.
#[derive(Debug)]
pub struct Encoder {
    context: Arc<Context>,
    transform: Transform,
    places: Vec<[u32; 2]>,
}

impl Encoder {
    /// For one set of parameters.
    ///
    /// # Errors
    /// [`HeError::Scheme`] unless it is BFV; [`HeError::Rns`] unless t is a prime that is 1 modulo 2N.
    pub fn new(context: &Arc<Context>) -> Result<Self, HeError> {
        let plain = Modulus::new(context.integers()?.plain())?;
        Ok(Self {
            transform: Transform::new(plain, context.degree())?,
            places: places(context.degree()),
            context: Arc::clone(context),
        })
    }

    /// The tables it encodes for.
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// How many integers a plaintext holds: N, in two rows.
    pub fn slots(&self) -> usize {
        2 * self.places.len()
    }

    /// `values`, then zeros: the first row, then the second.
    ///
    /// # Errors
    /// [`HeError::Values`] for more than N; [`HeError::Integer`] for one of a magnitude above t/2.
    pub fn encode(&self, values: &[i64]) -> Result<Plaintext, HeError> {
        if values.len() > self.slots() {
            return Err(HeError::Values { got: values.len(), limit: self.slots() });
        }
        let (t, limit) = (self.transform.modulus(), self.context.integers()?.half());
        let large = values.iter().position(|value| value.unsigned_abs() > limit);
        if let Some(index) = large {
            return Err(HeError::Integer { index, got: values[index], limit });
        }
        let mut coefficients = vec![0; self.slots()];
        for (value, place) in values.iter().zip(self.in_order()) {
            coefficients[place] = t.reduce_signed(*value);
        }
        self.transform.inverse(&mut coefficients);
        Ok(Plaintext { coefficients })
    }

    /// The integers in a plaintext, of smallest magnitude.
    ///
    /// # Errors
    /// [`HeError::Width`] if it is of another degree, [`HeError::Word`] if of another t.
    pub fn decode(&self, plain: &Plaintext) -> Result<Vec<i64>, HeError> {
        let (got, needed) = (plain.coefficients.len(), self.slots());
        if got != needed {
            return Err(HeError::Width { got, needed });
        }
        let mut values = Plaintext::new(&self.context, &plain.coefficients)?.coefficients;
        self.transform.forward(&mut values);
        let t = self.transform.modulus();
        Ok(self.in_order().map(|place| t.centred(values[place])).collect())
    }

    /// Where the slots are, one after the other.
    fn in_order(&self) -> impl Iterator<Item = usize> {
        let row = |row: usize| self.places.iter().map(move |places| places[row] as usize);
        row(0).chain(row(1))
    }
}
