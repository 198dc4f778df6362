//! Secure sums without a committee (SecAgg+).
mod check;
mod coordinator;
mod message;
mod owner;
mod secret;
mod terms;
#[cfg(test)]
mod tests;
mod unmask;

pub use coordinator::Coordinator;
pub use owner::Owner;
pub use terms::{Neighbourhood, Terms, limit, value_bits};
