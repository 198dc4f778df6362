//! Values with a shape.

use crate::ModelError;

/// A row-major array: the last axis is contiguous.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T = f32> {
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T> Tensor<T> {
    /// `data` as an array of `shape`.
    ///
    /// # Errors
    /// [`ModelError::TensorLength`] if the shape holds another number of values.
    pub fn new(shape: Vec<usize>, data: Vec<T>) -> Result<Self, ModelError> {
        if values_of(&shape) != Some(data.len()) {
            return Err(ModelError::TensorLength { shape, got: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// Sizes of the axes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The values, without the shape.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }
}

/// Values in an array of `shape`, `None` if they cannot be counted.
pub(crate) fn values_of(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_must_hold_the_values() {
        assert!(Tensor::new(vec![2, 3], vec![0.0; 6]).is_ok());
        assert!(Tensor::new(vec![], vec![0.0]).is_ok());
        for shape in [vec![2, 2], vec![usize::MAX, 2], vec![0]] {
            let refused = Tensor::new(shape.clone(), vec![0.0; 6]);
            assert_eq!(refused, Err(ModelError::TensorLength { shape, got: 6 }));
        }
    }
}
