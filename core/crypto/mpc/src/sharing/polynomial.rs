//! Polynomials: by their coefficients, lowest first, and by their values (barycentric Lagrange
//! interpolation, J.-P. Berrut and L. N. Trefethen, SIAM Review 46(3), 2004).

use super::field::{Extension, Field};

/// The value at `x`, by Horner's rule.
pub(crate) fn evaluate<F: Field, E: Extension<F>>(coefficients: &[E], x: F) -> E {
    coefficients.iter().rev().fold(E::ZERO, |value, &c| value.scale(x) + c)
}

/// Replaces each value by its inverse with one inversion (P. L. Montgomery, 1987); nothing, and
/// the values spoilt, if one of them is nought.
pub(crate) fn invert_all<F: Field>(values: &mut [F]) -> Option<()> {
    let mut products = Vec::with_capacity(values.len());
    let mut product = F::ONE;
    for &value in values.iter() {
        products.push(product);
        product = product * value;
    }
    let mut inverse = product.inverse()?;
    for (value, before) in values.iter_mut().zip(products).rev() {
        let next = inverse * *value;
        *value = inverse * before;
        inverse = next;
    }
    Some(())
}

/// The polynomials of degree below `nodes.len()`, given by their values at the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Basis<F> {
    nodes: Vec<F>,
    /// `1/Π_{i≠j}(x_j − x_i)` for each node `x_j`.
    weights: Vec<F>,
}

impl<F: Field> Basis<F> {
    /// The basis of `nodes`; nothing if two are equal.
    pub(crate) fn new(nodes: Vec<F>) -> Option<Self> {
        let others = |j: usize| nodes.iter().enumerate().filter(move |&(i, _)| i != j);
        let weight = |(j, &node)| others(j).fold(F::ONE, |product, (_, &x)| product * (node - x));
        let mut weights: Vec<F> = nodes.iter().enumerate().map(weight).collect();
        invert_all(&mut weights)?;
        Some(Self { nodes, weights })
    }

    /// Coefficients `λ` with `f(x) = Σ λ_j·f(x_j)`.
    pub(crate) fn at(&self, x: F) -> Vec<F> {
        let mut lambdas: Vec<F> = self.nodes.iter().map(|&node| x - node).collect();
        let product = lambdas.iter().fold(F::ONE, |product, &factor| product * factor);
        if invert_all(&mut lambdas).is_none() {
            let unit = |&node| if node == x { F::ONE } else { F::ZERO };
            return self.nodes.iter().map(unit).collect();
        }
        for (lambda, &weight) in lambdas.iter_mut().zip(&self.weights) {
            *lambda = product * weight * *lambda;
        }
        lambdas
    }

    /// The coefficients of the polynomial with these values at the nodes.
    pub(crate) fn coefficients<E: Extension<F>>(&self, values: &[E]) -> Vec<E> {
        let product = self.vanishing();
        let mut sum = vec![E::ZERO; self.nodes.len()];
        for ((&node, &weight), &value) in self.nodes.iter().zip(&self.weights).zip(values) {
            let factor = value.scale(weight);
            // `product/(x − node)` by synthetic division, highest coefficient first.
            let mut quotient = F::ZERO;
            for (c, &p) in sum.iter_mut().zip(&product[1..]).rev() {
                quotient = quotient * node + p;
                *c = *c + factor.scale(quotient);
            }
        }
        sum
    }

    /// The coefficients of `Π (x − x_i)`.
    pub(crate) fn vanishing(&self) -> Vec<F> {
        let mut product = vec![F::ONE];
        for &node in &self.nodes {
            product.insert(0, F::ZERO);
            for i in 1..product.len() {
                product[i - 1] = product[i - 1] - node * product[i];
            }
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use nexus_field::Fp;
    use proptest::prelude::*;

    use super::*;

    fn elements(words: &[u64]) -> Vec<Fp> {
        words.iter().copied().map(Fp::new).collect()
    }

    proptest! {
        #[test]
        fn values_and_coefficients_are_the_same_polynomial(
            words in prop::collection::vec(any::<u64>(), 1..20), x: u64, from in 0u64..100,
        ) {
            let (coefficients, x) = (elements(&words), Fp::new(x));
            let nodes: Vec<Fp> = (from..).take(words.len()).map(Fp::new).collect();
            let values: Vec<Fp> = nodes.iter().map(|&node| evaluate(&coefficients, node)).collect();
            let basis = Basis::new(nodes.clone()).unwrap();
            prop_assert_eq!(basis.coefficients(&values), &*coefficients);
            for x in [x, nodes[0], *nodes.last().unwrap()] {
                prop_assert_eq!(Fp::dot(&basis.at(x), &values), evaluate(&coefficients, x));
                let at_node = nodes.contains(&x);
                prop_assert_eq!(evaluate(&basis.vanishing(), x) == Fp::ZERO, at_node);
            }
        }

        #[test]
        fn many_inverses_are_inverses(words in prop::collection::vec(1..=u64::MAX, 0..20)) {
            let mut values = elements(&words);
            let before = values.clone();
            invert_all(&mut values).unwrap();
            prop_assert!(values.iter().zip(&before).all(|(&a, &b)| a * b == Fp::ONE));
            values.push(Fp::ZERO);
            prop_assert_eq!(invert_all(&mut values), None);
        }
    }

    #[test]
    fn equal_nodes_are_refused() {
        assert!(Basis::new(elements(&[1, 2, 1])).is_none());
        assert!(Basis::new(elements(&[7])).is_some());
    }
}
