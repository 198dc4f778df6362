//! Secure sums without a committee (SecAgg+).
mod check;
mod collector;
mod describe;
mod message;
mod owner;
mod secret;
mod terms;
#[cfg(test)]
mod tests;
mod unmask;

pub use super::nx::Description;
pub use collector::Collector;
pub use describe::describe;
pub use owner::Owner;
pub use terms::{Neighbourhood, Terms, limit, value_bits};
